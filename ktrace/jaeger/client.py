"""A typed reader of Jaeger's query API.

The ``/api`` routes are the same in 1.35, 1.76 and 2.20, and on v1 the only HTTP routes that search
by tag. Null data and 404, which Jaeger sends before it has any spans, are read as "nothing yet"; a
refused connection and anything that is not JSON are a JaegerError.
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
"""Traces in one response, when all matching traces are wanted."""


class JaegerError(Exception):
    """Jaeger cannot be reached, or what answers is not Jaeger."""


class Jaeger:
    """A client of the Jaeger at ``url``; ``timeout`` in seconds applies to each request."""

    def __init__(self, url: str, timeout: float = 10) -> None:
        self.url = url.rstrip("/")
        # Jaeger is on 127.0.0.1, which no proxy of the user can reach.
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
        """Traces with a matching span of ``service``; empty when there are none.

        ``start`` and ``end`` are microseconds since the Unix epoch. Raises JaegerError.
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
        return [trace_of(document) for document in self._data("/api/traces", query) or []]

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
        """All matching traces and True, or about the newest ``most`` of them and False.

        A period with more traces than one response holds is halved. Continuing before the oldest
        trace of a response would miss some: a trace that began earlier can match by a later span.
        """
        found: dict[str, Trace] = {}
        periods = [(start, end)]
        while periods:
            start, end = periods.pop()
            page = self.find(service, operation, tags=tags, start=start, end=end, limit=_PAGE)
            if len(page) >= _PAGE and start < end:
                middle = (start + end) // 2
                periods += [(start, middle), (middle + 1, end)]
                continue
            found |= {trace.id: trace for trace in page}
            if len(page) >= _PAGE or (periods and len(found) >= most):
                return list(found.values()), False
        return list(found.values()), True

    def trace(self, trace_id: str) -> Trace | None:
        """None while Jaeger has no span of it."""
        found = self._data(f"/api/traces/{trace_id}", {}) or []
        return trace_of(found[0]) if found else None

    def link(self, trace: Trace) -> str:
        return f"{self.url}/trace/{trace.id}"

    def _data(self, path: str, query: Mapping[str, str | int]) -> Any:
        try:
            response = self._http.get(path, params=dict(query))
        except httpx.HTTPError as error:
            raise JaegerError(f"Jaeger at {self.url} cannot be reached: {error}") from error
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise JaegerError(
                f"{self.url}{path} answers {response.status_code} without a JSON object: "
                "is that Jaeger?"
            )
        if response.is_error:
            raise JaegerError(f"Jaeger answers {response.status_code}: {document.get('errors')}")
        return document.get("data")
