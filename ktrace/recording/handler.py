"""One connection of the command: its requests are recorded, and forwarded to the API server."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from io import BufferedReader
from typing import Any

from ktrace.recording import answers, object_reference, request_body
from ktrace.recording.api_connection import ApiConnection
from ktrace.recording.api_server import ApiServer
from ktrace.recording.requests import RecordedRequest

_CHUNK = 1 << 16


class Handler(BaseHTTPRequestHandler):
    """Serves only paths below ``secret_path``; has a connection of its own to the API server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rfile: BufferedReader

    def __init__(
        self,
        *connection: Any,
        api_server: ApiServer,
        secret_path: str,
        record: Callable[[RecordedRequest], None],
    ) -> None:
        self._api = ApiConnection(api_server)
        self._secret_path = secret_path
        self._record = record
        super().__init__(*connection)  # which handles every request of the connection

    def finish(self) -> None:
        self._api.close()
        super().finish()

    def _forward(self) -> None:
        if not f"{self.path}/".startswith(f"{self._secret_path}/"):
            self.close_connection = True
            answers.refuse(
                self,
                http.client.FORBIDDEN,
                "ktrace serves only paths below the server URL of its kubeconfig, and "
                "`kubectl --raw` drops the path of that URL: run it without ktrace",
            )
            return
        body = request_body.read(self.headers, self.rfile)
        path = self.path.removeprefix(self._secret_path) or "/"
        request = RecordedRequest(self.command, path, time.time())
        self._record(request)
        try:
            self._exchange(request, body)
        except (OSError, http.client.HTTPException) as error:
            self.close_connection = True
            if not request.status:
                with suppress(OSError):
                    answers.refuse(
                        self,
                        http.client.BAD_GATEWAY,
                        f"ktrace cannot reach the API server: {error}",
                    )
        finally:
            request.ended = time.time()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _forward  # noqa: N815

    def _exchange(self, request: RecordedRequest, body: bytes | None) -> None:
        answer = self._api.exchange(request.method, request.path, self.headers, body)
        request.audit_id = answer.headers.get("Audit-Id", "")
        request.status = answer.status
        if answer.status == http.client.SWITCHING_PROTOCOLS:
            self.close_connection = True
            answers.relay_upgrade(answer, self._api.upgraded_socket(), self, self.rfile)
        else:
            answers.relay(answer, self, _body_parts(answer, request))

    def log_message(self, *_: Any) -> None:
        """Nothing: the terminal is the command's."""


def _body_parts(answer: http.client.HTTPResponse, request: RecordedRequest) -> Iterator[bytes]:
    """The answer's body as it arrives; that of a write in one part, to read which object it is.

    The command may end with the last byte, and by then the object must be recorded.
    """
    if not request.info.is_answered_by_object:
        yield from iter(lambda: answer.read1(_CHUNK), b"")
    elif body := answer.read():
        request.written = object_reference.read(body)
        yield body
