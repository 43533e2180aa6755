"""Finds traces in Jaeger, with every store the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

from ktrace.clock import time
from ktrace.jaeger import detection, origin, paging
from ktrace.jaeger.api import Api, JaegerError, RefusalError
from ktrace.jaeger.model import Trace, merged
from ktrace.jaeger.origin import MixedStacksError, Origin
from ktrace.jaeger.paging import Page
from ktrace.jaeger.search import Search
from ktrace.jaeger.store import UNKNOWN, Store

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
_LOOK_BACK = 48 * _HOUR
"""Of a search without a start."""
_SKEW = 60 * _SECOND
"""How far the clock of whoever sent a span may be ahead."""
_MOST_READ_PAGES = 40
"""Where the store cannot be searched for all that is wanted, and traces are read to see."""
_MOST_READ_AGAIN = 200
_COMPARED = 20
"""Traces that are read of a shared Jaeger, however few are wanted."""
_TOO_MANY = "search depth must be"

R = TypeVar("R")

Keep = Callable[[Trace], Trace]
"""Leaves out of a trace what nobody asks for: of each of its spans, or spans that say no more than
another of them."""


class Jaeger:
    """A client of the Jaeger at ``url``; ``timeout`` in seconds applies to each request.

    A user and a password in ``url`` are sent, and shown nowhere.

    With every ``store`` it gives the same answers. UNKNOWN is replaced by what an answer tells.

    A ``shared`` Jaeger may hold the traces of many stacks. Then only the spans of ``stack`` are
    found; without one, all that is found must be of one stack, else MixedStacksError.
    """

    def __init__(
        self,
        url: str,
        timeout: float = 10,
        store: Store = UNKNOWN,
        *,
        stack: Origin | None = None,
        shared: bool = False,
        http: Mapping[str, Any] | None = None,
        why_down: Callable[[], str] = str,
    ) -> None:
        """``http`` and ``why_down`` are those of Api."""
        self._api = Api(url, timeout, http or {}, why_down)
        self.url = self._api.url
        self.store = store
        self.stack = stack
        self.shared = shared
        self._origins: set[Origin | None] = set()
        """Of everything that was found in a shared Jaeger."""
        self._most = paging.PAGE
        self._cut: dict[str, tuple[int, Trace]] = {}
        """Traces that were read again by their id, and how many spans a search had of them."""
        self._is_no_cassandra = False
        """Whether an UNKNOWN store has shown that it is none."""

    def __enter__(self) -> Jaeger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._api.close()

    def services(self) -> list[str]:
        return self._api.names("/api/services")

    def operations(self, service: str, since: int) -> list[str] | None:
        """Those of all its spans that began after ``since``, in microseconds since the Unix epoch.

        None if the store may not list them all. Raises JaegerError.
        """
        if self.store.listed is not None and since < now() - self.store.listed * _HOUR:
            return None
        return self._api.names(f"/api/services/{quote(service, safe='')}/operations")

    def find(
        self,
        service: str,
        operation: str = "",
        *,
        tags: Mapping[str, str] | None = None,
        start: int | None = None,
        end: int | None = None,
        shortest: int = 0,
        limit: int = 20,
    ) -> list[Trace]:
        """At most ``limit`` traces with a matching span of ``service``; empty when there are none.

        ``start`` and ``end`` are microseconds since the Unix epoch: the span began between them,
        which some stores see to the millisecond only. Without ``start`` Jaeger looks back two days.
        ``shortest`` is its least duration in microseconds. The span or its process has all of
        ``tags``. Raises JaegerError, also if too many traces would have to be read to find one.
        """
        search = self.search(service, operation, tags, shortest)
        # One trace would not show that there are others of another stack.
        asked = max(limit, _COMPARED) if self.shared and limit > 0 else limit
        found = self._knowing(
            search, start, end, lambda: self._some(search, start, end, asked) if asked > 0 else []
        )
        self._refuse_several_stacks(search, found)
        return self._whole(found[:limit])

    def find_all(
        self,
        service: str,
        operation: str = "",
        *,
        tags: Mapping[str, str] | None = None,
        start: int,
        end: int,
        most: int,
        shortest: int = 0,
        keep: Keep | None = None,
    ) -> tuple[list[Trace], bool]:
        """All matching traces and True, or about the newest ``most`` of them and False.

        The caller tells the user about False. Without ``start`` in a search Jaeger looks back two
        days only, so it has no default here. ``keep`` says what of a trace is kept while others are
        read. Raises JaegerError.
        """
        search = self.search(service, operation, tags, shortest)
        traces, complete = self._knowing(
            search,
            start,
            end,
            lambda: self._all(search, paging.periods(self.store, start, end), most, keep),
        )
        return self._whole(traces), complete

    def stacks(self, service: str) -> set[Origin | None]:
        """Those that the newest spans of ``service`` name; None is one that names none."""
        search = Search(service)
        found = self._knowing(
            search, None, None, lambda: self._some(search, None, None, _MOST_READ_AGAIN)
        )
        return {origin.of(span) for trace in found for span in search.matching(trace)}

    def narrow(self, stack: Origin | None) -> None:
        """From now on only what is of ``stack`` is found; None changes nothing."""
        if self.shared and stack:
            self.stack = stack
            self._origins.clear()

    def trace(self, trace_id: str) -> Trace | None:
        """None while Jaeger has no span of it."""
        found = self._api.traces(f"/api/traces/{quote(trace_id, safe='')}", {})
        return found[0] if found else None

    def link(self, trace: Trace) -> str:
        return f"{self.url}/trace/{trace.id}"

    def search(
        self,
        service: str,
        operation: str = "",
        tags: Mapping[str, str] | None = None,
        shortest: int = 0,
    ) -> Search:
        """What is searched for: in a shared Jaeger, of the stack that is known by now."""
        process = self.stack.tags if self.shared and self.stack else {}
        return Search(service, operation, tags or {}, shortest, process)

    def _refuse_several_stacks(self, search: Search, traces: Sequence[Trace]) -> None:
        if not self.shared:
            return
        self._origins |= {origin.of(span) for trace in traces for span in search.matching(trace)}
        if len(self._origins) > 1:
            raise MixedStacksError(self._origins)

    def _some(self, search: Search, start: int | None, end: int | None, limit: int) -> list[Trace]:
        found: dict[str, Trace] = {}
        if start is None or (end is None and self.store.days is None):
            page = self._page(search, start, end, limit)
            if not page.full or len(page.traces) >= limit:
                return list(page.traces)
        end = now() + _SKEW if end is None else end
        start = end - _LOOK_BACK if start is None else start
        for begin, until in paging.periods(self.store, start, end):
            page = self._page(search, begin, until, limit)
            paging.add(found, page.traces)
            if page.full and len(found) < limit:
                # Some that the store found do not belong to the search: others behind them may.
                more, whole = self._all(search, [(begin, until)], limit, of_one_stack=False)
                paging.add(found, more)
                if not whole and len(found) < limit:
                    raise JaegerError(
                        f"whether Jaeger has more traces of {search} is not known: its store "
                        "cannot search for that, and has too many traces to read all of them. "
                        "Choose a shorter time"
                    )
            if len(found) >= limit:
                break
        return list(found.values())[:limit]

    def _all(
        self,
        search: Search,
        periods: Sequence[paging.Period],
        most: int,
        keep: Keep | None = None,
        *,
        of_one_stack: bool = True,
    ) -> tuple[list[Trace], bool]:
        def page(start: int, end: int) -> Page:
            answer = self._page(search, start, end, paging.PAGE)
            if of_one_stack:
                self._refuse_several_stacks(search, answer.traces)
            return replace(answer, traces=list(map(keep, answer.traces))) if keep else answer

        most_pages = paging.MOST_PAGES if search.is_sent_whole(self.store) else _MOST_READ_PAGES
        return paging.newest(page, periods, most, most_pages)

    def _page(self, search: Search, start: int | None, end: int | None, limit: int) -> Page:
        """An answer with at most ``limit`` traces, fewer where the store refuses so many."""
        query = search.query(self.store) | self._period(start, end)
        traces = self._first(query, limit)
        matching = [trace for trace in traces if search.finds(trace)]
        asked = min(limit, self._most)
        full = len(traces) >= asked
        if self.store.rows is not None:
            full |= search.rows(self.store, traces, start, end) >= self.store.rows * asked
        begins = [span.start for trace in traces for span in trace.spans] if full else []
        return Page(matching, len(traces), full, begins)

    def _period(self, start: int | None, end: int | None) -> dict[str, str | int]:
        period: dict[str, str | int] = {}
        if start is not None:
            period["start"] = start if self.store.inclusive else max(0, start - 1)
        if end is not None:
            # A span may begin within the last microsecond.
            period["end"] = end + 1
        return period

    def _first(self, query: Mapping[str, str | int], limit: int) -> list[Trace]:
        """What Jaeger finds first; its memory store refuses more traces than it can hold."""
        while True:
            try:
                return self._api.traces("/api/traces", {**query, "limit": min(limit, self._most)})
            except RefusalError as refusal:
                if _TOO_MANY not in refusal.reason or self._most == 1:
                    raise
                self._most = min(limit, self._most) // 2

    def _whole(self, traces: list[Trace]) -> list[Trace]:
        """``traces``, with the spans that the search has cut off from a few of them."""
        if not self.store.cuts:
            return traces
        broken = [trace for trace in traces if trace.spans_without_parent]
        for trace in broken:
            known = self._cut.get(trace.id)
            if known is None or known[0] != len(trace.spans):
                if len(self._cut) >= _MOST_READ_AGAIN and known is None:
                    break
                self._cut[trace.id] = len(trace.spans), self.trace(trace.id) or trace
        return [
            merged(trace, self._cut[trace.id][1]) if trace.id in self._cut else trace
            for trace in traces
        ]

    def _knowing(
        self, search: Search, start: int | None, end: int | None, look: Callable[[], R]
    ) -> R:
        """What ``look`` returns once the store is known, as far as ``search`` depends on it."""
        try:
            self._ask_for_the_store(search, start, end)
            return look()
        except RefusalError as refusal:
            told = detection.told_by(refusal.reason)
            if self.store.is_known or not told:
                raise
            self.store = told
            return look()

    def _ask_for_the_store(self, search: Search, start: int | None, end: int | None) -> None:
        """Raises RefusalError, perhaps one that tells the store."""
        if self.store.is_known:
            return
        if not self._is_no_cassandra:
            refused = {"service": search.service, **detection.REFUSED_BY_CASSANDRA}
            self._api.traces("/api/traces", refused)
            self._is_no_cassandra = True
        if "tags" not in search.query(self.store):
            return
        any_tags = Search(search.service, search.operation)
        query = any_tags.query(self.store) | self._period(start, end) | {"limit": 1}
        tag = detection.common_tag(any_tags, self._api.traces("/api/traces", query))
        if tag:
            found = self._api.traces("/api/traces", query | detection.pattern_of(tag))
            self.store = detection.store_that_found(tag, found)


def now() -> int:
    """Microseconds since the Unix epoch."""
    return int(time.time() * _SECOND)
