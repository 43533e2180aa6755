"""One search for traces: what a store is sent of it, and which of its answers belong to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ktrace.jaeger import tags
from ktrace.jaeger.model import Span, Trace
from ktrace.jaeger.store import Store
from ktrace.text import clean


@dataclass(frozen=True)
class Search:
    """For traces with a span of ``service`` that is all of this; ``shortest`` in microseconds.

    ``process`` are texts that its process has; ``tags`` are the span's or its process's.
    """

    service: str
    operation: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    shortest: int = 0
    process: Mapping[str, str] = field(default_factory=dict)

    def query(self, store: Store) -> dict[str, str | int]:
        """The parameters for ``store``, without its limit and period.

        By these it finds all traces of the search, and perhaps others.
        """
        query: dict[str, str | int] = {"service": self.service}
        if self._sends_operation(store):
            query["operation"] = self.operation
        if sent := self._sent(store):
            spell = tags.escaped if store.patterns else str
            query["tags"] = json.dumps({key: spell(value) for key, value in sent.items()})
        if self.shortest and not store.single:
            query["minDuration"] = f"{self.shortest}us"
        return query

    def is_sent_whole(self, store: Store) -> bool:
        """Whether ``store`` can be searched for all of it."""
        wanted = self.process.keys() | self.tags.keys()
        return (
            self._sent(store).keys() == wanted
            and (not self.operation or self._sends_operation(store))
            and not (self.shortest and store.single)
        )

    def rows(
        self, store: Store, traces: Iterable[Trace], start: int | None, end: int | None
    ) -> int:
        """How many rows of an index a search of a period may have read for ``traces``, at most.

        A tag has one for each span that has it, or one of whose events has: those are not known
        here.
        """
        service = clean(self.service)
        operation = clean(self.operation) if self._sends_operation(store) else ""
        return sum(
            span.service == service
            and (not operation or span.operation == operation)
            and (start is None or span.start >= start)
            and (end is None or span.start <= end)
            for trace in traces
            for span in trace.spans
        )

    def finds(self, trace: Trace) -> bool:
        """Whether one span of ``trace`` is all of it, whatever made a store find the trace.

        Times are the store's to compare: Jaeger may correct the clocks in its answers.
        """
        return any(self.matching(trace))

    def includes(self, other: Search) -> bool:
        """Whether every span that is all of ``other`` is all of this."""
        return (
            self.service == other.service
            and self.operation in ("", other.operation)
            and self.shortest <= other.shortest
            and self.tags.items() <= other.tags.items()
            and self.process.items() <= other.process.items()
        )

    def matching(self, trace: Trace) -> Iterator[Span]:
        """The spans of ``trace`` that are all of it."""
        service, operation = clean(self.service), clean(self.operation)
        return (span for span in trace.spans if self._is(span, service, operation))

    def _is(self, span: Span, service: str, operation: str) -> bool:
        return (
            span.service == service
            and (not operation or span.operation == operation)
            and span.duration >= self.shortest
            and tags.are_of(span, self.tags)
            and all(span.process.get(key) == clean(text) for key, text in self.process.items())
        )

    def _sends_operation(self, store: Store) -> bool:
        too_long = tags.is_too_long_for(store, self.operation) and not store.operations
        if not self.operation or too_long:
            return False
        return not (store.single and self._findable(store, self.tags))

    def _sent(self, store: Store) -> dict[str, str]:
        process = {
            key: text
            for key, text in self.process.items()
            if not tags.is_too_long_for(store, key, text)
        }
        of_span = self._findable(store, self.tags)
        if not store.single:
            return process | of_span
        if not of_span and self._sends_operation(store):
            return {}
        # The longest value is most likely to be of few spans: a UID, a name.
        return dict(sorted((of_span or process).items(), key=lambda tag: -len(tag[1]))[:1])

    @staticmethod
    def _findable(store: Store, wanted: Mapping[str, str]) -> dict[str, str]:
        return {
            key: value for key, value in wanted.items() if tags.is_findable_in(store, key, value)
        }

    def __str__(self) -> str:
        """The search in a message."""
        wanted = [self.service, self.operation, *(f"{key}={self.tags[key]}" for key in self.tags)]
        return clean(" ".join(filter(None, wanted)))
