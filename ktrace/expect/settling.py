"""Waits, after a command, until its traces are in Jaeger and nobody writes what it has touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ktrace.activity.look import Activity
from ktrace.activity.requests import WRITING
from ktrace.clock import time
from ktrace.expect.judge_quiet import LOOKS, Watched
from ktrace.expect.schema import Expectation
from ktrace.expect.watermark import Source, Watermark, sources
from ktrace.jaeger import Jaeger, JaegerError

_POLL_SECONDS = 1.0
_ARRIVAL_SECONDS = 15.0
"""How long newer spans of a component are awaited: as long as `ktrace assert` does."""
_MARGIN_SECONDS = 30
_SECOND = 1_000_000

T = TypeVar("T")
Tell = Callable[[str], None]
"""Shows what is waited for."""


@dataclass(frozen=True)
class Settled:
    """``behind`` has whose spans may still be on their way, in words; empty where none is."""

    behind: Mapping[Source, str]
    watched: Watched | None = None
    """None if no time without writes is expected."""
    read_all: bool = True
    """Whether all requests of the time that was watched were read."""


class Settling:
    """``ahead`` is how far the API server's clock is ahead of this machine's, in microseconds."""

    def __init__(
        self, jaeger: Jaeger, expectations: Sequence[Expectation], ahead: int, tell: Tell
    ) -> None:
        self._jaeger = jaeger
        self._expectations = expectations
        self._sources = {source: None for one in expectations for source in sources(one)}
        self._ahead = ahead
        self._tell = tell

    def wait(self, touched: frozenset[str] = frozenset()) -> Settled:
        """Until the spans have arrived of all that has ended by now, or time is up.

        With ``touched`` nobody may write these before, as long as is expected. Raises JaegerError.
        """
        longest = max((one.quietFor or 0 for one in self._expectations), default=0) / 1000
        if not longest or not touched:
            return Settled(self._arrived(self._now()))
        begin = self._now()
        period = int((LOOKS * longest + 2 * _MARGIN_SECONDS) * _SECOND)
        activity = Activity(self._jaeger, period, WRITING)
        while True:
            self._watch(activity, touched, begin, longest)
            end = self._now()
            behind = self._arrived(end)
            requests, window = self._repeated(activity.look)
            watched = Watched.of(touched, requests, begin, end)
            enough = watched.longest_pause >= longest * _SECOND
            if enough or any(behind.values()) or end - begin >= LOOKS * longest * _SECOND:
                return Settled(behind, watched, window.complete)

    def _now(self) -> int:
        """Of the API server's clock."""
        return int(time.time() * _SECOND) + self._ahead

    def _watch(
        self, activity: Activity, touched: frozenset[str], begin: int, longest: float
    ) -> None:
        """Until it seems to be quiet for ``longest`` seconds, or twice that time is over."""
        while True:
            requests, _ = self._repeated(activity.look)
            now = self._now()
            watched = Watched.of(touched, requests, begin, now)
            quiet = (now - watched.quiet_since) / _SECOND
            count = len(watched.writes)
            written = f", after {count} writes" if count > 1 else ", after a write" * count
            self._tell(f"quiet for {min(quiet, longest):.0f} of {longest:g} s{written}")
            if quiet >= longest or now - begin >= LOOKS * longest * _SECOND:
                return
            time.sleep(_POLL_SECONDS)

    def _arrived(self, begin: int) -> dict[Source, str]:
        """Waits for the spans of what had ended by ``begin``; who is still behind."""
        watermark = Watermark(self._jaeger, begin)
        deadline = time.monotonic() + _ARRIVAL_SECONDS
        while True:
            watermark.look_again()
            behind = self._repeated(
                lambda: {source: watermark.behind(source) for source in self._sources}
            )
            if not any(behind.values()) or time.monotonic() >= deadline:
                return behind
            components = sorted(set(filter(None, behind.values())))
            self._tell(f"waiting for newer spans of {' and '.join(components)}")
            # What the watermark promises has arrived, and is visible in the search after it.
            time.sleep(_POLL_SECONDS + self._jaeger.store.late)

    def _repeated(self, look: Callable[[], T]) -> T:
        """What ``look`` returns, once Jaeger answers; JaegerError if it does not for a while."""
        deadline = time.monotonic() + _ARRIVAL_SECONDS
        while True:
            try:
                return look()
            except JaegerError:
                if time.monotonic() >= deadline:
                    raise
                self._tell("Jaeger does not answer; trying again")
                time.sleep(_POLL_SECONDS)
