"""An HTTP server on 127.0.0.1 that a test answers for."""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import certifi
import yaml


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    port: int = 0
    """The client's, by which its connections are told apart."""


@dataclass(frozen=True)
class Reply:
    """``body`` is sent as JSON, a string as it is."""

    status: int = 200
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeServer:
    """``answer`` is asked for every request; requests are kept."""

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = json.loads(sent) if sent else None
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, body, headers, self.client_address[1])
                fake.requests.append(request)
                reply = fake.answer(request)
                text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
                self.send_response(reply.status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.send_header("Content-Type", "application/json")
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = do_DELETE = _serve  # noqa: N815  the server looks for these names

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                if not isinstance(sys.exception(), OSError):  # a client may go away
                    super().handle_error(request, client_address)

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def asked(self, method: str, path: str) -> list[Request]:
        return [each for each in self.requests if (each.method, each.path) == (method, path)]


def write_kubeconfig(
    path: Path, url: str, *, user: Mapping[str, Any] | None = None, **cluster: Any
) -> None:
    """As k3d writes it. The authority is any that can be read: the fake speaks no TLS.

    ``cluster`` has what there is to say of the server in place of that.
    """
    pem = Path(certifi.where()).read_text()
    end = "-----END CERTIFICATE-----\n"
    authority = base64.b64encode((pem[: pem.index(end)] + end).encode()).decode()
    trusted = cluster or {"certificate-authority-data": authority}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "c",
                "cluster": {"server": url, **trusted},
            }
        ],
        "users": [{"name": "u", "user": dict(user or {"token": "none"})}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))
