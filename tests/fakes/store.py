"""Jaeger's memory store, as far as its query API shows it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from tests.fakes.jaeger import data

_LOOK_BACK = 48 * 3600 * 1_000_000
"""Of a search without a start, in microseconds."""


class Store:
    """Holds the ``newest`` traces that arrived, and finds the newest of these.

    ``searches`` counts all searches, ``found`` and ``sent`` the traces and bytes of their answers.
    """

    def __init__(self, traces: Iterable[Mapping[str, Any]] = (), newest: int | None = None) -> None:
        self._traces: dict[str, dict[str, Any]] = {}
        self._newest = newest
        self.sent = 0
        self.found = 0
        self.searches = 0
        for trace in traces:
            self.add(trace)

    def add(self, trace: Mapping[str, Any]) -> None:
        """Spans that arrive: of a new trace, or more of one that is there."""
        held = self._traces.setdefault(
            trace["traceID"], {"traceID": trace["traceID"], "spans": [], "processes": {}}
        )
        spans = [{**span, "traceID": trace["traceID"]} for span in trace["spans"]]
        held["spans"] = [*held["spans"], *spans]
        held["processes"] = held["processes"] | trace["processes"]
        if self._newest is not None:
            for oldest in list(self._traces)[: max(0, len(self._traces) - self._newest)]:
                del self._traces[oldest]

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/services"):
            services = {
                process["serviceName"]
                for held in self._traces.values()
                for process in held["processes"].values()
            }
            return httpx.Response(200, json={"data": sorted(services)})
        if request.url.path.endswith("/operations"):
            names = {
                span["operationName"] for held in self._traces.values() for span in held["spans"]
            }
            return httpx.Response(200, json={"data": sorted(names)})
        query = dict(request.url.params)
        query.setdefault("start", str(self._youngest() - _LOOK_BACK))
        tags = json.loads(query.get("tags", "{}"))
        found = [
            trace
            for trace in self._traces.values()
            if any(
                self._matches(span, query, tags, trace["processes"][span["processID"]])
                for span in trace["spans"]
            )
        ]
        answer = found[::-1][: int(query.get("limit", 100))]
        response = data(*answer)
        self.found += len(answer)
        self.sent += len(response.content)
        self.searches += 1
        return response

    def _youngest(self) -> int:
        spans = (span for held in self._traces.values() for span in held["spans"])
        return max((int(span["startTime"]) for span in spans), default=0)

    @staticmethod
    def _matches(
        span: Mapping[str, Any],
        query: Mapping[str, str],
        tags: Mapping[str, str],
        process: Mapping[str, Any],
    ) -> bool:
        own = {tag["key"]: str(tag["value"]) for tag in (*process["tags"], *span["tags"])}
        return (
            process["serviceName"] == query.get("service", process["serviceName"])
            and query.get("operation", span["operationName"]) == span["operationName"]
            and int(query["start"]) <= span["startTime"] <= int(query.get("end", 1 << 62))
            and span["duration"] >= int(query.get("minDuration", "0us").removesuffix("us"))
            and all(own.get(key) == value for key, value in tags.items())
        )
