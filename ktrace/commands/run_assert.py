"""``ktrace run --assert``: which expectations, and what becomes of their verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ktrace import streams
from ktrace.commands import output_file
from ktrace.errors import UsageError
from ktrace.jaeger import JaegerError, MixedStacksError
from ktrace.target import options
from ktrace.target.target import Target
from ktrace.view import terminal

if TYPE_CHECKING:
    from ktrace.expect.after_command import Ended, Gathered
    from ktrace.expect.schema import Expectation, File
    from ktrace.expect.verdict import Judged
    from ktrace.following.follower import Followed
    from ktrace.following.report import Report
    from ktrace.jaeger import Jaeger
    from ktrace.recording.requests import RecordedRequest

_CTRL_C = "Ctrl-C ended the wait for what decides"
_TERMINATED = "ktrace was told to end"
_NO_REQUEST = "no request of the command was recorded"
_NOT_AWAITED = (
    "the bundle is of a run without --assert, which waits for the spans that decide: save one with "
    "--assert"
)


class Assertions:
    """The files of --assert, with the values of --set, and where --junit writes.

    ``of_bundle``: without files, those of the bundle are meant.
    """

    def __init__(
        self,
        files: Sequence[str],
        values: Sequence[str],
        junit_file: Path | None,
        *,
        of_bundle: bool = False,
    ) -> None:
        self._files, self._values, self._junit_file = files, values, junit_file
        self._of_bundle = of_bundle
        self._gathered: Gathered | None = None
        self._suites: list[tuple[str, File]] = []
        self._begin = time.monotonic()

    def load(self) -> None:
        """UsageError for whatever is wrong with them, before the command runs."""
        if not self._files:
            if self._values or not self._of_bundle:
                self._refuse_options_of_none()
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
                gathered = after_command.gather(jaeger, self._expectations, ended, known, tell)
            followed = ended.follower.followed
            found = self._verdicts(jaeger, ended.requests, followed, gathered)
        except (JaegerError, MixedStacksError) as error:
            return self._unjudged(str(error))
        except KeyboardInterrupt:
            return self._unjudged(_CTRL_C, interrupted=True)
        self._gathered = gathered
        return found

    def document(self, judged: Judged | None) -> dict[str, Any] | None:
        """What a bundle keeps of them, and of what was found; None without any."""
        if judged is None:
            return None
        from ktrace.bundle import judged as kept

        expected = [file.expectations for _, file in self._suites]
        return kept.document(judged, expected, self._gathered)

    def judge_again(
        self, jaeger: Jaeger, document: Mapping[str, Any] | None, report: Report
    ) -> Judged | None:
        """The verdicts of a bundle's ``document``, or those of other files on its ``report``.

        UsageError if it is not what ``document`` returns.
        """
        from ktrace.bundle import judged as kept
        from ktrace.bundle import typed
        from ktrace.expect.after_command import Gathered

        with typed.reading("run"):
            judged = kept.verdicts(document) if document else None
            gathered = kept.gathered(document) if document else None
        if not self._suites:
            if judged is None:
                self._refuse_options_of_none()
            return judged
        if gathered is None:
            until = max((request.ended for request in report.requests), default=0.0)
            gathered = Gathered.nothing(
                judged.unjudged if judged else _NOT_AWAITED,
                report.followed,
                datetime.fromtimestamp(until, UTC),
            )
        return self._verdicts(jaeger, report.requests, report.followed, gathered)

    def _verdicts(
        self,
        jaeger: Jaeger,
        requests: Sequence[RecordedRequest],
        followed: Followed,
        gathered: Gathered,
    ) -> Judged:
        from ktrace.expect import after_command
        from ktrace.expect.verdict import Judged

        found = after_command.verdicts(jaeger, self._expectations, requests, followed, gathered)
        left = iter(found)
        return Judged(
            tuple(
                (name, tuple(next(left) for _ in file.expectations)) for name, file in self._suites
            )
        )

    def _refuse_options_of_none(self) -> None:
        """UsageError if an option is given that needs expectations, of which there are none."""
        if self._values or self._junit_file:
            option = "--set" if self._values else "--junit"
            raise UsageError(f"{option} is for expectations: add --assert FILE")

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
        return Judged(tuple(suites), interrupted, why)
