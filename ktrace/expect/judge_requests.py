"""The verdict on requests to the API server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ktrace.expect import verdict
from ktrace.expect.caused import MadeRequest
from ktrace.expect.matching import matches
from ktrace.expect.schema import Expectation
from ktrace.expect.selectors import WRITE, RequestSelect
from ktrace.expect.verdict import Failure, Verdict, count_failure
from ktrace.recording.requests import CONNECT, WATCH

_EXAMPLES = 3
_FAILURE = 400


def judge(expectation: Expectation, requests: Sequence[MadeRequest]) -> Verdict:
    """``requests`` are all that there may be; what is not selected has no part in the verdict."""
    select = expectation.request or RequestSelect()
    found = [request for request in requests if _is_selected(select, request)]
    failures = count_failure(
        expectation.expect, len(found), "request", [*map(str, found[-_EXAMPLES:])]
    )
    failures += [failure for request in found for failure in _wrong(expectation, request)]
    return verdict.of(expectation, failures, len(found), "request")


def _is_selected(select: RequestSelect, request: MadeRequest) -> bool:
    info = request.info
    verb = info.writes if select.verb == WRITE else matches(select.verb, info.verb)
    return (
        verb
        and any(matches(select.resource, name) for name in (info.full_resource, info.resource))
        and matches(select.namespace, info.namespace)
        and matches(select.name, info.name)
        and matches(select.client, request.client)
    )


def _wrong(expectation: Expectation, request: MadeRequest) -> Iterator[Failure]:
    expect = expectation.expect
    bound, lasts = expect.durationBelowMs, request.info.kind in (WATCH, CONNECT)
    if bound is not None and not lasts and (request.duration_ms or 0) >= bound:
        yield Failure(f"{request} is not below {bound:g} ms")
    if expect.noErrors and (request.status is None or not 0 < request.status < _FAILURE):
        yield Failure(f"{request} failed")
    if expect.status is not None and not matches(expect.status, str(request.status or "")):
        yield Failure(f"{request} was not answered with {expect.status}")
