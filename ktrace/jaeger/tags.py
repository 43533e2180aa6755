"""Tags in a search: what a store finds by them, and whether a span has them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ktrace.jaeger.model import Span
from ktrace.jaeger.store import Store
from ktrace.text import clean

SERVICE = "service.name"
_MADE_BY_JAEGER = ("error", "span.kind", SERVICE, "w3c.tracestate")
_PREFIXES_MADE_BY_JAEGER = ("otel.", "internal.")
"""Jaeger shows these, but its memory store does not find them: it makes them from the status, the
kind and the scope when it answers, and a search for ``error=true`` finds spans that did not fail
(jaeger v1.76.0 internal/storage/v2/memory/tenant.go, validSpan)."""
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")
_SPELLED_ALIKE = re.compile(r"0|-?[1-9][0-9]{0,8}")
"""Numbers that Jaeger spells so whatever their type and store; a float has ten digits in some."""
_LUCENE = re.compile(r"""[.?+*|{}\[\]()"\\#@&<>~]""")
"""What means something in a regular expression of Lucene's with all of its operators."""


def text_of(value: Any) -> str:
    """A tag's value as a search has it: text as it is, and JSON of anything else."""
    return value if isinstance(value, str) else clean(json.dumps(value, ensure_ascii=False))


def is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text))


def is_findable(key: str, value: str) -> bool:
    """Whether every store finds all spans that have the tag, if ``value`` is short."""
    return not (
        key in _MADE_BY_JAEGER
        or key.startswith(_PREFIXES_MADE_BY_JAEGER)
        or (is_number(value) and not _SPELLED_ALIKE.fullmatch(value))
    )


def is_findable_in(store: Store, key: str, value: str) -> bool:
    """Whether ``store`` finds all spans that have the tag."""
    return (
        is_findable(key, value)
        and not is_too_long_for(store, key, value)
        and (store.objects or not value.startswith("{"))
    )


def is_too_long_for(store: Store, *texts: str) -> bool:
    return store.longest is not None and any(len(text.encode()) > store.longest for text in texts)


def escaped(value: str) -> str:
    """The regular expression of Lucene's that stands for ``value``."""
    return _LUCENE.sub(r"\\\g<0>", value)


def are_of(span: Span, tags: Mapping[str, str]) -> bool:
    """Whether the span or its process has all of ``tags``; those of its events do not count."""
    return all(_is_of(span, key, value) for key, value in tags.items())


def _is_of(span: Span, key: str, value: str) -> bool:
    if key == SERVICE and clean(value) == span.service:
        return True
    return any(
        _equals(value, attributes[key])
        for attributes in (span.tags, span.process)
        if key in attributes
    )


def _equals(written: str, value: Any) -> bool:
    text = text_of(value)
    if is_number(written) and not isinstance(value, str | bool) and is_number(text):
        return Decimal(written) == Decimal(text)
    return clean(written) == text
