"""A forwarder in front of an API server that records the Audit-Id of every answer.

It listens on 127.0.0.1, only while a command runs. It holds the cluster's credentials, so that the
command needs none, and serves only paths below one of 256 random bits, which is in a kubeconfig
that nobody else can read. TLS ends here: the API server's certificate is checked as the user's
kubeconfig says.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from ktrace.recording.api_server import ApiServer
from ktrace.recording.handler import Handler
from ktrace.recording.kubeconfig import redirected
from ktrace.recording.requests import RecordedRequest
from runtime_observability.host.files import write_private

_SHUTDOWN_POLL_SECONDS = 0.05


class Recorder:
    """The requests that were recorded so far."""

    def __init__(self) -> None:
        self._requests: list[RecordedRequest] = []
        self._lock = threading.Lock()

    def add(self, request: RecordedRequest) -> None:
        with self._lock:
            self._requests.append(request)

    @property
    def requests(self) -> list[RecordedRequest]:
        """Copies, in order of their start; one that is still open, such as a watch, ends now."""
        now = time.time()
        with self._lock:
            copies = [replace(request, ended=request.ended or now) for request in self._requests]
        return sorted(copies, key=lambda request: request.started)


@contextmanager
def recording(kubeconfig: Path) -> Iterator[tuple[dict[str, str], Recorder]]:
    """Environment variables for a command whose requests are recorded within this context.

    Raises the errors of ApiServer before anything listens.
    """
    recorder = Recorder()
    forwarder = _Forwarder(ApiServer(kubeconfig), recorder)
    serve = partial(forwarder.serve_forever, poll_interval=_SHUTDOWN_POLL_SECONDS)
    threading.Thread(target=serve, daemon=True).start()
    try:
        with tempfile.TemporaryDirectory(prefix="ktrace-", ignore_cleanup_errors=True) as folder:
            own = Path(folder) / "kubeconfig"
            write_private(own, yaml.safe_dump(redirected(kubeconfig, forwarder.url)))
            # kubectl caches a server's API by its URL, which is different for every command.
            yield {"KUBECONFIG": str(own), "KUBECACHEDIR": str(Path(folder) / "cache")}, recorder
    finally:
        forwarder.shutdown()
        forwarder.server_close()


class _Forwarder(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, api_server: ApiServer, recorder: Recorder) -> None:
        self._secret_path = f"/{secrets.token_urlsafe(32)}"
        handler = partial(
            Handler, api_server=api_server, secret_path=self._secret_path, record=recorder.add
        )
        super().__init__(("127.0.0.1", 0), handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{self._secret_path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silent about a client that ends its connection: the terminal is the command's."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)
