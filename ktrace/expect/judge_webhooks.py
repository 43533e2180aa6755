"""The verdict on calls of admission webhooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ktrace.expect import verdict
from ktrace.expect.caused import MadeCall
from ktrace.expect.matching import matches
from ktrace.expect.schema import Expect, Expectation
from ktrace.expect.verdict import Failure, Verdict, count_failure

_EXAMPLES = 3


def judge(expectation: Expectation, calls: Sequence[MadeCall]) -> Verdict:
    """``calls`` are all that there may be; what is not selected has no part in the verdict."""
    pattern, expect = expectation.webhook or "*", expectation.expect
    found = [call for call in calls if _is_selected(pattern, call)]
    failures = count_failure(expect, len(found), "call", [*map(str, found[-_EXAMPLES:])])
    failures += [failure for call in found for failure in _wrong(expect, call)]
    others = sorted({call.call.webhook for call in calls} - {call.call.webhook for call in found})
    nearest = others if len(found) < expect.least else ()
    return verdict.of(expectation, failures, len(found), "call", nearest=nearest[:_EXAMPLES])


def _is_selected(pattern: str, call: MadeCall) -> bool:
    name = call.call.webhook
    if matches(pattern, name):
        return True
    return "/" not in pattern and matches(pattern, name.rpartition("/")[2])


def _wrong(expect: Expect, call: MadeCall) -> Iterator[Failure]:
    bound = expect.durationBelowMs
    if bound is not None and call.duration_ms >= bound:
        yield Failure(f"{call} is not below {bound:g} ms")
    if expect.noErrors and call.call.failed:
        yield Failure(f"{call} gave no answer, or an error")
    if expect.failedOpen is not None and call.failed_open is not expect.failedOpen:
        told = "failed open" if call.failed_open else "did not fail open"
        yield Failure(f"{call} {told}")
