"""The verdict on a time without writes: who keeps writing what a command has touched."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ktrace.activity.requests import NOT_KNOWN, ApiRequest
from ktrace.expect import verdict
from ktrace.expect.schema import Expectation
from ktrace.expect.verdict import Failure, Verdict, not_known

_SECOND = 1_000_000
_MILLISECOND = 1_000
_SHOWN = 5
LOOKS = 2
"""A time without writes is awaited for so many times its length."""
_CORRELATION = "whether these writes are because of the command is not known: they came after it"


@dataclass(frozen=True)
class Write:
    """A request that wrote ``object``, or tried to; ``start`` as in ``Watched``."""

    object: str
    client: str
    account: str
    start: int
    failed: bool | None
    """None where no status is told."""


@dataclass(frozen=True)
class Watched:
    """What was written from ``begin`` to ``end``, in microseconds of the API server's clock."""

    touched: frozenset[str]
    """``deployments.apps/NAMESPACE/NAME`` of the objects that matter."""
    writes: tuple[Write, ...]
    """Those of ``touched``, in the order in which they began."""
    begin: int
    end: int

    @classmethod
    def of(
        cls, touched: frozenset[str], requests: Sequence[ApiRequest], begin: int, end: int
    ) -> Watched:
        """Of all ``requests``, the writes of ``touched`` in that time."""
        writes = (
            Write(
                request.object,
                request.client,
                request.account,
                request.start,
                failed=request.failed,
            )
            for request in requests
            if request.writes and request.object in touched and begin <= request.start <= end
        )
        return cls(touched, tuple(sorted(writes, key=lambda one: one.start)), begin, end)

    @property
    def longest_pause(self) -> int:
        """Microseconds without a write; of all the time if there was none."""
        return _longest(self.begin, self.end, self.writes)

    @property
    def quiet_since(self) -> int:
        """When the last write began, or the time."""
        return self.writes[-1].start if self.writes else self.begin


def judge(expectation: Expectation, watched: Watched) -> Verdict:
    """Quiet, if there was a pause that is long enough; else who keeps writing what."""
    wanted = (expectation.quietFor or 0) * _MILLISECOND
    writers = list(_writers(watched))
    more = [f"and {len(writers) - _SHOWN} more writers of an object"] * (len(writers) > _SHOWN)
    told = [*writers[:_SHOWN], *more]
    pause, count = watched.longest_pause, len(watched.writes)
    lasts = watched.end - watched.begin
    lasted = _seconds(lasts)
    if pause >= wanted:
        notes = [f"before it was quiet, {one}" for one in told]
        return verdict.of(expectation, (), count, "write", notes=notes)
    needed = LOOKS * wanted if writers else wanted
    if lasts < needed:
        made = verdict.of(expectation, (), count, "write", notes=told)
        return not_known(made, f"only {lasted} were watched, not {_seconds(needed)}")
    loud = (
        f"never {_seconds(wanted)} without a write in the {lasted} after what the command caused "
        f"had settled: the longest pause was {_seconds(pause)}"
    )
    failures = [Failure(text) for text in (loud, *told)]
    return verdict.of(expectation, failures, count, "write", notes=(_CORRELATION,))


def _writers(watched: Watched) -> Iterator[str]:
    """Each object with each of its writers, who writes most first."""
    groups: dict[tuple[str, str, str], list[Write]] = {}
    for write in watched.writes:
        groups.setdefault((write.object, write.client, write.account), []).append(write)
    for (name, client, account), writes in sorted(groups.items(), key=lambda one: -len(one[1])):
        who = "a client without a user agent" if client == NOT_KNOWN else client
        by = f"{who} (service account {account})" if account else who
        failed = sum(write.failed is True for write in writes)
        errors = f", {failed} of them with an error" if failed else ""
        pause = _seconds(_longest(writes[0].start, writes[-1].start, writes))
        times = "once" if len(writes) == 1 else f"{len(writes)} times, the longest pause {pause}"
        yield f"{by} wrote {name} {times}{errors}"


def _longest(begin: int, end: int, writes: Sequence[Write]) -> int:
    times = [begin, *(write.start for write in writes), end]
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def _seconds(microseconds: int) -> str:
    return f"{microseconds / _SECOND:.1f} s"
