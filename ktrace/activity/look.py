"""The requests of the last minutes, read again and again without reading all of them again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ktrace.activity.requests import METHODS, ApiRequest, needed, requests_in
from ktrace.activity.window import Window
from ktrace.components import APISERVER
from ktrace.jaeger import Jaeger, Reader, Trace, paging
from ktrace.jaeger.client import now

_MOST = 20_000
"""Traces that are read."""
_SHORTEST = 60_000_000
"""Microseconds after which everything is read again: the reader keeps what it has found."""


class Activity:
    """What a Jaeger has of the last ``period`` microseconds.

    With ``methods`` it has all requests of these and few others.
    """

    def __init__(self, jaeger: Jaeger, period: int, methods: Collection[str] = ()) -> None:
        self._jaeger, self._period = jaeger, period
        self._tags = [{key: method} for method in methods for key in METHODS] or [{}]
        self._reader, self._start = Reader(jaeger, needed), 0
        self._known: dict[str, tuple[int, list[ApiRequest]]] = {}
        """By trace: how many spans it had, and its requests."""

    def look(self) -> tuple[list[ApiRequest], Window]:
        """The requests that began in the period that ends now. Raises JaegerError."""
        until = now()
        begin = max(0, until - self._period)
        if begin - self._start > max(self._period, _SHORTEST):
            self._reader, self._start = Reader(self._jaeger, needed), begin
        traces: dict[str, Trace] = {}
        complete = True
        for tags in self._tags:
            found, whole = self._reader.find_all(
                APISERVER, tags=tags, start=self._start, end=until, most=_MOST
            )
            paging.add(traces, found)
            complete &= whole
        known, self._known = self._known, {}
        for trace in traces.values():
            spans, requests = known.get(trace.id, (0, []))
            if spans != len(trace.spans):
                # Of a copy: the index of a trace would stay with it.
                requests = list(requests_in([replace(trace)]))
            self._known[trace.id] = len(trace.spans), requests
        every = (request for _, requests in self._known.values() for request in requests)
        within = [request for request in every if begin <= request.start <= until]
        return within, Window.seen(within, begin, until, complete=complete)
