"""What a mutation run prints: its progress, the score of each package, and what is wrong."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.mutants.mutation import Mutant
from tests.mutants.project import PACKAGES, package
from tests.mutants.survivors import Change, entry, unlisted

WANTED_PERCENT = 85
_SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """A line on stderr with the remaining time: live on a terminal, else every half minute."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._done = self._survived = 0
        self._begun = self._shown = time.monotonic()
        self._live = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live and self._done:
            print(file=sys.stderr)

    def advance(self, *, survived: bool) -> None:
        self._done += 1
        self._survived += survived
        now = time.monotonic()
        if self._live or now - self._shown > _SECONDS_BETWEEN_LINES or self._done == self._total:
            self._shown = now
            begin, end = ("\r\033[K", "") if self._live else ("", "\n")
            line = progress_line(
                self._what, self._done, self._total, self._survived, now - self._begun
            )
            print(f"{begin}{line}", end=end, file=sys.stderr, flush=True)


def progress_line(what: str, done: int, total: int, survived: int, seconds: float) -> str:
    """The remaining time is what the rest takes at the pace of what is done."""
    remaining = seconds / done * (total - done)
    return (
        f"{what} {done}/{total}, {survived} survived, "
        f"{int(remaining) // 60}:{int(remaining) % 60:02d} left"
    )


def print_report(
    judged: Sequence[tuple[Mutant, bool]],
    listed: Mapping[Change, str],
    outdated: Sequence[tuple[Change, str]],
    unlisted_file: Path,
) -> int:
    """Prints to stdout; returns the exit code. ``judged``: mutants, and whether each survived."""
    for line in scores(judged):
        print(line)
    survived = [mutant for mutant, alive in judged if alive]
    new = unlisted(survived, listed)
    for mutant in new:
        print(f"\nsurvived, not listed: {mutant.file}:{mutant.line} {mutant.scope}")
        print(_marked("- ", mutant.before), _marked("+ ", mutant.after), sep="\n")
    if new:
        unlisted_file.write_text("\n".join(map(entry, new)))
        print(f"\nadd a test for each, or its entry of {unlisted_file} with a reason")
    for change, why in outdated:
        print(f"\nlisted, but {why}: {change.file} {change.scope}")
        print(_marked("- ", change.before), _marked("+ ", change.after), sep="\n")
    too_few = percent(judged) < WANTED_PERCENT
    if too_few:
        print(f"\n{percent(judged):.1f} % are killed; the minimum is {WANTED_PERCENT} %")
    return int(bool(new or outdated or too_few))


def scores(judged: Sequence[tuple[Mutant, bool]]) -> list[str]:
    lines = [f"{'package':<28}{'mutants':>8}{'killed':>8}{'score':>8}"]
    for name in (*PACKAGES, "all"):
        of_package = [
            (mutant, alive) for mutant, alive in judged if name in ("all", package(mutant.file))
        ]
        killed = sum(not alive for _, alive in of_package)
        lines.append(
            f"{name:<28}{len(of_package):>8}{killed:>8}{percent(of_package):>6.1f} %"
            if of_package
            else f"{name:<28}{0:>8}"
        )
    return lines


def percent(judged: Sequence[tuple[Mutant, bool]]) -> float:
    """100 where nothing was tried."""
    killed = sum(not alive for _, alive in judged)
    return 100 * killed / len(judged) if judged else 100.0


def _marked(mark: str, text: str) -> str:
    return "\n".join(f"{mark}{line}" for line in text.splitlines() or [""])
