"""Starts pods one after the other, or a few at once, and measures each start."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from ktrace import interrupts
from ktrace.benchmark.samples import CLOCKS_DIFFER, Sample, of_start
from ktrace.errors import KtraceError, UsageError
from ktrace.jaeger import Jaeger, JaegerError, Reader
from ktrace.pipeline.pod_watch import why_not
from ktrace.pipeline.probe_pod import NAMESPACE, CreatedPod, ProbeError, probe_pod, state_of
from ktrace.podstart import cluster
from ktrace.podstart.cluster import FromCluster
from ktrace.podstart.model import PodStart
from ktrace.podstart.search import is_whole, look_for_start
from runtime_observability.host.api_server import ApiServer

_POLL_SECONDS = 0.1
_LOOK_SECONDS = 1.0
"""Between two looks at Jaeger; longer than an exporter's delay."""
_REST_SECONDS = 0.5
"""After a pod's deletion: what ends it must not slow down the next start."""


@dataclass(frozen=True)
class Load:
    """``pods`` pods of ``image``, ``parallel`` at once; each may take ``seconds`` to start."""

    image: str
    pods: int
    parallel: int
    seconds: float


@dataclass(frozen=True)
class Ran:
    """A pod that has started and is deleted again, and what the cluster told of it before."""

    pod: CreatedPod
    known: FromCluster


@dataclass
class _Stop:
    """Tells threads to end. It has no lock: a second Ctrl-C could leave that of an Event held, and
    the threads, which delete the pods, would wait for it for ever."""

    asked: bool = False


class _StoppedError(Exception):
    """The command ends: the pod is only deleted."""


def pause_image(nodes: Sequence[Mapping[str, Any]]) -> str:
    """The image that every pod's sandbox has: it needs no pull and does nothing.

    ``nodes`` are as the API server has them. UsageError where none tells of one.
    """
    for node in nodes:
        for image in node["status"].get("images") or []:
            for name in image.get("names") or []:
                if "pause" in name.rpartition("/")[2] and "@" not in name:
                    return str(name)
    raise UsageError("no node tells the image of its sandboxes: name one with --image")


def start_pods(api: ApiServer, load: Load, tell: Callable[[int], None]) -> list[Ran]:
    """Starts the pods of ``load`` and deletes each; in the order of their creation.

    ``tell`` is called with how many have started. KtraceError when one does not start: nothing is
    measured then. All pods are gone afterwards, after Ctrl-C too.
    """
    stop = _Stop()
    found: list[Ran] = []

    def start() -> Ran:
        with probe_pod(api, load.image, load.seconds) as pod:
            known = _started(api, pod, load.seconds, stop)
        time.sleep(_REST_SECONDS)
        return Ran(pod, known)

    with ThreadPoolExecutor(load.parallel) as pool:
        try:
            left = load.pods
            running: set[Future[Ran]] = set()
            while left or running:
                while left and len(running) < load.parallel:
                    running.add(pool.submit(start))
                    left -= 1
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    found.append(_result(future))
                    tell(len(found))
        finally:
            stop.asked = True
            with interrupts.put_off():  # it would take the API from threads that delete their pods
                pool.shutdown()
    return sorted(found, key=lambda ran: ran.pod.created_at)


def _result(future: Future[Ran]) -> Ran:
    try:
        return future.result()
    except ProbeError as error:
        raise KtraceError(str(error)) from None


def _started(api: ApiServer, pod: CreatedPod, seconds: float, stop: _Stop) -> FromCluster:
    """What the cluster has of ``pod`` once it runs and is Ready, or has ended."""
    deadline = time.monotonic() + seconds
    while True:
        state = state_of(api, pod)
        if state.ran:
            known = cluster.read(api, NAMESPACE, pod.name)
            ready = known.pod.condition("Ready") if known.pod else None
            if state.ended or (ready and ready.status):
                return known
        if state.gone or (state.ended and not state.ran) or time.monotonic() > deadline:
            raise ProbeError(
                f"pod {pod.key} did not start within {seconds:g} s: {why_not(api, pod, state)}. "
                "Nothing was measured; --timeout gives a pod more time"
            )
        if stop.asked:
            raise _StoppedError
        time.sleep(_POLL_SECONDS)


def measure(
    jaeger: Jaeger, ran: Sequence[Ran], seconds: float, *, runtime_traced: bool
) -> tuple[dict[str, Sample], dict[str, str]]:
    """By the pod's name: samples of the starts that are whole in Jaeger within ``seconds``, and why
    others are not.

    With ``runtime_traced`` none is whole before it has spans of the node's runtime.
    """
    readers = {pod.pod.name: Reader(jaeger) for pod in ran}
    last: dict[str, PodStart | None] = {}
    whole: dict[str, PodStart] = {}
    deadline = time.monotonic() + seconds
    while True:
        for each in ran:
            name = each.pod.name
            if name in whole:
                continue
            start = _look(readers[name], each, runtime_traced=runtime_traced)
            if start is not None and _is_exact(start) and start == last.get(name):
                whole[name] = start
            last[name] = start
        if len(whole) == len(ran) or time.monotonic() > deadline:
            break
        time.sleep(_LOOK_SECONDS + jaeger.store.late)
    samples = {name: of_start(start, jaeger.url) for name, start in whole.items()}
    return samples, {name: _why(last[name]) for name in last if name not in whole}


def _is_exact(start: PodStart) -> bool:
    """Whether it is whole, and spans tell all of it: the pod object tells only seconds."""
    guessed = start.to_the_second or start.beginning_lost or start.clocks_differ
    return is_whole(start) and not guessed


def _look(reader: Reader, ran: Ran, *, runtime_traced: bool) -> PodStart | None:
    try:
        return look_for_start(
            reader, NAMESPACE, ran.pod.name, known=ran.known, runtime_traced=runtime_traced
        )
    except JaegerError:
        return None


def _why(start: PodStart | None) -> str:
    if start is None:
        return "Jaeger has no start of it"
    if start.clocks_differ:
        return CLOCKS_DIFFER
    return "; ".join(start.missing) or "its spans are not all in Jaeger"
