"""The verdict on the pods that a command caused: whether and when they started and became Ready."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ktrace.expect import verdict
from ktrace.expect.matching import matches
from ktrace.expect.schema import Expectation
from ktrace.expect.verdict import Failure, Verdict, count_failure, not_known
from ktrace.following.followed_pod import FollowedPod
from ktrace.podstart.model import PodStart
from ktrace.podstart.readiness import CONDITION
from ktrace.text import clean
from ktrace.view.terminal import milliseconds

_EXAMPLES = 3
_RESOLUTION_MS = 1000
"""Of times that the pod object tells."""
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class _Unknown:
    """Why it is not known whether a pod is as expected."""

    text: str


_Judged = Iterator[Failure | _Unknown]


def judge(expectation: Expectation, pods: Sequence[FollowedPod], until: datetime) -> Verdict:
    """``pods`` are those that the command caused, as they were ``until`` then."""
    pattern, expect = expectation.pod or "*", expectation.expect
    found = [pod for pod in pods if matches(pattern, _name(pod))]
    told = list(_about(expectation, found, until))
    failures = count_failure(expect, len(found), "pod", [*map(_name, found[-_EXAMPLES:])])
    failures += [one for one in told if isinstance(one, Failure)]
    unknown = [one.text for one in told if isinstance(one, _Unknown)]
    others = [_name(pod) for pod in pods if pod not in found]
    made = verdict.of(
        expectation,
        failures,
        len(found),
        "pod",
        nearest=others[:_EXAMPLES] if len(found) < expect.least else (),
        notes=list(_unused_steps(expectation, found)),
    )
    # What is wrong stays wrong, whatever is not known of the others.
    return not_known(made, *unknown) if unknown and not failures else made


def _name(pod: FollowedPod) -> str:
    return f"{pod.namespace}/{pod.name}"


def _about(expectation: Expectation, pods: Sequence[FollowedPod], until: datetime) -> _Judged:
    expect = expectation.expect
    for pod in pods:
        if (bound := expect.startedWithin) is not None:
            yield from _started(pod, bound, until)
        if (bound := expect.readyWithin) is not None:
            yield from _ready(pod, bound, until)
        if expect.steps or expect.noErrors:
            yield from _steps(expectation, pod)


def _started(pod: FollowedPod, bound: int, until: datetime) -> _Judged:
    start = pod.start
    if start is None or not start.complete:
        yield from _not_yet(pod, "started", bound, until)
    elif not start.length_known:
        yield _Unknown(f"how long pod {_name(pod)} took to start: its spans do not tell")
    else:
        doubt = _RESOLUTION_MS if start.to_the_second else 0
        yield from _compared(pod, "started", start.duration_ms, doubt, bound)


def _ready(pod: FollowedPod, bound: int, until: datetime) -> _Judged:
    ready = pod.start.ready if pod.start else None
    if ready is None or ready.after_ms is None:
        yield from _not_yet(pod, "Ready", bound, until)
    else:
        rough = ready.source == CONDITION or bool(pod.start and pod.start.to_the_second)
        doubt = _RESOLUTION_MS if rough else 0
        yield from _compared(pod, "Ready", ready.after_ms, doubt, bound)


def _compared(pod: FollowedPod, what: str, took: float, doubt: int, bound: int) -> _Judged:
    """``took`` may be ``doubt`` more or less."""
    if took - doubt >= bound:
        slowest = pod.start.slowest if pod.start else None
        took_most = f"{slowest.name}, {milliseconds(slowest.duration_ms)}" if slowest else ""
        yield Failure(
            f"pod {_name(pod)} was {what} after {milliseconds(took)}, not within "
            f"{milliseconds(bound)}{'; the slowest step: ' * bool(took_most)}{took_most}"
        )
    elif took + doubt >= bound:
        yield _Unknown(
            f"pod {_name(pod)} was {what} after {milliseconds(took)}, which is known to the second"
        )


def _not_yet(pod: FollowedPod, what: str, bound: int, until: datetime) -> _Judged:
    """It is not, or that is not known: the pod object says which."""
    began = pod.start.started_at if pod.start and pod.start.beginning_known else pod.created
    name, waits = _name(pod), _waits(pod)
    if pod.gone:
        yield _Unknown(f"pod {name} is gone, and whether it was {what} before: no span tells it")
    elif pod.settled or pod.phase in _ENDED or not pod.phase:
        yield _Unknown(f"when pod {name} was {what}: its spans do not tell")
    elif began is None or (lasted := (until - began).total_seconds() * 1000) < bound:
        so_far = "" if began is None else f" after {milliseconds(max(0.0, lasted))}"
        yield _Unknown(
            f"pod {name} is not {what}{so_far}, which is as long as it was followed{waits}: "
            f"--for {bound // 1000 + 5} follows longer"
        )
    elif lasted - _RESOLUTION_MS < bound and not (pod.start and pod.start.beginning_known):
        yield _Unknown(f"pod {name} is not {what} after {milliseconds(lasted)}{waits}")
    else:
        yield Failure(f"pod {name} is not {what} after {milliseconds(lasted)}{waits}")


def _waits(pod: FollowedPod) -> str:
    """What it waits for, in words that follow others."""
    found = [waiting.what for waiting in pod.waiting]
    note = pod.start.ready.note if pod.start else ""
    told = "; ".join(found) or note or (f"phase {pod.phase}" if pod.phase else "")
    return f" ({clean(told)})" if told else ""


def _steps(expectation: Expectation, pod: FollowedPod) -> _Judged:
    expect, start = expectation.expect, pod.start
    if start is None:
        yield _Unknown(f"the steps of pod {_name(pod)}: Jaeger has no spans of its start")
        return
    for step in start.steps:
        told = f"pod {_name(pod)}: {step.name}"
        if expect.noErrors and step.error:
            yield Failure(f"{told} failed: {step.error}")
        for pattern, bound in expect.steps.items():
            if matches(pattern, step.name) and step.duration_ms >= bound:
                took = milliseconds(step.duration_ms)
                yield Failure(f"{told} took {took}, not less than {milliseconds(bound)}")
    if not _is_whole(start):
        yield _Unknown(f"the steps of pod {_name(pod)}: spans of its start are missing")


def _is_whole(start: PodStart) -> bool:
    gone = start.lacks_spans or start.spans_without_parent or start.beginning_lost or start.missing
    return start.complete and not gone


def _unused_steps(expectation: Expectation, pods: Sequence[FollowedPod]) -> Iterator[str]:
    names = {step.name for pod in pods if pod.start for step in pod.start.steps}
    for pattern in expectation.expect.steps:
        if names and not any(matches(pattern, name) for name in names):
            yield f"no step is called {pattern}; there are {', '.join(sorted(names))}"
