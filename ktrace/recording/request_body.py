"""The body of a request, read from the command's connection."""

from __future__ import annotations

from email.message import Message
from io import BufferedReader


def read(headers: Message, source: BufferedReader) -> bytes | None:
    """The whole body, None without one.

    Raises ConnectionError if the client ends the connection within it.
    """
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        return _read_chunks(source)
    length = int(headers.get("Content-Length") or 0)
    return _read_exactly(source, length) if length else None


def _read_chunks(source: BufferedReader) -> bytes:
    chunks = []
    while size := _read_chunk_size(source):
        chunks.append(_read_exactly(source, size))
        source.readline()
    while source.readline().strip():
        pass  # trailers
    return b"".join(chunks)


def _read_chunk_size(source: BufferedReader) -> int:
    try:
        return int(source.readline().partition(b";")[0], 16)
    except ValueError:
        raise ConnectionError("the request's body ends before its last chunk") from None


def _read_exactly(source: BufferedReader, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise ConnectionError(f"the request's body ends {size - len(data)} bytes early")
    return data
