"""A typed reader of Jaeger's query API.

The ``/api`` routes are the same in 1.35, 1.76 and 2.20 and the only HTTP ones with a search by tag
on v1. What Jaeger answers before it has anything (null data, 404, its page as HTML, a refused
connection) is read as "nothing yet" where that can pass, and as JaegerError where it cannot.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

_PAGE = 1000
"""Traces in one answer, where all are wanted."""


class JaegerError(Exception):
    """Jaeger is not there, or does not answer as Jaeger does."""


@dataclass(frozen=True)
class Span:
    """One span; times are microseconds, ``start`` since the Unix epoch."""

    trace_id: str
    span_id: str
    parent_id: str | None
    service: str
    operation: str
    start: int
    duration: int
    tags: Mapping[str, Any] = field(repr=False)
    process: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Tags of the process that sent it."""

    @property
    def end(self) -> int:
        return self.start + self.duration

    @property
    def failed(self) -> bool:
        """``error`` is Jaeger's tag for a status of Error; v1 kept it as text."""
        return str(self.tags.get("error", "")).lower() == "true"


@dataclass(frozen=True)
class Trace:
    """The spans of one trace that Jaeger has so far, in order of their start."""

    id: str
    spans: tuple[Span, ...]

    def below(self, span: Span) -> list[Span]:
        """Every span under ``span``, in order of their start."""
        inside = {span.span_id}
        grown = True
        while grown:
            more = {each.span_id for each in self.spans if each.parent_id in inside} - inside
            inside |= more
            grown = bool(more)
        return [each for each in self.spans if each.span_id in inside and each is not span]

    def outermost(self, span: Span, service: str) -> Span:
        """The topmost ancestor of ``span`` that is of ``service``, or ``span`` itself."""
        others = {each.span_id: each for each in self.spans}
        found, above = span, others.pop(span.parent_id or "", None)
        while above:
            found = above if above.service == service else found
            above = others.pop(above.parent_id or "", None)
        return found

    @property
    def holes(self) -> int:
        """Number of spans whose parent is not there: on its way still, or lost."""
        known = {span.span_id for span in self.spans}
        return sum(bool(span.parent_id) and span.parent_id not in known for span in self.spans)

    @property
    def counts(self) -> dict[str, int]:
        """Number of spans by service."""
        services = [span.service for span in self.spans]
        return {service: services.count(service) for service in sorted(set(services))}


class Jaeger:
    """A client of the Jaeger at ``url``; ``timeout`` in seconds holds for each request."""

    def __init__(self, url: str, timeout: float = 10) -> None:
        self.url = url.rstrip("/")
        # Jaeger is on 127.0.0.1, where no proxy of the user's reaches.
        self._http = httpx.Client(base_url=self.url, timeout=timeout, trust_env=False)

    def __enter__(self) -> Jaeger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def services(self) -> list[str]:
        return sorted(self._data("/api/services", {}) or [])

    def operations(self, service: str) -> list[str]:
        path = f"/api/services/{quote(service, safe='')}/operations"
        return sorted(self._data(path, {}) or [])

    def find(
        self,
        service: str,
        operation: str = "",
        *,
        tags: Mapping[str, str] | None = None,
        start: int | None = None,
        end: int | None = None,
        limit: int = 20,
    ) -> list[Trace]:
        """Traces with a span of ``service`` that matches; ``start``, ``end`` in microseconds.

        Raises JaegerError when Jaeger cannot be asked; finding nothing is an empty list.
        """
        query: dict[str, str | int] = {"service": service, "limit": limit}
        if operation:
            query["operation"] = operation
        if tags:
            query["tags"] = json.dumps(dict(tags))
        if start is not None:
            query["start"] = start
        if end is not None:
            query["end"] = end
        return [_trace(each) for each in self._data("/api/traces", query) or []]

    def find_all(
        self,
        service: str,
        operation: str = "",
        *,
        tags: Mapping[str, str] | None = None,
        start: int,
        end: int,
        most: int,
    ) -> tuple[list[Trace], bool]:
        """What ``find`` finds without a limit, and whether that is all; else the newest ``most``.

        A time with more traces than one answer holds is halved: a trace that began before the
        oldest of an answer may well match by a later span.
        """
        found: dict[str, Trace] = {}
        times = [(start, end)]
        while times:
            start, end = times.pop()
            page = self.find(service, operation, tags=tags, start=start, end=end, limit=_PAGE)
            if len(page) >= _PAGE and start < end:
                middle = (start + end) // 2
                times += [(start, middle), (middle + 1, end)]
                continue
            found |= {trace.id: trace for trace in page}
            if len(page) >= _PAGE or (times and len(found) >= most):
                return list(found.values()), False
        return list(found.values()), True

    def trace(self, trace_id: str) -> Trace | None:
        """None while Jaeger does not know it."""
        found = self._data(f"/api/traces/{trace_id}", {}) or []
        return _trace(found[0]) if found else None

    def link(self, trace: Trace) -> str:
        return f"{self.url}/trace/{trace.id}"

    def _data(self, path: str, query: Mapping[str, str | int]) -> Any:
        try:
            answer = self._http.get(path, params=dict(query))
        except httpx.HTTPError as error:
            raise JaegerError(f"Jaeger at {self.url} cannot be asked: {error}") from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        try:
            document = answer.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise JaegerError(
                f"{self.url}{path} answers {answer.status_code} and no JSON object: is that Jaeger?"
            )
        if answer.is_error:
            raise JaegerError(f"Jaeger answers {answer.status_code}: {document.get('errors')}")
        return document.get("data")


def _trace(document: Mapping[str, Any]) -> Trace:
    processes = document.get("processes") or {}
    spans = (_span(span, processes) for span in document.get("spans") or [])
    return Trace(document["traceID"], tuple(sorted(spans, key=lambda span: span.start)))


def _span(span: Mapping[str, Any], processes: Mapping[str, Any]) -> Span:
    parents = [
        reference["spanID"]
        for reference in span.get("references") or []
        if reference["refType"] == "CHILD_OF" and reference["traceID"] == span["traceID"]
    ]
    process = processes[span["processID"]]
    return Span(
        trace_id=span["traceID"],
        span_id=span["spanID"],
        parent_id=parents[0] if parents else None,
        service=process["serviceName"],
        operation=span["operationName"],
        start=span["startTime"],
        duration=span["duration"],
        tags=_tags(span),
        process=_tags(process),
    )


def _tags(document: Mapping[str, Any]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in document.get("tags") or []}
