"""How an unknown store is recognized by what Jaeger answers.

A refusal names its store. Whether a tag's value is a pattern is learned from a pattern that finds
something: a broken pattern is no proof, since Jaeger takes an answer for whole if one shard of many
has refused it, and a shard without a span of the period never reads it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from ktrace.jaeger import tags
from ktrace.jaeger.model import Span, Trace
from ktrace.jaeger.search import Search
from ktrace.jaeger.store import CASSANDRA, LUCENE, TEXT, Store

REFUSED_BY_CASSANDRA: dict[str, str | int] = {
    "tags": json.dumps({"ktrace": "asks"}),
    "minDuration": "1us",
    "start": 1,
    "end": 2,
    "limit": 1,
}
"""Of no span. Cassandra refuses a tag and a duration together before it reads anything."""
_TOLD = (
    ("elastic: Error", LUCENE),
    ("jaeger-span-", LUCENE),
    ("all shards failed", LUCENE),
    ("cannot query for duration and tags simultaneously", CASSANDRA),
)
"""What only Jaeger's reader of one kind of store says."""
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./:-]{0,99}")
"""Text that every store finds and Jaeger shows as it was sent."""

Tag = tuple[str, str]


def told_by(reason: str) -> Store | None:
    """The store that Jaeger's refusal for ``reason`` tells."""
    return next((store for text, store in _TOLD if text in reason), None)


def common_tag(search: Search, traces: Iterable[Trace]) -> Tag | None:
    """One that all spans have which made ``search`` find ``traces``; None if there is none.

    Only some of them may have begun in the period of the search. What Jaeger makes itself is the
    last choice: not every store finds it, those that take patterns do.
    """
    spans = [span for trace in traces for span in search.matching(trace)]
    common = set.intersection(*map(_plain_tags, spans)) if spans else set()
    return min(common, key=lambda tag: (not tags.is_findable(*tag), tag), default=None)


def pattern_of(tag: Tag) -> dict[str, str | int]:
    """The parameters of a search for ``tag`` by a pattern, which as text is another value."""
    key, value = tag
    return {"tags": json.dumps({key: _pattern(value)})}


def store_that_found(tag: Tag, traces: Iterable[Trace]) -> Store:
    """The store that found ``traces`` by the pattern of ``tag``, which spans of the period have."""
    key, value = tag
    text = {key: _pattern(value)}
    by_pattern = (trace for trace in traces if not any(tags.are_of(s, text) for s in trace.spans))
    return LUCENE if any(by_pattern) else TEXT


def _pattern(value: str) -> str:
    """A group means the same in all versions of Lucene."""
    return f"({tags.escaped(value)})"


def _plain_tags(span: Span) -> set[Tag]:
    return {
        (key, value)
        for attributes in (span.process, span.tags)
        for key, value in attributes.items()
        if isinstance(value, str) and all(map(_PLAIN.fullmatch, (key, value)))
    }
