"""TLS and a login in front of an HTTP server, as clusters of companies and providers have them."""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import trustme

_NOT_FORWARDED = ("host", "authorization", "connection", "transfer-encoding", "content-length")


@dataclass
class Proxy:
    """``passed`` and ``refused`` count the requests with the right login and the others."""

    url: str
    certificates: str
    """PEM of the authority that signed its certificate."""
    passed: int = 0
    refused: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def in_front_of(url: str, user: str, password: str) -> Iterator[Proxy]:
    """A proxy on 127.0.0.1, which passes on what has that login; ended at the end."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    login = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    client = httpx.Client(base_url=url, timeout=60, trust_env=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = b"".join(self._body())
            known = self.headers.get("Authorization") == login
            with proxy.lock:
                proxy.passed += known
                proxy.refused += not known
            if not known:
                self._answer(httpx.Response(401, content=b"Unauthorized"))
                return
            headers = {
                name: text
                for name, text in self.headers.items()
                if name.lower() not in _NOT_FORWARDED
            }
            self._answer(client.request(self.command, self.path, content=body, headers=headers))

        def _body(self) -> Iterator[bytes]:
            if self.headers.get("Transfer-Encoding", "") != "chunked":
                yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
                return
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def _answer(self, response: httpx.Response) -> None:
            self.send_response(response.status_code)
            if kind := response.headers.get("Content-Type"):
                self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(response.content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.content)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  http.server's names

        def log_message(self, *_: object) -> None:
            """Nothing: a test's output is its own."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    pem = authority.cert_pem.bytes().decode()
    proxy = Proxy(f"https://127.0.0.1:{server.server_address[1]}", pem)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        client.close()
