"""Judges what a command caused: waits, reads, and puts together how much of it is known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ktrace.clock import time
from ktrace.expect import caused, gone, judge_command
from ktrace.expect.gone import ReadMemory
from ktrace.expect.judge_command import Evidence
from ktrace.expect.schema import Expectation
from ktrace.expect.settling import Settled, Settling, Tell
from ktrace.expect.verdict import Verdict
from ktrace.expect.watermark import Source, sources
from ktrace.following.cluster_api import ReadError
from ktrace.following.followed_pod import FollowedPod
from ktrace.following.follower import Followed, Follower
from ktrace.jaeger import Jaeger, Trace
from ktrace.recording.requests import RecordedRequest

_READ_SECONDS = 10.0
"""To read again what the command caused, once it has arrived."""
_REQUESTS_OF_A_START = 2
"""Traces of the API server with which a start begins: the pod's creation and its binding."""
_SECOND = 1_000_000
_NO_OBJECT = "the command wrote no object whose writes could be watched"
_UNSETTLED = (
    "what the command caused had not settled when following ended: --for SECONDS follows longer"
)


@dataclass(frozen=True)
class Ended:
    """A command that has ended, and the follower of what it caused."""

    requests: Sequence[RecordedRequest]
    follower: Follower
    began: float
    """Unix time in seconds."""
    pods_unknown: Callable[[], str] = lambda: ""
    """Why pods may be missing; empty if none is."""


@dataclass(frozen=True)
class Kept:
    """What is known of a Jaeger: what it has lost, and which writes it is sent.

    ``writes`` returns why those of some objects are missing, and else why they may be.
    """

    memory: ReadMemory = lambda: None
    writes: Callable[[Collection[str]], tuple[str, str]] = lambda _: ("", "")


@dataclass(frozen=True)
class Gathered:
    """How far what is known is all that there is; ``behind`` as in ``Settled``."""

    evidence: Evidence
    behind: Mapping[Source, str] = field(default_factory=dict)

    @classmethod
    def nothing(cls, why: str, followed: Followed, until: datetime) -> Gathered:
        """Nobody waited for what decides, and ``why``; what is known was read after ``until``."""
        return cls(Evidence(until, unawaited=why, followed=followed.quiet, unwatched=why))

    def of(self, expectation: Expectation) -> Evidence:
        needed = sources(expectation)
        behind = tuple(filter(None, map(self._behind, needed)))
        unknown = sorted({source.component for source in needed if self._behind(source) is None})
        told = self.evidence.unawaited or (
            f"the bundle does not tell whether all spans of {' and '.join(unknown)} had arrived"
            if unknown
            else ""
        )
        return replace(self.evidence, behind=behind, unawaited=told)

    def _behind(self, source: Source) -> str | None:
        """None where that is not known."""
        if source in self.behind:
            return self.behind[source]
        arrived = (known for known, behind in self.behind.items() if not behind)
        return "" if any(known.includes(source) for known in arrived) else None


def gather(
    jaeger: Jaeger, expectations: Sequence[Expectation], ended: Ended, kept: Kept, tell: Tell
) -> Gathered:
    """Waits until what decides is there, or cannot be, and has the follower read it.

    Raises JaegerError or MixedStacksError.
    """
    follower = ended.follower
    followed = follower.followed
    ahead = caused.clock_ahead(ended.requests, followed.traces)
    touched, unwatched = _touched(follower)
    settled = Settling(jaeger, expectations, ahead, tell).wait(touched)
    until = time.time()
    tell("reading what the command caused")
    follower.read_again(_READ_SECONDS)
    lost = gone.find(jaeger, kept.memory(), int(ended.began * _SECOND), int(until * _SECOND))
    dropped, caveat = kept.writes(touched)
    evidence = Evidence(
        until=datetime.fromtimestamp(until + ahead / _SECOND, UTC),
        gone=lost.why if lost else "",
        pods_unknown=ended.pods_unknown(),
        followed=followed.quiet,
        watched=settled.watched,
        unwatched=unwatched,
        writes_dropped=dropped or _unread(settled),
        writes_caveat=caveat,
    )
    return Gathered(evidence, settled.behind)


def verdicts(
    jaeger: Jaeger,
    expectations: Sequence[Expectation],
    requests: Sequence[RecordedRequest],
    followed: Followed,
    gathered: Gathered,
) -> list[Verdict]:
    """On what ``requests`` caused, which is ``followed``. Raises JaegerError."""
    created = _creations(jaeger, expectations, followed.pods)
    made = caused.of_command(requests, followed.traces, followed.pods, created)
    return [judge_command.judge(one, made, gathered.of(one)) for one in expectations]


def _touched(follower: Follower) -> tuple[frozenset[str], str]:
    """The objects to watch; if there are none, why."""
    if not follower.followed.quiet:
        return frozenset(), _UNSETTLED
    try:
        return follower.touched, _NO_OBJECT
    except ReadError as error:
        return frozenset(), f"which objects followed from the command is not known: {error}"


def _unread(settled: Settled) -> str:
    return "" if settled.read_all else "more requests were made meanwhile than are read"


def _creations(
    jaeger: Jaeger, expectations: Sequence[Expectation], pods: Sequence[FollowedPod]
) -> Iterator[Trace]:
    """The traces in which the pods were created, where webhooks are judged."""
    if all(one.webhook is None for one in expectations):
        return
    for pod in pods:
        for trace_id in pod.start.trace_ids[:_REQUESTS_OF_A_START] if pod.start else ():
            if trace := jaeger.trace(trace_id):
                yield trace
