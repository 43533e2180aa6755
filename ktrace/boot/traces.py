"""The first spans of a boot in Jaeger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from ktrace.boot.model import SPAN, Mark
from ktrace.components import APISERVER, CONTAINERD, KUBELET
from ktrace.jaeger import Jaeger, Span
from ktrace.podstart.calls import SYNC
from ktrace.podstart.pod import SECOND
from ktrace.podstart.pod_spans import FIRST_SYNC, POD

_FIRST_PERIOD = SECOND
_LONGEST = 600 * SECOND
"""After the beginning of a boot."""
_MOST_TRACES = 5_000
_ETCD = "etcdserverpb.KV/Range"
_STARTED = "runtime.v1.RuntimeService/StartContainer"


def marks_since(jaeger: Jaeger, begin: datetime) -> Iterator[Mark]:
    """The first spans of each kind after ``begin``; raises JaegerError."""
    start = int(begin.timestamp() * SECOND)
    for service in (APISERVER, KUBELET, CONTAINERD):
        if span := _first(jaeger, start, service):
            yield Mark(_moment(span.start), f"first span of {service}", SPAN)
    answered = _first(jaeger, start, APISERVER, _ETCD, lambda span: not span.failed)
    if answered:
        yield Mark(_moment(answered.end), "the datastore answers the API server", SPAN)
    first = _first(
        jaeger, start, KUBELET, SYNC, lambda span: FIRST_SYNC.items() <= span.tags.items()
    )
    if first:
        pod = str(first.tags.get(POD, "a pod"))
        yield Mark(_moment(first.start), f"first pod reaches the kubelet: {pod}", SPAN)
    if container := _first(jaeger, start, KUBELET, _STARTED, lambda span: not span.failed):
        yield Mark(_moment(container.end), "first container of a pod has started", SPAN)


def _first(
    jaeger: Jaeger,
    start: int,
    service: str,
    operation: str = "",
    wanted: Callable[[Span], bool] = lambda span: True,
) -> Span | None:
    """Jaeger tells the newest first, so the period grows until one is found."""
    begin, length = start, _FIRST_PERIOD
    while begin < start + _LONGEST:
        end = begin + length
        traces, _ = jaeger.find_all(service, operation, start=begin, end=end - 1, most=_MOST_TRACES)
        found = [
            span
            for trace in traces
            for span in trace.spans
            if span.service == service
            and (not operation or span.operation == operation)
            and begin <= span.start < end
            and wanted(span)
        ]
        if found:
            return min(found, key=lambda span: span.start)
        begin, length = end, length * 2
    return None


def _is_first_sync(span: Span) -> bool:
    return FIRST_SYNC.items() <= span.tags.items()


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / SECOND, tz=UTC)
