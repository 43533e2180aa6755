"""Which requests are not forwarded because they are malformed, and why."""

from __future__ import annotations

import re
from email.message import Message

MOST_BODY = 32 << 20
"""Bytes of a request's body. An API server takes 3 MiB; only a pod behind it may take more."""
_PATH = re.compile(r'/(?:[!"$&-~]|%[0-9A-Fa-f]{2})*', re.ASCII)
"""Visible ASCII, without # and with two hexadecimal digits after each %."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_IN_NO_VALUE = re.compile(r"[\0\r\n]")
_LONGEST_SIZE = 15
"""Digits that are read: a number of more is too large, or begins with zeros."""
_DIGITS = re.compile(r"[0-9]+", re.ASCII)


class MalformedError(Exception):
    """A request that is answered with 400; the message says what is wrong with it."""


def check_path(path: str) -> None:
    """Raises MalformedError."""
    if not _PATH.fullmatch(path):
        raise MalformedError(
            f"the request's path {path!a} is not a URL's path: characters other than visible "
            "ASCII, and % itself, are written as % and two hexadecimal digits"
        )


def check_headers(headers: Message) -> None:
    """Raises MalformedError for a header that the API server could read differently."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or _IN_NO_VALUE.search(value):
            raise MalformedError(f"the request's header {name!a} is not one line NAME: VALUE")
    if headers.defects or headers.get_payload():
        raise MalformedError("a line of the request's headers is not NAME: VALUE")


def content_length(headers: Message) -> int | None:
    """The body's length in bytes; None if the body is chunked. Raises MalformedError."""
    lengths = [value.strip() for value in headers.get_all("Content-Length", [])]
    encodings = [value.strip().lower() for value in headers.get_all("Transfer-Encoding", [])]
    if lengths and encodings:
        raise MalformedError(
            "the request has Content-Length and Transfer-Encoding: one body has one length"
        )
    if encodings:
        if encodings != ["chunked"]:
            raise MalformedError(
                f"the request's Transfer-Encoding is {', '.join(encodings)!a}: ktrace reads chunked"
            )
        return None
    if not lengths:
        return 0
    if len(set(lengths)) > 1 or not _DIGITS.fullmatch(lengths[0]):
        raise MalformedError(
            f"the request's Content-Length is {', '.join(lengths)!a}: it must be one number "
            "of bytes"
        )
    return size(lengths[0])


def size(digits: str, base: int = 10) -> int:
    """``digits`` as a number of bytes. Raises MalformedError if a body cannot have so many."""
    number = int(digits[-_LONGEST_SIZE:], base)
    check_size(MOST_BODY + 1 if digits[:-_LONGEST_SIZE].strip("0") else number)
    return number


def check_size(number: int) -> None:
    """Raises MalformedError for a body of ``number`` bytes that is too long."""
    if number > MOST_BODY:
        raise MalformedError(
            f"the request's body is longer than {MOST_BODY >> 20} MiB, which is more than ktrace "
            "forwards: run the command without ktrace"
        )
