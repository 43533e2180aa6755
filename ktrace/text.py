"""Makes text from outside harmless: what a span, a pod or an image contains is only ever text.

Applied where an answer is read, so that no view, file or page has to do it.
"""

from __future__ import annotations

import re
from typing import Any

_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What str.isprintable() lets pass although it has no width (Unicode's Default_Ignorable)."""


def clean(text: str) -> str:
    """``text`` as one line in which every character is visible.

    Line breaks, tabs and other white space become spaces. What controls a terminal or the order of
    characters (C0, C1, bidirectional and zero-width characters, lone surrogates) becomes an escape
    such as ``\\x1b``.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def cleaned(document: Any) -> Any:
    """A JSON document with every text in it clean, keys too."""
    if isinstance(document, str):
        return clean(document)
    if isinstance(document, list):
        return [cleaned(value) for value in document]
    if isinstance(document, dict):
        return {clean(key): cleaned(value) for key, value in document.items()}
    return document


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    if character.isprintable() and not _INVISIBLE.match(character):
        return character
    return character.encode("unicode_escape").decode()
