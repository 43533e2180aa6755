"""A few statements to a Cassandra, in version 4 of its protocol: only what the tests of it need.

The protocol is apache/cassandra doc/native_protocol_v4.spec.
"""

from __future__ import annotations

import socket
import ssl
import struct
from types import TracebackType

_REQUEST, _STREAM = 0x04, 0
_ERROR, _STARTUP, _READY, _AUTHENTICATE = 0x00, 0x01, 0x02, 0x03
_QUERY, _RESULT, _AUTH_RESPONSE, _AUTH_SUCCESS = 0x07, 0x08, 0x0F, 0x10
_ROWS, _HAS_GLOBAL_TABLE, _ONE = 0x0002, 0x0001, 0x0001
_LIST, _MAP, _SET = 0x0020, 0x0021, 0x0022
_SECONDS = 60


class CqlError(Exception):
    """Cassandra refuses a statement or a login."""


class Cql:
    """A connection to ``server``, HOST:PORT, by TLS where there is a ``context``."""

    def __init__(
        self, server: str, user: str, password: str, context: ssl.SSLContext | None = None
    ) -> None:
        host, _, port = server.rpartition(":")
        plain = socket.create_connection((host, int(port)), timeout=_SECONDS)
        self._socket = context.wrap_socket(plain, server_hostname=host) if context else plain
        version = _text("CQL_VERSION") + _text("3.0.0")
        code, _body = self._ask(_STARTUP, struct.pack(">H", 1) + version)
        if code == _AUTHENTICATE:
            login = b"\0" + user.encode() + b"\0" + password.encode()
            code, _body = self._ask(_AUTH_RESPONSE, struct.pack(">i", len(login)) + login)
        assert code in (_READY, _AUTH_SUCCESS), code

    def __enter__(self) -> Cql:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def run(self, statement: str) -> list[list[bytes | None]]:
        """The rows of its result, each value as it is sent; raises CqlError."""
        text = statement.encode()
        body = struct.pack(">i", len(text)) + text + struct.pack(">HB", _ONE, 0)
        code, answer = self._ask(_QUERY, body)
        assert code == _RESULT, code
        read = _Reader(answer)
        if read.number(">i") != _ROWS:
            return []
        assert read.number(">i") & _HAS_GLOBAL_TABLE
        columns = read.number(">i")
        read.text(), read.text()
        for _ in range(columns):
            read.text()
            read.skip_type()
        return [[read.value() for _ in range(columns)] for _ in range(read.number(">i"))]

    def _ask(self, code: int, body: bytes) -> tuple[int, bytes]:
        self._socket.sendall(struct.pack(">BBhBi", _REQUEST, 0, _STREAM, code, len(body)) + body)
        *_, answered, length = struct.unpack(">BBhBi", self._receive(9))
        answer = self._receive(length)
        if answered == _ERROR:
            read = _Reader(answer)
            read.number(">i")
            raise CqlError(read.text())
        return answered, answer

    def _receive(self, length: int) -> bytes:
        received = b""
        while len(received) < length:
            part = self._socket.recv(length - len(received))
            assert part, "Cassandra has ended the connection"
            received += part
        return received


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, form: str) -> int:
        found: int
        (found,) = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return found

    def text(self) -> str:
        return self._take(self.number(">H")).decode()

    def value(self) -> bytes | None:
        length = self.number(">i")
        return None if length < 0 else self._take(length)

    def skip_type(self) -> None:
        kind = self.number(">H")
        for _ in range({_LIST: 1, _SET: 1, _MAP: 2}.get(kind, 0)):
            self.skip_type()

    def _take(self, length: int) -> bytes:
        taken = self._data[self._at : self._at + length]
        self._at += length
        return taken


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()
