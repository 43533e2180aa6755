"""``ktrace run --assert``: which expectations, and what becomes of their verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ktrace import streams
from ktrace.commands import output_file
from ktrace.errors import UsageError
from ktrace.jaeger import JaegerError, MixedStacksError
from ktrace.target import options
from ktrace.target.target import Target
from ktrace.view import terminal

if TYPE_CHECKING:
    from ktrace.expect.after_command import Ended
    from ktrace.expect.schema import Expectation, File
    from ktrace.expect.verdict import Judged
    from ktrace.jaeger import Jaeger

_CTRL_C = "Ctrl-C ended the wait for what decides"
_TERMINATED = "ktrace was told to end"
_NO_REQUEST = "no request of the command was recorded"


class Assertions:
    """The files of --assert, with the values of --set, and where --junit writes."""

    def __init__(
        self, files: Sequence[str], values: Sequence[str], junit_file: Path | None
    ) -> None:
        self._files, self._values, self._junit_file = files, values, junit_file
        self._suites: list[tuple[str, File]] = []
        self._begin = time.monotonic()

    def load(self) -> None:
        """UsageError for whatever is wrong with them, before the command runs."""
        if not self._files and (self._values or self._junit_file):
            option = "--set" if self._values else "--junit"
            raise UsageError(f"{option} is for expectations: add --assert FILE")
        if not self._files:
            return
        from ktrace.expect import schema, shipped

        if self._junit_file:
            output_file.refuse_unwritable(self._junit_file)
        given = options.values_of(self._values)
        paths = map(shipped.find, self._files)
        self._suites = [(path.stem, schema.load(path, given, of_command=True)) for path in paths]

    def __bool__(self) -> bool:
        return bool(self._suites)

    def judge(
        self, jaeger: Jaeger, ended: Ended, chosen: Target, stack: str | None, *, terminated: bool
    ) -> Judged:
        """Waits for what decides. What fails on the way is told by the verdicts."""
        from ktrace.expect import after_command
        from ktrace.expect.verdict import Judged
        from ktrace.target import kept, losses

        if terminated or not ended.requests:
            return self._unjudged(_TERMINATED if terminated else _NO_REQUEST)
        if ended.follower.interrupted:
            return self._unjudged(_CTRL_C, interrupted=True)
        known = after_command.Kept(
            partial(losses.memory_of, chosen, stack), partial(kept.writes, chosen, stack)
        )
        try:
            with terminal.telling("waiting for the spans that decide") as tell:
                found = after_command.verdicts(jaeger, self._expectations, ended, known, tell)
        except (JaegerError, MixedStacksError) as error:
            return self._unjudged(str(error))
        except KeyboardInterrupt:
            return self._unjudged(_CTRL_C, interrupted=True)
        left = iter(found)
        return Judged(
            tuple(
                (name, tuple(next(left) for _ in file.expectations)) for name, file in self._suites
            )
        )

    def write(self, judged: Judged) -> bool:
        """The JUnit report, where one is wanted; whether it was written."""
        from ktrace.view import junit

        return self._write(
            lambda: junit.render_suites(judged.suites, time.monotonic() - self._begin)
        )

    def write_error(self, error: str) -> None:
        """The same when nothing could be judged."""
        if not self._suites:
            return
        from ktrace.view import junit

        names = [(name, [one.name for one in file.expectations]) for name, file in self._suites]
        self._write(lambda: junit.render_errors(names, error, time.monotonic() - self._begin))

    def _write(self, text: Callable[[], str]) -> bool:
        """An error is told: it must not hide the command's exit code."""
        try:
            if self._junit_file:
                output_file.write(self._junit_file, text())
        except UsageError as error:
            streams.tell(str(error))
            return False
        return True

    @property
    def _expectations(self) -> list[Expectation]:
        return [one for _, file in self._suites for one in file.expectations]

    def _unjudged(self, why: str, *, interrupted: bool = False) -> Judged:
        from ktrace.expect import judge_command
        from ktrace.expect.verdict import Judged

        suites = (
            (name, tuple(judge_command.unjudged(one, why) for one in file.expectations))
            for name, file in self._suites
        )
        return Judged(tuple(suites), interrupted)
