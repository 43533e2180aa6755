"""Which attributes a span has, and whether one is what an expectation says.

- ``*`` stands for any text and ``?`` for one character. Every other character, ``[`` too, stands
  for itself.
- A number equals every spelling of itself: the tag 404 is ``404`` and ``404.0``.
- ``true`` and ``false`` are the same in any case, as booleans and as text.
- Any other text equals itself only: ``007`` is not ``7``.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from typing import Any

from ktrace.jaeger import Span, tags
from ktrace.text import clean

_RENAMED = (
    ("http.method", "http.request.method"),
    ("http.status_code", "http.response.status_code"),
    ("http.target", "url.path"),
    ("user_agent.original", "http.user_agent"),
)
"""Attributes by older and newer name (otelhttp 0.61); an expectation may use either for both."""
_ERROR = "error"
_BOOLEANS = ("true", "false")


def is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def matches(pattern: str, text: str) -> bool:
    """Whether all of ``text`` is what ``pattern`` says; both in the same case."""
    return bool(_compiled(pattern).fullmatch(text))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    first, *others = (re.escape(part).replace(r"\?", ".") for part in clean(pattern).split("*"))
    if not others:
        return re.compile(first, re.DOTALL)
    *middle, last = others
    # What lies between two stars is found at its first place, and never sought again.
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle) + f".*{last}", re.DOTALL)


def names(key: str) -> tuple[str, ...]:
    """All names of the attribute ``key``."""
    return next((names for names in _RENAMED if key in names), (key,))


def values(span: Span, key: str) -> list[Any]:
    """The span's attribute, then its process's: what is the same for all spans of a resource."""
    found = [
        attributes[name]
        for attributes in (span.tags, span.process)
        for name in names(key)
        if name in attributes
    ]
    if key == tags.SERVICE:
        return [*found, span.service]
    if key == _ERROR and not found:  # Jaeger leaves it out where no error is
        return [False]
    return found


def equals(written: str, value: Any) -> bool:
    """Whether an attribute's ``value`` is what an expectation has ``written``."""
    text = tags.text_of(value)
    if is_pattern(written):
        return matches(written, text)
    if written.lower() in _BOOLEANS and text.lower() in _BOOLEANS:
        return written.lower() == text.lower()
    if _is_number(value) and tags.is_number(written) and tags.is_number(text):
        return Decimal(written) == Decimal(text)
    return clean(written) == text


def is_found_by_jaeger(key: str, written: str) -> bool:
    """Whether a search with this tag finds every span that ``equals`` accepts."""
    return not (
        is_pattern(written)
        or not tags.is_findable(key, written)
        or written.lower() in _BOOLEANS
        or clean(written) != written
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
