"""A typed reader of Jaeger's query API.

The ``/api`` routes are the same in 1.35, 1.76 and 2.20 and the only HTTP ones with a search by tag
on v1. What Jaeger answers before it has anything (null data, 404, its page as HTML, a refused
connection) is read as "nothing yet" where that can pass, and as JaegerError where it cannot.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from ktrace.jaeger.model import Trace, trace_of

_PAGE = 1000
"""Traces in one answer, where all are wanted."""


class JaegerError(Exception):
    """Jaeger is not there, or does not answer as Jaeger does."""


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
        return [trace_of(each) for each in self._data("/api/traces", query) or []]

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
        return trace_of(found[0]) if found else None

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
