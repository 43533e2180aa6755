"""An HTTP server on 127.0.0.1 whose responses a test decides."""

from __future__ import annotations

import base64
import json
import ssl
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
    """The client's port, which identifies its connection."""


@dataclass(frozen=True)
class Reply:
    """``body`` is sent as JSON, a string unchanged."""

    status: int = 200
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeServer:
    """``answer`` returns the reply to every request; ``requests`` records them all.

    With ``tls`` it is an https server.
    """

    def __init__(
        self, answer: Callable[[Request], Reply], tls: ssl.SSLContext | None = None
    ) -> None:
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
                if not isinstance(sys.exception(), OSError):  # a client may disconnect
                    super().handle_error(request, client_address)

        self._server = Server(("127.0.0.1", 0), Handler)
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def asked(self, method: str, path: str) -> list[Request]:
        """The requests with this method and path."""
        return [
            request for request in self.requests if (request.method, request.path) == (method, path)
        ]


def write_kubeconfig(
    path: Path, url: str, *, user: Mapping[str, Any] | None = None, **cluster: Any
) -> None:
    """Writes a kubeconfig for the server at ``url``, as k3d does.

    Its authority is an arbitrary certificate, because the fake does not use TLS. ``cluster`` are
    the server's fields instead of this authority; ``user`` are the user's fields.
    """
    pem = Path(certifi.where()).read_text()
    end = "-----END CERTIFICATE-----\n"
    authority = base64.b64encode((pem[: pem.index(end)] + end).encode()).decode()
    trust = cluster or {"certificate-authority-data": authority}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "c",
                "cluster": {"server": url, **trust},
            }
        ],
        "users": [{"name": "u", "user": dict(user or {"token": "none"})}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))
