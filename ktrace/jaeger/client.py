"""A typed reader of Jaeger's query API.

The ``/api`` routes are the same in 1.35, 1.76 and 2.20, and on v1 the only HTTP routes that search
by tag. Null data and 404, which Jaeger sends before it has any spans, are read as "nothing yet"; a
refused connection and anything that is not JSON are a JaegerError.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

from ktrace.jaeger import model, paging
from ktrace.jaeger.model import Trace
from ktrace.text import clean

T = TypeVar("T")


class JaegerError(Exception):
    """Jaeger cannot be reached, or what answers is not Jaeger."""


class Jaeger:
    """A client of the Jaeger at ``url``; ``timeout`` in seconds applies to each request."""

    def __init__(self, url: str, timeout: float = 10) -> None:
        from runtime_observability.host.http import httpx  # noqa: PLC0415  --help and completion would wait 0.1 s for it

        self.url = url.rstrip("/")
        self._failures = (httpx.HTTPError,)
        try:
            # Jaeger is on 127.0.0.1, which no proxy of the user can reach.
            self._http = httpx.Client(base_url=self.url, timeout=timeout, trust_env=False)
        except (httpx.InvalidURL, UnicodeError) as error:
            told = clean(f"{self.url} is not Jaeger's address: {error}")
            raise JaegerError(told) from None

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
        return self._names("/api/services")

    def operations(self, service: str) -> list[str]:
        return self._names(f"/api/services/{quote(service, safe='')}/operations")

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

        ``start`` and ``end`` are microseconds since the Unix epoch: the span began between them.
        ``shortest`` is its least duration in microseconds. Raises JaegerError.
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
        if shortest:
            query["minDuration"] = f"{shortest}us"
        return self._traces("/api/traces", query)

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
    ) -> tuple[list[Trace], bool]:
        """All matching traces and True, or about the newest ``most`` of them and False.

        The caller tells the user about False. Without ``start`` in a search Jaeger looks back two
        days only, so it has no default here. Raises JaegerError.
        """

        def page(start: int, end: int) -> list[Trace]:
            return self.find(
                service,
                operation,
                tags=tags,
                start=start,
                end=end,
                shortest=shortest,
                limit=paging.PAGE,
            )

        return paging.newest(page, start, end, most)

    def trace(self, trace_id: str) -> Trace | None:
        """None while Jaeger has no span of it."""
        found = self._traces(f"/api/traces/{quote(trace_id, safe='')}", {})
        return found[0] if found else None

    def link(self, trace: Trace) -> str:
        return f"{self.url}/trace/{trace.id}"

    def _names(self, path: str) -> list[str]:
        return self._read(path, {}, lambda data: sorted(clean(name) for name in data))

    def _traces(self, path: str, query: Mapping[str, str | int]) -> list[Trace]:
        return self._read(path, query, lambda data: list(map(model.trace_of, data)))

    def _read(
        self, path: str, query: Mapping[str, str | int], parse: Callable[[Any], list[T]]
    ) -> list[T]:
        """What ``parse`` makes of the answer's data; empty where there is none."""
        try:
            return parse(self._data(path, query) or [])
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise JaegerError(
                f"{self.url}{path} answers with data that is not Jaeger's "
                f"({type(error).__name__}: {clean(str(error))}): is that Jaeger?"
            ) from None

    def _data(self, path: str, query: Mapping[str, str | int]) -> Any:
        status, text = self._get(path, query)
        if status == HTTPStatus.NOT_FOUND:
            return None
        told = f"{self.url}{path} answers {status}"
        document = None
        try:
            document = model.read(text)
        except json.JSONDecodeError:
            if text.lstrip().startswith(b"{"):
                raise JaegerError(f"{told} with JSON that is not complete: try again") from None
        except (ValueError, TypeError, RecursionError):
            pass
        if not isinstance(document, dict):
            raise JaegerError(
                f"{told} without a JSON object: is that Jaeger? --jaeger names its address"
            )
        if status >= HTTPStatus.BAD_REQUEST:
            reason = clean(str(document.get("errors")))
            raise JaegerError(f"Jaeger answers {status}: {reason}. Its log says more")
        return document.get("data")

    def _get(self, path: str, query: Mapping[str, str | int]) -> tuple[int, bytearray]:
        """The status and the body, which is in memory once: httpx itself has it twice."""
        text = bytearray()
        try:
            with self._http.stream("GET", path, params=dict(query)) as response:
                for chunk in response.iter_bytes():
                    text += chunk
        except self._failures as error:
            reason = clean(str(error)) or type(error).__name__
            raise JaegerError(
                f"Jaeger at {self.url} cannot be reached: {reason}. Start it, or name another one "
                "with --jaeger"
            ) from error
        return response.status_code, text
