"""OTLP/HTTP servers on 127.0.0.1 that tests send to."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import trustme

from tests.pipelines.collectors import HERE

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
HEADER = """Basic a: b #c "d' {e} [f] %g &h *i ${env:HOME} $$ $X | > @`"""


@dataclass(frozen=True)
class Request:
    path: str
    headers: Message
    body: bytes


@contextmanager
def serving(
    answer: Callable[[Request], int], context: ssl.SSLContext | None = None
) -> Iterator[int]:
    """A server whose status codes are those of ``answer``; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(answer(Request(self.path, self.headers, body)))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextmanager
def serving_grpc(
    take: Callable[[bytes], None], credentials: grpc.ServerCredentials
) -> Iterator[int]:
    """A receiver of traces over gRPC with TLS, which ``take`` gets the requests of; its port."""

    def export(request: bytes, _: grpc.ServicerContext) -> bytes:
        take(request)
        return b""

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, call: grpc.HandlerCallDetails) -> Any:
            return grpc.unary_unary_rpc_method_handler(export) if call.method == EXPORT else None

    server = grpc.server(ThreadPoolExecutor(1), handlers=[Handler()])
    port: int = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=1).wait()


@dataclass
class Backend:
    """One with TLS that takes requests with ``HEADER`` alone."""

    authority: trustme.CA = field(default_factory=trustme.CA)
    port: int = 0
    paths: list[str] = field(default_factory=list)
    """Of the requests that it took."""

    def exporter(self, name: str, header: str, **tls: str) -> dict[str, Any]:
        return {
            "name": name,
            "protocol": "http",
            "endpoint": f"https://{HERE}:{self.port}",
            "headers": {"authorization": header},
            "tls": {"caFile": self.authority.cert_pem.bytes().decode(), **tls},
        }

    @contextmanager
    def running(self, *, wants_certificates: bool = False) -> Iterator[Backend]:
        """``wants_certificates``: of its own authority, from every client."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("127.0.0.1").configure_cert(context)
        if wants_certificates:
            context.verify_mode = ssl.CERT_REQUIRED
            self.authority.configure_trust(context)
        with serving(self._answer, context) as self.port:
            yield self

    def _answer(self, request: Request) -> int:
        taken = request.headers["authorization"] == HEADER
        self.paths += [request.path] if taken else []
        return 200 if taken else 401
