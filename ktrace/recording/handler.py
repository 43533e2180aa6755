"""One connection of the command: its requests are recorded, and forwarded to the API server."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from io import BufferedReader
from typing import Any

from ktrace import otlp
from ktrace.recording import (
    answers,
    connections,
    dry_run,
    malformed,
    object_reference,
    refused,
    request_body,
    trace_context,
)
from ktrace.recording.api_connection import ApiConnection
from ktrace.recording.api_server import ApiServer
from ktrace.recording.connections import Connection, Connections
from ktrace.recording.malformed import MalformedError
from ktrace.recording.requests import RecordedRequest
from ktrace.recording.trace_context import TraceContext
from ktrace.text import clean

_CHUNK = 1 << 16
_LINGER_SECONDS = 1.0
"""For a client that still sends when it is refused, and would not read the answer otherwise."""


class _Source(BufferedReader):
    """What the client sends. http.server takes its end for that of the headers."""

    has_ended = False

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        self.has_ended = not line.endswith(b"\n")
        return line


class Handler(BaseHTTPRequestHandler):
    """Serves only paths below ``secret_path``; has a connection of its own to the API server.

    ``record`` returns whether the request may be forwarded: none may after the command has ended.
    With ``trace`` each request is a span of it, unless the command has its own traceparent.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rfile: _Source

    def __init__(
        self,
        *connection: Any,
        api_server: ApiServer,
        secret_path: str,
        record: Callable[[RecordedRequest], bool],
        open_connections: Connections,
        trace: TraceContext | None = None,
    ) -> None:
        self._api = ApiConnection(api_server)
        self._secret_path = secret_path
        self._record = record
        self._open_connections = open_connections
        self._trace = trace
        super().__init__(*connection)  # which handles every request of the connection

    def setup(self) -> None:
        super().setup()
        self.rfile = _Source(self.rfile.detach())
        self._own = Connection(self.connection, self._api)
        self.command, self.request_version = "", self.protocol_version

    def handle(self) -> None:
        if self._open_connections.add(self._own):
            super().handle()
        else:
            self._refuse(
                http.client.TOO_MANY_REQUESTS,
                f"ktrace forwards {connections.MOST} connections at once: close some of them",
            )

    def handle_one_request(self) -> None:
        self._own.reads(connections.IDLE_SECONDS)
        if self.rfile.peek(1):
            self._own.reads(connections.REQUEST_SECONDS)
            super().handle_one_request()
        else:
            self.close_connection = True

    def finish(self) -> None:
        self._open_connections.remove(self._own)
        self._api.close()
        super().finish()

    def handle_expect_100(self) -> bool:
        """Not yet: whoever waits for it would send the body of a request that is refused."""
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server refuses, in the API server's form."""
        reason = explain or message or http.client.responses.get(code, "")
        self._refuse(code, f"ktrace cannot read the request: {reason}")

    def _forward(self) -> None:
        if not f"{self.path}/".startswith(f"{self._secret_path}/"):
            self._refuse(
                http.client.FORBIDDEN,
                "ktrace serves only paths below the server URL of its kubeconfig, and "
                "`kubectl --raw` drops the path of that URL: run it without ktrace",
            )
            return
        path = self.path.removeprefix(self._secret_path) or "/"
        if path.startswith("?"):
            path = f"/{path}"
        try:
            body = self._read(path)
        except MalformedError as error:
            self._refuse(http.client.BAD_REQUEST, str(error))
            return
        request, began = RecordedRequest(self.command, path, time.time()), time.monotonic()
        request.dry_run = _is_dry_run(request, body)
        request.client = clean((self.headers.get("User-Agent", "").split() or [""])[0])
        self._join_trace(request)
        self._own.forwards(request)
        if not self._record(request):
            self._refuse(http.client.SERVICE_UNAVAILABLE, "the command of ktrace run has ended")
            return
        try:
            self._exchange(request, body)
        except (OSError, http.client.HTTPException) as error:
            self.close_connection = True
            if not request.status:
                self._refuse(
                    http.client.BAD_GATEWAY, f"ktrace cannot reach the API server: {error}"
                )
        finally:
            # The time of day may have been set back meanwhile.
            request.ended = request.started + time.monotonic() - began

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _forward  # noqa: N815

    def _read(self, path: str) -> bytes | None:
        """The request's body; MalformedError for a request that no API server should see."""
        if self.request_version not in ("HTTP/1.0", "HTTP/1.1"):
            raise MalformedError("the request's version is neither HTTP/1.0 nor HTTP/1.1")
        if self.rfile.has_ended:
            raise MalformedError("the request's headers end early")
        malformed.check_path(path)
        malformed.check_headers(self.headers)
        length = malformed.content_length(self.headers)
        if length != 0 and self.headers.get("Expect", "").lower() == "100-continue":
            super().handle_expect_100()
        return request_body.read(self.headers, self.rfile)

    def _join_trace(self, request: RecordedRequest) -> None:
        if self._trace and trace_context.HEADER not in self.headers:
            request.span_id = otlp.new_span_id()
            self.headers[trace_context.HEADER] = self._trace.traceparent(request.span_id)
            # It means nothing without the traceparent that it belongs to.
            del self.headers[trace_context.STATE_HEADER]

    def _exchange(self, request: RecordedRequest, sent: bytes | None) -> None:
        answer = self._api.exchange(request.method, request.path, self.headers, sent)
        request.audit_id = clean(answer.headers.get("Audit-Id", ""))
        request.status = answer.status
        if answer.status == http.client.SWITCHING_PROTOCOLS:
            self.close_connection = True
            answers.relay_upgrade(answer, self._api.upgraded_socket(), self, self.rfile)
        elif request.info.writes or request.info.removes:
            # The command may end with the last byte, and by then the object must be recorded.
            body = answer.read()
            _record_objects(request, body)
            answers.relay(answer, self, [body] if body else [])
        else:
            answers.relay(answer, self, iter(lambda: answer.read1(_CHUNK), b""))

    def _refuse(self, status: int, message: str) -> None:
        """Answers, and ends the connection once the client has read that."""
        self.close_connection = True
        self.request_version = self.protocol_version
        with suppress(OSError):
            answers.refuse(self, status, message)
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            end = time.monotonic() + _LINGER_SECONDS
            while (left := end - time.monotonic()) > 0:
                self.connection.settimeout(left)
                if not self.connection.recv(_CHUNK):
                    break

    def log_message(self, *_: Any) -> None:
        """Nothing: the terminal is the command's."""


def _is_dry_run(request: RecordedRequest, body: bytes | None) -> bool | None:
    """None if the body has no say."""
    info = request.info
    if request.method == "DELETE":
        return dry_run.in_delete(body)
    if info.evicts:
        return dry_run.in_eviction(body)
    return None


def _record_objects(request: RecordedRequest, answer: bytes) -> None:
    if request.info.removes and not request.succeeded:
        request.refused = refused.read(answer)
    if request.info.verb == "deletecollection":
        request.collection = object_reference.read_items(answer)
    else:
        request.written = object_reference.read(answer)
