"""The body of a request, read from the command's connection."""

from __future__ import annotations

import re
from email.message import Message
from io import BufferedIOBase

from ktrace.recording import malformed
from ktrace.recording.malformed import MalformedError

_LONGEST_LINE = 4096
_MOST_TRAILERS = 100
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(?:;[^\r\n]*)?\r?\n")


def read(headers: Message, source: BufferedIOBase) -> bytes | None:
    """The whole body, None without one.

    Raises MalformedError if its length or a chunk of it is malformed, or if it ends early.
    """
    length = malformed.content_length(headers)
    if length is None:
        return _read_chunks(source)
    return _read_exactly(source, length) if length else None


def _read_chunks(source: BufferedIOBase) -> bytes:
    chunks, total = [], 0
    while size := _read_chunk_size(source):
        total += size
        malformed.check_size(total)
        chunks.append(_read_exactly(source, size))
        if source.readline(2) not in (b"\r\n", b"\n"):
            raise MalformedError("a chunk of the request's body does not end where its size says")
    _skip_trailers(source)
    return b"".join(chunks)


def _read_chunk_size(source: BufferedIOBase) -> int:
    line = source.readline(_LONGEST_LINE)
    found = _CHUNK_SIZE.fullmatch(line)
    if not found:
        why = f"has no size before a chunk, but {line[:40]!a}" if line else "ends early"
        raise MalformedError(f"the request's chunked body {why}")
    return malformed.size(found[1].decode(), 16)


def _skip_trailers(source: BufferedIOBase) -> None:
    for _ in range(_MOST_TRAILERS):
        line = source.readline(_LONGEST_LINE)
        if line in (b"\r\n", b"\n"):
            return
        if not line.endswith(b"\n"):
            break
    raise MalformedError("the request's chunked body does not end after its last chunk")


def _read_exactly(source: BufferedIOBase, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise MalformedError(f"the request's body ends {size - len(data)} bytes early")
    return data
