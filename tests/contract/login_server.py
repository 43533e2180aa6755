"""TLS and a login in front of an HTTP server; standard library alone, so that it runs anywhere.

``python3 login_server.py CERTIFICATE KEY UPSTREAM LOGIN PORT`` serves in a container: UPSTREAM is
HOST:PORT, LOGIN is USER:PASSWORD in base64.
"""

from __future__ import annotations

import http.client
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_NOT_FORWARDED = ("host", "authorization", "connection", "transfer-encoding", "content-length")
OF_CONTENT = ("content-type", "content-encoding")
_SECONDS = 60


class Server(ThreadingHTTPServer):
    """Passes on what has the login. ``passed`` and ``refused`` count the requests."""

    daemon_threads = True
    passed_headers = (*OF_CONTENT, "x-elastic-product")
    """Of answers."""

    def __init__(
        self, address: tuple[str, int], context: ssl.SSLContext, upstream: str, login: str
    ) -> None:
        super().__init__(address, _Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.upstream, self.login = upstream, f"Basic {login}"
        self.passed = self.refused = 0
        self.lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def _serve(self) -> None:
        body = b"".join(self._body())
        known = self.headers.get("Authorization") == self.server.login
        with self.server.lock:
            self.server.passed += known
            self.server.refused += not known
        if not known:
            self._answer(401, {}, b"Unauthorized")
            return
        headers = {
            name: text for name, text in self.headers.items() if name.lower() not in _NOT_FORWARDED
        }
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=_SECONDS)
        try:
            upstream.request(self.command, self.path, body, headers)
            found = upstream.getresponse()
            told = {
                name: text
                for name, text in found.getheaders()
                if name.lower() in self.server.passed_headers
            }
            self._answer(found.status, told, found.read())
        finally:
            upstream.close()

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  http.server's names

    def log_message(self, *_: object) -> None:
        """Nothing: a test's output is its own."""


def main() -> None:
    certificate, key, upstream, login, port = sys.argv[1:]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    Server(("", int(port)), context, upstream, login).serve_forever()


if __name__ == "__main__":
    main()
