"""HTTP headers on their way from one connection to the next."""

from __future__ import annotations

from email.message import Message

_PER_CONNECTION = {
    *("connection", "keep-alive", "transfer-encoding", "te", "trailer"),
    *("host", "expect", "content-length"),
}


def end_to_end(headers: Message) -> list[tuple[str, str]]:
    """The headers to pass on: not those of one connection, which the sender writes itself."""
    return [(name, value) for name, value in headers.items() if name.lower() not in _PER_CONNECTION]
