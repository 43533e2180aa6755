"""A forwarder in front of an API server that notes the Audit-Id of every answer.

It listens on 127.0.0.1 only while a command runs. It holds the cluster's credentials, so that the
command needs none, and serves only below a path of 256 random bits that stands in a kubeconfig
which nobody else can read. TLS ends here: the API server's is checked as the kubeconfig says.
"""

from __future__ import annotations

import http.client
import json
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader
from pathlib import Path
from typing import Any

import yaml
from urllib3.util import wait_for_read

from ktrace.recording import identity, upgraded
from ktrace.recording.api_server import Upstream
from ktrace.recording.kubeconfig import redirected
from ktrace.recording.requests import Seen
from runtime_observability.host.files import write_private

_CHUNK = 1 << 16
_NOT_PASSED_ON = {
    *("connection", "keep-alive", "transfer-encoding", "te", "trailer"),
    *("host", "expect", "content-length"),
}
"""What is said of one connection, or said anew."""
_WRITING = ("POST", "PUT", "PATCH", "DELETE")


class Recorder:
    """The requests seen so far."""

    def __init__(self) -> None:
        self._seen: list[Seen] = []
        self._lock = threading.Lock()

    def add(self, seen: Seen) -> None:
        with self._lock:
            self._seen.append(seen)

    @property
    def seen(self) -> list[Seen]:
        """As they are now; one that is still open, as a watch, has lasted until now."""
        now = time.time()
        with self._lock:
            copies = [replace(each, ended=each.ended or now) for each in self._seen]
        return sorted(copies, key=lambda each: each.began)


@contextmanager
def recording(kubeconfig: Path) -> Iterator[tuple[dict[str, str], Recorder]]:
    """An environment whose requests are recorded, for as long as the context lasts."""
    recorder = Recorder()
    forwarder = _Forwarder(Upstream(kubeconfig), recorder)
    threading.Thread(target=forwarder.serve_forever, args=(0.05,), daemon=True).start()
    try:
        with tempfile.TemporaryDirectory(prefix="ktrace-", ignore_cleanup_errors=True) as folder:
            own = Path(folder) / "kubeconfig"
            write_private(own, yaml.safe_dump(redirected(kubeconfig, forwarder.url)))
            # kubectl caches what a server can do by its URL, which is another every time.
            yield {"KUBECONFIG": str(own), "KUBECACHEDIR": str(Path(folder) / "cache")}, recorder
    finally:
        forwarder.shutdown()
        forwarder.server_close()


class _Forwarder(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, upstream: Upstream, recorder: Recorder) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.recorder = recorder
        self.secret = f"/{secrets.token_urlsafe(32)}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{self.secret}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error, and the command's own output stays as it is."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection of the client's, and one to the API server for as long as it can be kept."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Forwarder
    rfile: BufferedReader

    def setup(self) -> None:
        super().setup()
        self._kept: http.client.HTTPConnection | None = None
        self._kept_for_own_user = False

    def finish(self) -> None:
        self._drop()
        super().finish()

    def _forward(self) -> None:
        if not f"{self.path}/".startswith(f"{self.server.secret}/"):
            self.close_connection = True
            self._refuse(
                http.client.FORBIDDEN,
                "ktrace answers only below the path of its kubeconfig's server, which "
                "`kubectl --raw` leaves out",
            )
            return
        body = self._body()
        path = self.path.removeprefix(self.server.secret) or "/"
        seen = Seen(self.command, path, time.time())
        self.server.recorder.add(seen)
        try:
            self._exchange(seen, body)
        except (OSError, http.client.HTTPException) as error:
            self.close_connection = True
            if not seen.status:
                with suppress(OSError):
                    self._refuse(
                        http.client.BAD_GATEWAY, f"ktrace cannot reach the API server: {error}"
                    )
        finally:
            seen.ended = time.time()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _forward  # noqa: N815

    def _body(self) -> bytes | None:
        """Raises ConnectionError where the client ends in the middle of it."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := self._size_of_chunk():
                parts.append(self._read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass  # trailers
            return b"".join(parts)
        length = int(self.headers.get("Content-Length") or 0)
        return self._read(length) if length else None

    def _size_of_chunk(self) -> int:
        try:
            return int(self.rfile.readline().partition(b";")[0], 16)
        except ValueError:
            raise ConnectionError("no chunk follows") from None

    def _read(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionError("a body ends early")
        return data

    def _exchange(self, seen: Seen, body: bytes | None) -> None:
        connection = self._connection()
        upstream = self.server.upstream
        connection.putrequest(
            self.command, upstream.path(seen.path), skip_host=True, skip_accept_encoding=True
        )
        connection.putheader("Host", upstream.host)
        for name, value in self.headers.items():
            if name.lower() not in _NOT_PASSED_ON:
                connection.putheader(name, value)
        if "Authorization" not in self.headers and (authorization := upstream.authorization):
            connection.putheader("Authorization", authorization)
        if "Upgrade" in self.headers:
            connection.putheader("Connection", "Upgrade")
        if body is not None or self.command in _WRITING:
            connection.putheader("Content-Length", str(len(body or b"")))
        connection.endheaders(body)
        answer = connection.getresponse()
        seen.audit_id = answer.headers.get("Audit-Id", "")
        seen.status = answer.status
        if answer.status == http.client.SWITCHING_PROTOCOLS:
            self._tunnel(connection, answer)
        else:
            self._relay(answer, seen)
        if self.close_connection or connection.sock is None or not answer.isclosed():
            self._drop()

    def _connection(self) -> http.client.HTTPConnection:
        """The last request's, if it is the same user's and the server has not ended it."""
        own_user = "Authorization" in self.headers
        if self._kept and (
            self._kept_for_own_user != own_user or wait_for_read(self._kept.sock, timeout=0)
        ):
            self._drop()
        if self._kept is None:
            self._kept = self.server.upstream.connect(own_user=own_user)
            self._kept_for_own_user = own_user
        return self._kept

    def _drop(self) -> None:
        if self._kept:
            self._kept.close()
            self._kept = None

    def _relay(self, answer: http.client.HTTPResponse, seen: Seen) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _NOT_PASSED_ON:
                self.send_header(name, value)
        length = answer.headers.get("Content-Length")
        if length is not None:
            self.send_header("Content-Length", length)
        bodiless = self.command == "HEAD" or answer.status in (204, 304)
        chunked = length is None and not bodiless
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in _parts(answer, seen):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
        if answer.length:
            raise ConnectionError("the answer ends early")
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        answer.read()  # its end, for the connection to be kept

    def _tunnel(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
    ) -> None:
        """exec, attach and port-forward: from here on bytes, both ways."""
        self.close_connection = True
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        ahead = (
            upgraded.read_ahead(self.rfile, self.connection),
            upgraded.read_ahead(answer.fp, connection.sock),
        )
        upgraded.join(self.connection, connection.sock, ahead)

    def _refuse(self, status: int, message: str) -> None:
        """As the API server words a refusal, so that a client shows the message."""
        document = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": message,
            "code": status,
        }
        text = json.dumps(document).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """The command's own output stays as it is."""


def _parts(answer: http.client.HTTPResponse, seen: Seen) -> Iterator[bytes]:
    """The answer's body as it comes; of a write first whole, to learn of which object it is.

    The command may end with the last byte of it: what is learnt must be known by then.
    """
    if not seen.request.names_its_object:
        yield from iter(lambda: answer.read1(_CHUNK), b"")
    elif body := answer.read():
        seen.written = identity.identity(body)
        yield body
