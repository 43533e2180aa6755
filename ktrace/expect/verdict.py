"""The verdict on an expectation, whatever it is about, and what is the same for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ktrace.expect.schema import Expect, Expectation
from ktrace.text import clean


@dataclass(frozen=True)
class Verdict:
    """``failures`` is empty if the expectation is met; ``nearest`` helps if it is not.

    All text is clean (``ktrace.text``).
    """

    name: str
    failures: tuple[str, ...] = ()
    nearest: tuple[str, ...] = ()
    """Spans that nearly match, and how they differ."""
    found: int = 0
    """Number of what was selected."""
    judged: bool = True
    """False if spans that decide may be on their way, or gone; ``failures`` says which."""
    notes: tuple[str, ...] = ()
    """What limits a verdict that holds."""
    lacks_since: int | None = None
    """Where it fails for lack of spans alone: those began after this time, in microseconds since
    the Unix epoch."""
    noun: str = "span"
    """What was selected."""

    @property
    def ok(self) -> bool:
        return not self.failures


@dataclass(frozen=True)
class Judged:
    """The verdicts of each file of expectations, by its name."""

    suites: tuple[tuple[str, tuple[Verdict, ...]], ...]
    interrupted: bool = False
    """Whether Ctrl-C came before they were judged."""
    unjudged: str = ""
    """Why they were not judged at all; empty if they were."""

    @property
    def verdicts(self) -> list[Verdict]:
        return [verdict for _, verdicts in self.suites for verdict in verdicts]


@dataclass(frozen=True)
class Failure:
    text: str
    lacks_since: int | None = None
    """As a verdict's; None where something that is there is the failure."""


def of(
    expectation: Expectation,
    failures: Sequence[Failure],
    found: int,
    noun: str,
    *,
    nearest: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Verdict:
    """The verdict of these failures; a text that is there twice counts once."""
    times = [failure.lacks_since for failure in failures if failure.lacks_since is not None]
    return Verdict(
        clean(expectation.name),
        tuple(map(clean, dict.fromkeys(failure.text for failure in failures))),
        tuple(map(clean, nearest)),
        found,
        notes=tuple(map(clean, notes)),
        lacks_since=max(times) if times and len(times) == len(failures) else None,
        noun=noun,
    )


def not_known(verdict: Verdict, *reasons: str, cure: str = "") -> Verdict:
    """``verdict`` as one that cannot be judged: what is missing could make it another one."""
    told = tuple(clean(f"not known: {reason}{cure}") for reason in dict.fromkeys(reasons))
    return replace(verdict, failures=(*told, *verdict.failures), judged=False)


def qualified(expectation: Expectation, verdict: Verdict, lacks: Sequence[str]) -> Verdict:
    """``verdict``, or that it is not known; ``lacks`` says what may be missing of all there is.

    What is there stays a failure, and a lower bound that is reached stays met.
    """
    expect = expectation.expect
    open_ = expect.can_be_broken or expect.is_of_absence
    if not lacks or not verdict.judged or not (open_ if verdict.ok else _is_lack(verdict)):
        return verdict
    return not_known(verdict, *lacks)


def _is_lack(verdict: Verdict) -> bool:
    return verdict.lacks_since is not None


def count_failure(expect: Expect, count: int, noun: str, examples: Sequence[str]) -> list[Failure]:
    """What is wrong with the number of what was selected; too many are shown by ``examples``."""
    wrong = f"number of {noun}s: expected {_count_words(expect)}, found {count}"
    if expect.most is not None and count > expect.most:
        more = ", …" if count > len(examples) else ""
        return [Failure(f"{wrong}: {', '.join(examples)}{more}")]
    return [Failure(wrong, 0)] if count < expect.least else []


def _count_words(expect: Expect) -> str:
    if isinstance(expect.count, int):
        return str(expect.count)
    least = f"at least {expect.count.min}" if expect.count.min is not None else ""
    most = f"at most {expect.count.max}" if expect.count.max is not None else ""
    return " and ".join(filter(None, (least, most)))
