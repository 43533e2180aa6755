"""Bytes both ways between two sockets, with or without TLS, after an upgrade of the connection."""

from __future__ import annotations

import selectors
import socket
import ssl
from dataclasses import dataclass
from io import BufferedReader

_CHUNK = 1 << 16
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(frozen=True)
class End:
    """``received``: bytes that were read from the socket before the tunnel runs."""

    socket: socket.socket
    received: bytes


def buffered(file: BufferedReader, connection: socket.socket) -> bytes:
    """What ``file`` has read from its ``connection`` and nobody has read from ``file``.

    Leaves the connection non-blocking.
    """
    connection.setblocking(False)
    try:
        return file.peek()
    except _WOULD_BLOCK:
        return b""


def run(client: End, server: End) -> None:
    """Returns when either side has ended.

    One thread for both directions, as an SSL socket must not be used by two. Neither direction
    waits for the other: a program that echoes sends while it receives.
    """
    request = _Direction(client.socket, server.socket, client.received)
    answer = _Direction(server.socket, client.socket, server.received)
    client.socket.setblocking(False)
    server.socket.setblocking(False)
    while request.move() and answer.move():
        with selectors.DefaultSelector() as selector:
            for direction, opposite in ((request, answer), (answer, request)):
                reads = 0 if direction.unsent else selectors.EVENT_READ
                writes = selectors.EVENT_WRITE if opposite.unsent else 0
                if events := reads | writes:
                    selector.register(direction.source, events)
            selector.select()


@dataclass
class _Direction:
    """``unsent``: bytes that were read from the source and not yet sent to the sink."""

    source: socket.socket
    sink: socket.socket
    unsent: bytes

    def move(self) -> bool:
        """Moves bytes until a socket would block; False when the source has ended."""
        try:
            while True:
                while self.unsent:
                    self.unsent = self.unsent[self.sink.send(self.unsent) :]
                self.unsent = self.source.recv(_CHUNK)
                if not self.unsent:
                    return False
        except _WOULD_BLOCK:
            return True
