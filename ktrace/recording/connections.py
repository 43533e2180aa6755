"""The command's connections: bounded in number and in time, and shut when the command ends."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

from ktrace.recording.api_connection import ApiConnection
from ktrace.recording.requests import RecordedRequest
from ktrace.recording.sockets import is_readable

MOST = 400
"""Connections at once; each has another one to the API server, and a process about 1,000 files."""
IDLE_SECONDS = 120.0
"""For the first byte of a request. Clients keep a connection for 90 s without one."""
REQUEST_SECONDS = 60.0
"""For the rest of a request, which comes from this machine."""
_LOOK_SECONDS = 0.2
_ANSWER_SECONDS = 2.0
"""After the command has ended, for the API server's answers to what it had sent."""
_END_SECONDS = 1.0


class Connection:
    """One connection of the command; ``api`` is the one to the API server behind it."""

    def __init__(self, client: socket.socket, api: ApiConnection) -> None:
        self.api = api
        self._client = client
        self._deadline: float | None = None
        self._request: RecordedRequest | None = None
        self._ended = False
        self._lock = threading.Lock()

    def reads(self, seconds: float) -> None:
        """The client has ``seconds`` from now to send what is being waited for."""
        self._request, self._deadline = None, time.monotonic() + seconds

    def forwards(self, request: RecordedRequest) -> None:
        """The answer to a request may take any time."""
        self._request, self._deadline = request, None

    def look(self) -> None:
        """Ends the reading of a client that takes too long, and the watch of one that has left."""
        with self._lock:
            if self._ended:
                return
            deadline, request = self._deadline, self._request
            if deadline is not None and time.monotonic() >= deadline:
                self._shut(socket.SHUT_RD)
            # What a client wrote before it left is written: the answer tells what that was.
            elif request and not request.info.writes and self._has_left():
                self._shut(socket.SHUT_RDWR)
                self.api.shut()

    def stop(self, *, with_writes: bool) -> None:
        """Nothing is read from the client any more, nor sent to it.

        The answer to a request that may have changed something is waited for, unless
        ``with_writes``.
        """
        with self._lock:
            if self._ended:
                return
            self._shut(socket.SHUT_RDWR)
            request = self._request
            if with_writes or request is None or not request.info.writes:
                self.api.shut()

    def end(self) -> None:
        """Before its sockets are closed: their numbers may then be those of other files."""
        with self._lock:
            self._ended = True

    def _shut(self, direction: int) -> None:
        with suppress(OSError):
            self._client.shutdown(direction)

    def _has_left(self) -> bool:
        try:
            return is_readable(self._client) and not self._client.recv(1, socket.MSG_PEEK)
        except OSError:
            return True


class Connections:
    """All that are open."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._next_look = 0.0

    def add(self, connection: Connection) -> bool:
        """Whether it may be used: not after ``close``, nor beside MOST others."""
        with self._changed:
            if self._closed or len(self._open) >= MOST:
                return False
            self._open.add(connection)
            return True

    def remove(self, connection: Connection) -> None:
        connection.end()
        with self._changed:
            self._open.discard(connection)
            self._changed.notify_all()

    def look(self) -> None:
        """To be called again and again, from one thread; looks at most every _LOOK_SECONDS."""
        if (now := time.monotonic()) < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        for connection in self._snapshot():
            connection.look()

    def close(self) -> None:
        """Shuts all and waits for their ends; those of answers to writes for some seconds."""
        with self._changed:
            self._closed = True
        for seconds, with_writes in ((_ANSWER_SECONDS, False), (_END_SECONDS, True)):
            for connection in self._snapshot():
                connection.stop(with_writes=with_writes)
            with self._changed:
                self._changed.wait_for(lambda: not self._open, seconds)

    def _snapshot(self) -> list[Connection]:
        with self._changed:
            return list(self._open)
