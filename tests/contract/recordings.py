"""Recorded pods, as they were traced: their spans go to every store."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from ktrace.components import APISERVER
from ktrace.jaeger import Jaeger
from tests.contract.spans import NOW, SECOND, Sent, of_jaeger
from tests.fakes import recorded_pods
from tests.fakes.recorded import FOLDER
from tests.fakes.recorded_pods import Recorded
from tests.replay.recordings import with_pod

_SERVER = 2
"""OpenTelemetry's kind of a span that answers a request."""
_VERSION = "v1.36"
KINDS = tuple(sorted(file.name.removesuffix(".json.gz") for file in (FOLDER / _VERSION).iterdir()))


@cache
def load(kind: str) -> Recorded:
    return recorded_pods.load(_VERSION, kind)


def spans() -> list[Sent]:
    """All spans once, whichever recordings have them."""
    found = {
        (sent.trace, sent.id): sent
        for kind in KINDS
        for trace in load(kind).traces
        for sent in of_jaeger(trace)
    }
    return list(found.values())


@cache
def requests() -> tuple[Sent, ...]:
    """The API server's spans while kubectl created a pod and deleted it, as if it had been now."""
    recorded = [
        replace(made, kind=_SERVER) if "http.request.method" in made.tags else made
        for trace in with_pod()
        for made in of_jaeger(trace)
        if made.service == APISERVER
    ]
    later = NOW * 1000 - max(made.start + made.took for made in recorded)
    return tuple(replace(made, start=made.start + later) for made in recorded)


def traces() -> list[dict[str, Any]]:
    """The same, as Jaeger's API had them; of two recordings of a trace, the one with more spans."""
    found: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        for trace in load(kind).traces:
            known = found.get(trace["traceID"])
            if known is None or len(known["spans"]) < len(trace["spans"]):
                found[trace["traceID"]] = trace
    return list(found.values())


def missing(jaeger: Jaeger) -> set[str]:
    """The ids of traces that are not whole in Jaeger yet."""
    wanted: dict[str, int] = {}
    for sent in spans():
        wanted[sent.trace] = wanted.get(sent.trace, 0) + 1
    start, end = min(sent.start for sent in spans()), max(sent.start for sent in spans())
    for service in {sent.service for sent in spans()}:
        traces, _ = jaeger.find_all(
            service, start=start // 1000 - SECOND, end=end // 1000 + SECOND, most=10_000
        )
        for trace in traces:
            if len(trace.spans) == wanted.get(trace.id):
                del wanted[trace.id]
    return set(wanted)
