"""A forwarder in front of an API server that records the Audit-Id of every answer.

It listens on 127.0.0.1, only while a command runs. It holds the cluster's credentials, so that the
command needs none, and serves only paths below one of 256 random bits, which is in a kubeconfig
that nobody else can read. TLS ends here: the API server's certificate is checked as the user's
kubeconfig says.
"""

from __future__ import annotations

import os
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

from ktrace.errors import UsageError
from ktrace.recording.api_server import ApiServer
from ktrace.recording.connections import Connections
from ktrace.recording.environment import without_proxy
from ktrace.recording.handler import Handler
from ktrace.recording.kubeconfig import redirected
from ktrace.recording.requests import RecordedRequest
from ktrace.recording.trace_context import TraceContext
from runtime_observability.host.files import write_private

_POLL_SECONDS = 0.05


class Recorder:
    """The requests that were recorded so far."""

    def __init__(self) -> None:
        self._requests: list[RecordedRequest] = []
        self._closed = False
        self._lock = threading.Lock()
        self.problem = ""
        """Why a request could not be handled; empty if all were."""

    def add(self, request: RecordedRequest) -> bool:
        """Returns whether it is recorded: not after ``close``, and then it must not be sent."""
        with self._lock:
            if not self._closed:
                self._requests.append(request)
            return not self._closed

    def close(self) -> None:
        with self._lock:
            self._closed = True

    @property
    def requests(self) -> list[RecordedRequest]:
        """Copies, in order of their start; one that is still open, such as a watch, ends now."""
        now = time.time()
        with self._lock:
            copies = [
                replace(request, ended=request.ended or max(request.started, now))
                for request in self._requests
            ]
        return sorted(copies, key=lambda request: request.started)


@contextmanager
def recording(
    kubeconfig: Path, trace: TraceContext | None = None
) -> Iterator[tuple[dict[str, str], Recorder]]:
    """Environment variables for a command whose requests are recorded within this context.

    They join ``trace``. Without one their headers and TRACEPARENT are the command's own.

    After it no request is forwarded, and what was is recorded. Raises the errors of ApiServer
    before anything listens, and UsageError if this machine has no place for a kubeconfig.
    """
    recorder = Recorder()
    api_server = ApiServer(kubeconfig)
    try:
        folder = tempfile.TemporaryDirectory(prefix="ktrace-", ignore_cleanup_errors=True)
    except OSError as error:
        raise _no_place(error) from None
    with folder as path, _forwarder(api_server, recorder, trace) as forwarder:
        own = Path(path) / "kubeconfig"
        try:
            write_private(own, yaml.safe_dump(redirected(kubeconfig, forwarder.url)))
        except OSError as error:
            raise _no_place(error) from None
        yield (
            {
                "KUBECONFIG": str(own),
                # kubectl caches a server's API by its URL, which is different for every command.
                "KUBECACHEDIR": str(Path(path) / "cache"),
                **without_proxy(os.environ),
                **(trace.environment if trace else {}),
            },
            recorder,
        )


def _no_place(error: OSError) -> UsageError:
    return UsageError(
        f"the command's kubeconfig cannot be written to a temporary folder: {error.strerror}; name "
        "a folder with TMPDIR"
    )


@contextmanager
def _forwarder(
    api_server: ApiServer, recorder: Recorder, trace: TraceContext | None
) -> Iterator[_Forwarder]:
    """Serves within the context."""
    forwarder = _Forwarder(api_server, recorder, trace)
    serve = partial(forwarder.serve_forever, poll_interval=_POLL_SECONDS)
    threading.Thread(target=serve, daemon=True).start()
    try:
        yield forwarder
    finally:
        recorder.close()
        forwarder.shutdown()
        forwarder.server_close()
        forwarder.connections.close()


class _Forwarder(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(
        self, api_server: ApiServer, recorder: Recorder, trace: TraceContext | None
    ) -> None:
        self._secret_path = f"/{secrets.token_urlsafe(32)}"
        self._recorder = recorder
        self.connections = Connections()
        handler = partial(
            Handler,
            api_server=api_server,
            secret_path=self._secret_path,
            record=recorder.add,
            open_connections=self.connections,
            trace=trace,
        )
        super().__init__(("127.0.0.1", 0), handler)

    def service_actions(self) -> None:
        self.connections.look()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{self._secret_path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing on the terminal, which is the command's: the report tells of it.

        A client that ends its connection is no error.
        """
        error = sys.exception()
        if not isinstance(error, OSError):
            self._recorder.problem = f"a request could not be handled: {error!r}"
