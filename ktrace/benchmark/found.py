"""The starts that a Jaeger has of a period, as a measurement: nobody started them for that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from ktrace.api import Api, versions
from ktrace.benchmark.period import Period
from ktrace.benchmark.samples import CLOCKS_DIFFER, UNKNOWN_VERSION, Measurement, of_start
from ktrace.clock import time
from ktrace.components import KUBELET
from ktrace.document import moment
from ktrace.jaeger import Jaeger
from ktrace.podstart.calls import SYNC
from ktrace.podstart.model import PodStart
from ktrace.podstart.pod_spans import FIRST_SYNC, POD, POD_UID
from ktrace.podstart.search import look_for_start
from ktrace.rollout.pool import Pool

_MOST_TRACES = 5_000
"""Of these each is a start, of which fewer are read."""
MOST_STARTS = 500
"""That are read, the newest. Each takes up to ten searches where a Pool cannot answer them."""
_SECOND = 1_000_000
_LATER = 3600 * _SECOND
"""Longer than reading takes: each start is looked for up to the moment of its own look."""

Tell = Callable[[int, int], None]
"""How many starts of how many are read."""


def measure(
    jaeger: Jaeger, api: Api | str, period: Period, *, runtime_traced: bool, tell: Tell
) -> Measurement:
    """The whole starts of ``period``, in their order. Raises JaegerError.

    The pod objects are not read: most are gone. A start counts if its beginning and its length are
    known, each of its containers that spans name has started, and no span is missing.
    """
    begin, end = period
    traces, _ = jaeger.find_all(
        KUBELET, SYNC, tags=FIRST_SYNC, start=begin, end=end, most=_MOST_TRACES
    )
    first: dict[tuple[str, str], int] = {}
    for span in (span for trace in traces for span in trace.spans):
        is_first = span.operation == SYNC and FIRST_SYNC.items() <= span.tags.items()
        if is_first and POD in span.tags and begin <= span.start <= end:
            key = str(span.tags[POD]), str(span.tags.get(POD_UID, ""))
            first[key] = min(first.get(key, span.start), span.start)
    newest = sorted(first, key=lambda key: first[key])[-MOST_STARTS:]
    pool = Pool(jaeger)
    pool.read_starts(len(newest), begin, int(time.time() * _SECOND) + _LATER)
    samples, left_out = [], {}
    for number, (pod, uid) in enumerate(newest):
        tell(number, len(newest))
        namespace, _, name = pod.partition("/")
        start = look_for_start(pool, namespace, name, uid or None, runtime_traced=runtime_traced)
        if start is None or (reason := _why_not(start, begin)):
            left_out[pod] = reason if start else "Jaeger has no start of it"
        else:
            samples.append((start.started_at, replace(of_start(start, jaeger.url), pod=pod)))
    for pod, _ in sorted(first, key=lambda key: first[key])[:-MOST_STARTS]:
        left_out[pod] = f"only the newest {MOST_STARTS} are read"
    ordered = [sample for _, sample in sorted(samples, key=lambda found: found[0])]
    kubernetes, runtimes = ("", []) if isinstance(api, str) else versions(api)
    return Measurement(
        kubernetes=kubernetes or UNKNOWN_VERSION,
        runtimes=runtimes,
        image="",
        parallel=0,
        started_at=moment(datetime.fromtimestamp(begin / _SECOND, tz=UTC)),
        first=None,
        warm=ordered,
        failures=left_out,
    )


def _why_not(start: PodStart, begin: int) -> str:
    """Why a start counts nowhere; empty if it counts."""
    if start.started_at.timestamp() * _SECOND < begin - 60 * _SECOND:
        return "it began before the window"
    if not (start.beginning_known and start.length_known and start.measured):
        return "its beginning or its length is not known"
    if start.clocks_differ:
        return CLOCKS_DIFFER
    if start.incomplete:
        return "not all of its containers have started"
    if start.spans_without_parent or start.lacks_spans:
        return "its spans are not all in Jaeger"
    return ""
