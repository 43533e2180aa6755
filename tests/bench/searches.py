"""What ktrace's commands search for, of a store that has some hours of a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from ktrace.activity.look import Activity
from ktrace.benchmark import found
from ktrace.components import APISERVER, KUBELET
from ktrace.expect import schema, shipped
from ktrace.expect.judge import queries
from ktrace.jaeger import Jaeger
from ktrace.jaeger.client import now
from ktrace.percentiles import median, percentile
from ktrace.podstart.calls import SYNC
from ktrace.podstart.pod_spans import FIRST_SYNC, POD
from ktrace.podstart.search import look_for_start
from ktrace.rollout.pool import Pool
from tests.bench.traffic import MINUTE, Minute

_NAMESPACE = "default"
_SECOND = 1_000_000
_MOST = 20_000
"""Traces in one answer."""
_AT_ONCE = 10
"""Pods of a rollout; more than are searched for one by one."""
_WINDOW = 30
"""Minutes that are compared."""
_RECENT = 10
"""Minutes of `ktrace top`."""
_LONGEST = 300
"""Seconds after which no further sample of a kind is taken."""

Find = Callable[[Minute], object]
"""What was found of that minute; nothing is an error."""


@dataclass(frozen=True)
class Search:
    """How long one kind of search took, in milliseconds, and the servers' processor for each."""

    samples: int
    p50: float
    p99: float | None
    """None from fewer than 100 samples."""
    longest: float
    cpu: float


def timed(
    title: str, find: Find, minutes: Sequence[Minute], samples: int, cpu: Callable[[], float]
) -> Search:
    """``samples`` of one kind, or what ends in five minutes; ``cpu`` in seconds.

    AssertionError if one finds nothing.
    """
    random = Random(title)  # noqa: S311  the same minutes in every store
    taken: list[float] = []
    before, until = cpu(), time.monotonic() + _LONGEST
    for minute in random.choices(minutes, k=samples):
        begin = time.perf_counter()
        answer = find(minute)
        taken.append((time.perf_counter() - begin) * 1000)
        assert answer, f"{title} of {minute} found nothing"
        if time.monotonic() > until:
            break
    each = (cpu() - before) * 1000 / len(taken)
    return Search(len(taken), median(taken), percentile(taken, 0.99), max(taken), each)


def of_commands(jaeger: Jaeger, minutes: Sequence[Minute], end: int) -> Mapping[str, Find]:
    """By their titles; ``end`` is that of the last minute, in microseconds since the Unix epoch."""
    expected = schema.load(shipped.find("control-plane"), {})
    wanted = [
        query for expectation in expected.expectations for query in queries(expectation.spans, [])
    ]

    def first_sync(minute: Minute) -> object:
        tags = {POD: f"{_NAMESPACE}/{minute.pod}", **FIRST_SYNC}
        return jaeger.find_all(KUBELET, SYNC, tags=tags, start=0, end=end, most=_MOST)[0]

    def rollout(minute: Minute) -> object:
        first = max(0, min(minutes.index(minute), len(minutes) - _AT_ONCE))
        pods = minutes[first : first + _AT_ONCE]
        pool = Pool(jaeger)
        created = {f"{_NAMESPACE}/{pod.pod}": pod.begin for pod in pods}
        pool.read([(pods[0].begin, pods[-1].begin + MINUTE)], created, end, _NAMESPACE)
        return all(look_for_start(pool, _NAMESPACE, pod.pod) for pod in pods)

    def window(minute: Minute) -> object:
        begin = min(minute.begin, end - _WINDOW * MINUTE)
        period = begin, begin + _WINDOW * MINUTE
        return found.measure(
            jaeger, "no API server", period, runtime_traced=True, tell=lambda *_: None
        ).warm

    def began(minute: Minute) -> object:
        until = minute.begin + MINUTE
        return jaeger.find_all(
            KUBELET, SYNC, tags=FIRST_SYNC, start=minute.begin, end=until, most=_MOST
        )[0]

    def recent(_: Minute) -> object:
        requests, _window = Activity(jaeger, now() - end + _RECENT * MINUTE).look()
        return requests

    def slow(minute: Minute) -> object:
        begin, until = minute.begin - 30 * MINUTE, minute.begin + 30 * MINUTE
        return jaeger.find_all(KUBELET, SYNC, start=begin, end=until, shortest=_SECOND, most=_MOST)[
            0
        ]

    def asserted(minute: Minute) -> object:
        begin, until = minute.begin - 5 * MINUTE, minute.begin + 5 * MINUTE
        return all(
            jaeger.find_all(**query, start=begin, end=until, most=_MOST)[0] for query in wanted
        )

    return {
        "`ktrace show`: all of a pod's start": lambda minute: look_for_start(
            jaeger, _NAMESPACE, minute.pod
        ),
        f"`ktrace show deploy/NAME`: the starts of {_AT_ONCE} pods": rollout,
        "its first `syncPod`, by two tags": first_sync,
        "`ktrace run`: a request by its audit id": lambda minute: jaeger.find(
            APISERVER, tags={"audit-id": minute.audit_id}, start=minute.begin - _SECOND, limit=1
        ),
        "`ktrace verify`: a node's newest span": lambda minute: jaeger.find(
            KUBELET, tags={"k8s.node.name": "node"}, start=minute.begin, limit=1
        ),
        "`ktrace assert control-plane`: its searches of 10 minutes": asserted,
        f"`ktrace top`: all requests of the last {_RECENT} minutes": recent,
        f"`ktrace diff window:…`: the starts of {_WINDOW} minutes": window,
        "`ktrace watch`: the pods that began in a minute": began,
        "`syncPod` of 1 s and more within an hour": slow,
        "a trace by its id": lambda minute: jaeger.trace(minute.trace),
    }
