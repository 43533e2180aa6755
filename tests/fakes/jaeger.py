"""Responses of Jaeger's query API, for a client that does not use the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from ktrace.jaeger import Jaeger
from ktrace.jaeger.store import MEMORY, Store
from tests.fakes.http import Reply, Request

Handler = Callable[[httpx.Request], httpx.Response]
URL = "http://127.0.0.1:16686"


def client(handler: Handler, store: Store = MEMORY) -> Jaeger:
    """A Jaeger client whose requests ``handler`` answers, as a Jaeger with ``store`` would."""
    return Jaeger(URL, store=store, http={"transport": httpx.MockTransport(handler)})


def served(handler: Handler) -> Callable[[Request], Reply]:
    """``handler`` as the ``answer`` of a FakeServer."""

    def answer(request: Request) -> Reply:
        response = handler(httpx.Request(request.method, f"{URL}{request.path}"))
        return Reply(response.status_code, response.text)

    return answer


def span(
    service: str, operation: str, start: int = 0, parent: str = "", **tags: Any
) -> dict[str, Any]:
    """A span of trace ``t1``; its id is the operation's name. Times are in microseconds."""
    references = [{"refType": "CHILD_OF", "traceID": "t1", "spanID": parent}] if parent else []
    return {
        "traceID": "t1",
        "spanID": operation,
        "operationName": operation,
        "references": references,
        "startTime": start,
        "duration": 10,
        "tags": [{"key": key, "type": "string", "value": value} for key, value in tags.items()],
        "processID": service,
        "warnings": None,
    }


def trace(*spans: dict[str, Any], trace_id: str = "t1") -> dict[str, Any]:
    services = {span["processID"] for span in spans}
    processes = {service: {"serviceName": service, "tags": []} for service in services}
    return {"traceID": trace_id, "spans": list(spans), "processes": processes, "warnings": None}


def data(*traces: Any) -> httpx.Response:
    return httpx.Response(200, json={"data": list(traces), "total": 0, "errors": None})
