"""How often Docker has started one of a stack's containers again, why, and the cure. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

JAEGER, COLLECTOR, OPEN_SEARCH = "Jaeger", "the collector", "OpenSearch"
_KILLED = 137
"""The exit code of a process that SIGKILL ended, as the kernel's lack of memory does."""
_NO_ROOM = re.compile(r"SIGBUS|no space left on device", re.I)
"""Badger maps its files: where the disk has no block for a page, the kernel sends SIGBUS."""
_JAVA_HEAP = re.compile(r"OutOfMemoryError")
MAKE_ROOM = "Make room where Docker keeps its data: `docker system df` shows what takes it"
_MORE_MEMORY = {
    JAEGER: "Raise jaegerMemoryMiB",
    COLLECTOR: "Raise collectorMemoryMiB",
    OPEN_SEARCH: "Raise openSearchMemoryMiB",
}


@dataclass(frozen=True)
class Crashes:
    """A container that ended by itself at ``ended`` for the last time."""

    of: str
    """What runs in it, such as JAEGER."""
    container: str
    times: int
    """How often Docker has started it again since somebody did."""
    since: datetime
    """When it was made; somebody may have started it later."""
    ended: datetime
    serves: datetime | None
    """When it was started again; None while it is down."""
    exit_code: int | None = None
    """Of its last end; None where Docker has forgotten it."""
    out_of_memory: bool = False
    """Whether Docker knows that its memory limit ended it; it soon forgets."""
    said: str = ""
    """The last fault that it logged before its end; empty if it logged none."""
    in_memory: bool = False
    """Whether it is a Jaeger that keeps its traces in its memory."""

    def may_lack(self, moment: datetime) -> bool:
        """Whether spans that began after ``moment`` may be lost: what it had not passed on or
        stored, and what was sent to it while it was down."""
        return self.serves is None or moment < self.serves

    @property
    def is_told_by_log(self) -> bool:
        """Whether what it logged says why it ended."""
        return bool(lacks_room(self.said) or _JAVA_HEAP.search(self.said))

    @property
    def why(self) -> str:
        if lacks_room(self.said):
            return "it could not write a file, as where a disk is full"
        if _JAVA_HEAP.search(self.said):
            return "its Java heap was too small"
        if self.out_of_memory:
            return "it ran out of memory"
        if self.exit_code == _KILLED or (self.exit_code is None and not self.said):
            return "perhaps it ran out of memory"
        return "it ended by itself"

    @property
    def cure(self) -> str:
        if lacks_room(self.said):
            return MAKE_ROOM
        if _JAVA_HEAP.search(self.said):
            return "Raise openSearchHeapMiB and openSearchMemoryMiB"
        if "memory" not in self.why:
            return f"`docker logs {self.container}` says more"
        if self.in_memory:
            return f"{_MORE_MEMORY[self.of]}, lower jaegerMaxTraces, or use traceStore badger"
        return _MORE_MEMORY[self.of]

    def __str__(self) -> str:
        """A sentence with the cure behind it, without a full stop."""
        often = (
            f"once, at {clock(self.ended)}"
            if self.times == 1
            else f"{self.times} times between {clock(self.since)} and {clock(self.ended)}"
        )
        down = "" if self.serves else ", and it is down now"
        details = [f"exit code {self.exit_code}"] if self.exit_code is not None else []
        details += [f"last error: {self.said}"] if self.said else []
        seen = f" ({'; '.join(details)})" if details else ""
        return f"Docker restarted {self.of} {often}{down}: {self.why}{seen}. {self.cure}"


def lacks_room(log: str) -> bool:
    """Whether ``log`` tells of a file that could not be written, as where a disk is full."""
    return bool(_NO_ROOM.search(log))


def clock(at: datetime) -> str:
    """The time of day here; with the date if that is not today's."""
    here = at.astimezone()
    today = here.date() == datetime.now(UTC).astimezone().date()
    return f"{here:%H:%M:%S}" if today else f"{here:%Y-%m-%d %H:%M:%S}"
