"""Text from outside: one line, every character visible, whatever a span or a pod contains."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace.text import clean, cleaned

HARMFUL = (
    "\x1b]0;title\x07\x1b[2J\x9b31m\x00\x7f\x85"
    "a\r\nb\tc\u2028d\u2029e"
    "\u061c\u200e\u200f\u202a\u202e\u2066\u2069"
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u3164\ufe0f\U000e0001\ud800"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("größer → 界", "größer → 界"),
        ("first\nsecond\tthird", "first second third"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202egpj.exe", "abc\\u202egpj.exe"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("half \ud83d", "half \\ud83d"),
        ("", ""),
    ],
)
def test_what_is_harmful_becomes_visible(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(st.text(st.characters() | st.sampled_from(HARMFUL)))
def test_no_text_controls_anything_and_twice_is_once(text: str) -> None:
    shown = clean(text)
    assert not {unicodedata.category(character) for character in shown} & {
        "Cc",
        "Cf",
        "Cs",
        "Zl",
        "Zp",
    }
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert clean(shown) == shown


def test_a_document_is_clean_to_its_leaves() -> None:
    document = {"a\n": [{"b": "\x1b["}, 1, None, True, 2.5]}
    assert cleaned(document) == {"a ": [{"b": "\\x1b["}, 1, None, True, 2.5]}
