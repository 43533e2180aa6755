"""Whether a rollout is done, how long it took, and which pod held it up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ktrace.rollout import chain
from ktrace.rollout.kinds import DEPLOYMENT, JOB
from ktrace.rollout.model import Held, Link, Part, RolledPod, Rollout, State

READY, STARTED, SUCCEEDED = "Ready", "started", "succeeded"
READY_OR_SUCCEEDED = f"{READY} or {SUCCEEDED}"
_SECOND_MS = 1000
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_NOT_COUNTED = (State.ENDING, State.GONE, State.NOT_KNOWN)


class _Count(NamedTuple):
    """How many pods are what they should be, as in Verdict."""

    done: int
    wanted: int | None
    obstacle: str
    word: str


@dataclass(frozen=True)
class Verdict:
    """``done`` of ``wanted`` pods are what ``word`` says; ``wanted`` None: not known."""

    done: int
    wanted: int | None
    word: str
    ok: bool
    """Whether every wanted pod is known to be so, and none of an older revision serves."""
    obstacle: str = ""
    """What is in the way, or not known, besides pods that are not there yet."""
    took: timedelta | None = None
    """From the write to the last Ready pod; None where that is not known."""
    exact: bool = False
    """Whether both ends are those of spans, and not to the second."""
    held: Link | None = None
    """The longest part of ``took``."""
    waits: tuple[RolledPod, ...] = ()
    """The pods that are not what they should be."""

    @property
    def reason(self) -> str:
        """Why it is not ``ok``; empty if it is."""
        if self.ok or self.obstacle:
            return self.obstacle
        return f"{(self.wanted or 0) - self.done} of {self.wanted} not {self.word}"


def of(rollout: Rollout) -> Verdict:
    workload = rollout.workload
    counted = [pod for pod in rollout.pods if pod.state not in _NOT_COUNTED]
    word = READY
    if workload is None:
        return _of_selection(rollout, counted)
    if workload.kind is JOB:
        done, wanted, obstacle, word = _of_job(rollout, counted)
        unstarted = [pod for pod in counted if not _has_started(pod)]
        waits = [pod for pod in unstarted if word is STARTED and pod.state is not State.FAILED]
    else:
        kept = [other for other in rollout.others if other.kept]
        done = sum(pod.state is State.READY for pod in counted)
        done += sum(other.state is State.READY for other in kept)
        wanted, obstacle = workload.wanted, _obstacle(rollout)
        if workload.problem and (obstacle or (wanted is not None and done < wanted)):
            obstacle = "; ".join(filter(None, (obstacle, workload.problem)))
        waits = [pod for pod in counted if pod.state is not State.READY]
    ok = not obstacle and wanted is not None and done >= wanted
    known = ok and (workload.kind is JOB or not rollout.replacing)
    took, exact = _took(rollout) if known else (None, False)
    held = chain.longest(rollout.chain) if took is not None else None
    return Verdict(done, wanted, word, ok, obstacle, took, exact, held, tuple(waits))


def slowest(rollout: Rollout) -> tuple[RolledPod, Held | None] | None:
    """The pod whose own start took longest, as far as that is known: None where it may be another.

    A length to the second is up to a second more or less.
    """
    known = [(pod.took_ms, pod) for pod in rollout.pods if pod.took_ms is not None]
    if not known:
        return None
    longest, pod = max(known, key=lambda found: found[0])
    for took, other in known:
        rough = (not other.took_exact) + (not pod.took_exact)
        if other is not pod and longest - took <= _SECOND_MS * rough and rough:
            return None
    return pod, pod.held


def _of_selection(rollout: Rollout, counted: list[RolledPod]) -> Verdict:
    done = [pod for pod in counted if pod.state in (State.READY, State.SUCCEEDED)]
    known = not any(pod.state is State.NOT_KNOWN for pod in rollout.pods)
    wanted = len(counted) if known else None
    waits = tuple(pod for pod in counted if pod not in done)
    ok = bool(counted) and known and not waits
    obstacle = "" if known else "whether they are Ready is not known"
    succeeded = any(pod.state is State.SUCCEEDED for pod in done)
    word = READY_OR_SUCCEEDED if succeeded else READY
    return Verdict(len(done), wanted, word, ok, obstacle, waits=waits)


def _obstacle(rollout: Rollout) -> str:
    """Why it cannot be done, whatever its pods are; empty if nothing tells so."""
    workload = rollout.workload
    assert workload  # noqa: S101  the caller has one
    if not workload.uid:
        return "which pods are wanted is not known without the cluster"
    if not workload.observed:
        return "its controller has not seen the newest specification"
    if not rollout.revision_known:
        if workload.kind is DEPLOYMENT:
            why = "it is paused" if workload.paused else "its controller has not made one"
            return f"the newest template has no ReplicaSet: {why}"
        return "its newest revision is not known"
    if workload.wanted is None:
        return "how many pods are wanted is not known"
    serving = [other for other in rollout.others if other.serves and not other.kept]
    if not serving:
        return ""
    pods = "1 pod of an older revision is" if len(serving) == 1 else (
        f"{len(serving)} pods of an older revision are"
    )  # fmt: skip
    paused = "; it is paused" if workload.paused else ""
    return f"{pods} still there{paused}"


def _of_job(rollout: Rollout, counted: list[RolledPod]) -> _Count:
    workload = rollout.workload
    assert workload  # noqa: S101  the caller has one
    failed = [pod for pod in counted if pod.state is State.FAILED]
    active = [pod for pod in counted if pod.state not in (State.SUCCEEDED, State.FAILED)]
    started = sum(_has_started(pod) for pod in active)
    if workload.wanted is None:
        return _Count(
            started, None, "how many pods are wanted is not known without the cluster", STARTED
        )
    if workload.has("Complete"):
        return _Count(workload.succeeded, workload.succeeded, "", STARTED)
    done, wanted = workload.succeeded + started, workload.succeeded + workload.wanted
    gave_up = workload.has("Failed")
    if gave_up or (failed and not active and not workload.paused):
        wanted = wanted if workload.completions is None else workload.completions
        pods = "1 pod has" if len(failed) == 1 else f"{len(failed)} pods have"
        told = f"{pods} failed, and the Job has not given up"
        if gave_up:
            told = f"it has failed: {workload.problem}"
        newest = max(failed, key=lambda pod: pod.created or _LONG_AGO, default=None)
        why = f"; {newest.name}: {newest.why}" if newest and newest.why else ""
        return _Count(workload.succeeded, wanted, f"{told}{why}", SUCCEEDED)
    return _Count(done, wanted, "it is suspended" if workload.paused else "", STARTED)


def _has_started(pod: RolledPod) -> bool:
    return pod.state in (State.READY, State.NOT_READY, State.SUCCEEDED)


def _took(rollout: Rollout) -> tuple[timedelta | None, bool]:
    new = [pod for pod in rollout.pods if pod.part is Part.NEW and pod.state is not State.ENDING]
    known = [(pod.ready, pod.ready_exact) for pod in new if pod.ready]
    if rollout.begun is None or not known or len(known) < len(new):
        return None, False
    ready, exact = max(known)
    took = ready - rollout.begun
    if took < timedelta(0):
        return None, False
    return took, rollout.begun_exact and exact
