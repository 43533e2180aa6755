"""A site of releases on 127.0.0.1 with TLS, and an HTTP proxy that leads to it.

The site's certificate is for the real hosts' names, so that their real addresses can be fetched
through the proxy.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

HOSTS = ("get.pulumi.com", "github.com", "dl.k8s.io", "objects.example", "localhost", "127.0.0.1")


@dataclass
class Site:
    """``files`` by host and path, as in ``dl.k8s.io/release/x``; every other file is a 404."""

    port: int
    authority: Path
    """The certificate of its authority."""
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    """Responses instead of the file, one for each of the next requests."""
    cut: set[str] = field(default_factory=set)
    """Files of which only the first half is sent."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and file of each request."""

    @property
    def fetched(self) -> list[str]:
        return [file for method, file in self.requests if method == "GET"]


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    ca = trustme.CA()
    authority = folder / "authority.pem"
    ca.cert_pem.write_to_path(str(authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*HOSTS).configure_cert(context)
    here = Site(0, authority)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            host = self.headers["Host"].partition(":")[0]
            file = f"{host}{self.path}"
            here.requests.append((self.command, file))
            content = here.files.get(file, b"")
            if here.statuses.get(file):
                self.send_response(here.statuses[file].pop(0))
                content = b""
            elif file in here.redirects:
                self.send_response(302)
                self.send_header("Location", here.redirects[file])
                content = b""
            else:
                self.send_response(200 if file in here.files else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "HEAD":
                return
            if file in here.cut:
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
            else:
                self.wfile.write(content)

        do_GET = do_HEAD = _serve  # noqa: N815  the server looks for these names

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
            try:
                with context.wrap_socket(request, server_side=True) as encrypted:
                    super().finish_request(encrypted, client_address)
            except OSError:
                pass  # a client that does not trust it, or has gone

    server = Server(("127.0.0.1", 0), Handler)
    here.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield here
    server.shutdown()
    server.server_close()


@dataclass
class Proxy:
    port: int
    to: Site
    wanted: list[str] = field(default_factory=list)
    """The HOST:PORT of each tunnel."""
    refusal: str = ""
    """A status line with which it refuses every tunnel."""

    @property
    def address(self) -> str:
        return f"http://ada:secret@127.0.0.1:{self.port}"


@contextmanager
def proxy(to: Site) -> Iterator[Proxy]:
    """Every tunnel leads to the site, whatever its host."""
    here = Proxy(0, to)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            _, host, _ = self.rfile.readline().decode().split()
            while self.rfile.readline().strip():
                pass
            here.wanted.append(host)
            if here.refusal:
                self.wfile.write(f"HTTP/1.1 {here.refusal}\r\nContent-Length: 0\r\n\r\n".encode())
                return
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _tunnel(self.connection, to)

    with _served(Handler) as here.port:
        yield here


@contextmanager
def _served(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """A server on 127.0.0.1 with a thread for each connection; yields its port."""

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield int(server.server_address[1])
    server.shutdown()
    server.server_close()


def _tunnel(connection: socket.socket, to: Site) -> None:
    """Passes everything on to the site and back until both sides have ended."""
    with socket.create_connection(("127.0.0.1", to.port)) as onward:
        back = threading.Thread(target=_copy, args=(onward, connection), daemon=True)
        back.start()
        _copy(connection, onward)
        back.join()


@dataclass
class SocksProxy:
    """Every connection leads to the site; ``wanted`` are the hosts as they were sent."""

    port: int
    wanted: list[str] = field(default_factory=list)
    login: bytes = b""
    """NAME:PASSWORD of the client that was let in; empty where none was demanded."""


@contextmanager
def socks_proxy(to: Site) -> Iterator[SocksProxy]:
    """A SOCKS5 proxy (RFC 1928) that demands a name and password where it is offered (RFC 1929)."""
    here = SocksProxy(0)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            _, methods = self.rfile.read(2)
            if 2 in self.rfile.read(methods):
                self.wfile.write(b"\x05\x02")
                self.rfile.read(1)
                name, password = (self.rfile.read(self.rfile.read(1)[0]) for _ in range(2))
                here.login = name + b":" + password
                self.wfile.write(b"\x01\x00")
            else:
                self.wfile.write(b"\x05\x00")
            kind = self.rfile.read(4)[3]
            length = self.rfile.read(1)[0] if kind == 3 else 4
            host = self.rfile.read(length)
            here.wanted.append(host.decode() if kind == 3 else socket.inet_ntoa(host))
            self.rfile.read(2)
            self.wfile.write(b"\x05\x00\x00\x01" + bytes(6))
            _tunnel(self.connection, to)

    with _served(Handler) as here.port:
        yield here


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while part := source.recv(65536):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
