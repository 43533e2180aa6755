"""Bytes both ways between two sockets, each in TLS or not, after a connection was upgraded."""

from __future__ import annotations

import selectors
import socket
import ssl
from dataclasses import dataclass
from io import BufferedReader

_CHUNK = 1 << 16
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass
class _Way:
    """One direction: ``waiting`` has been read and is not yet sent."""

    source: socket.socket
    sink: socket.socket
    waiting: bytes

    def move(self) -> bool:
        """Passes on what can be without waiting; False once the source has ended."""
        try:
            while True:
                while self.waiting:
                    self.waiting = self.waiting[self.sink.send(self.waiting) :]
                self.waiting = self.source.recv(_CHUNK)
                if not self.waiting:
                    return False
        except _NOT_NOW:
            return True


def read_ahead(file: BufferedReader, of: socket.socket) -> bytes:
    """What was read from the socket already and not yet taken from ``file``."""
    of.setblocking(False)
    try:
        return file.peek()
    except _NOT_NOW:
        return b""


def join(one: socket.socket, other: socket.socket, ahead: tuple[bytes, bytes]) -> None:
    """Until either side ends; ``ahead`` is what each has sent already.

    One thread for both ways, as an SSL socket must not be read and written by two. Neither way
    waits for the other: a program that echoes sends while it is sent to.
    """
    there, back = _Way(one, other, ahead[0]), _Way(other, one, ahead[1])
    one.setblocking(False)
    other.setblocking(False)
    while there.move() and back.move():
        with selectors.DefaultSelector() as selector:
            for way, opposite in ((there, back), (back, there)):
                reads = 0 if way.waiting else selectors.EVENT_READ
                writes = selectors.EVENT_WRITE if opposite.waiting else 0
                if events := reads | writes:
                    selector.register(way.source, events)
            selector.select()
