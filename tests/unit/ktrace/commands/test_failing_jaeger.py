"""A Jaeger that fails: one line and exit code 3, or another try until the deadline."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ktrace.commands import assert_ as command
from ktrace.expect import search as expect_search
from ktrace.jaeger import reader
from ktrace.podstart import search
from tests.fakes import starts
from tests.fakes.clock import Clock
from tests.fakes.http import FakeServer, Reply, Request
from tests.fakes.jaeger import served
from tests.fakes.ktrace import Ktrace
from tests.schemas import validate

COMMANDS = {
    "show": ("show", "a"),
    "assert": ("assert", "pod-start", "--set", "POD=default/a"),
}
CALLS = [
    starts.call("RunPodSandbox", 30, 40),
    starts.started("main", 80),
]


def refuse(_: Request) -> Reply:
    raise ConnectionResetError


FAILURES: dict[str, Callable[[Request], Reply]] = {
    "500": lambda _: Reply(500, {"errors": [{"msg": "no storage"}]}),
    "502": lambda _: Reply(502, "Bad Gateway"),
    "a page": lambda _: Reply(200, "<!doctype html>\n<html>"),
    "cut JSON": lambda _: Reply(200, '{"data": [{"traceID": "a", "spans": [{"tra'),
    "no JSON": lambda _: Reply(200, ""),
    "other data": lambda _: Reply(200, {"data": [{"spans": [1]}]}),
    "a closed connection": refuse,
}
KINDS = pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
ALL = pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Two seconds after the start of pod a."""
    now = starts.BEGIN / 1e6 + 2
    return Clock(now).drive(monkeypatch, search, expect_search, reader, command)


@pytest.fixture
def failing(server: FakeServer, clock: Clock) -> Callable[..., str]:
    """A Jaeger that answers ``failure`` from one second on and, perhaps, until another."""
    begin = clock.now
    answer = served(
        starts.handler(starts.created(0), starts.bound(8), starts.sync(20, *CALLS, update="create"))
    )

    def from_second(failure: Callable[[Request], Reply], since: int, until: int = 1000) -> str:
        server.answer = lambda request: (
            failure(request) if since <= clock.now - begin < until else answer(request)
        )
        return server.url

    return from_second


@KINDS
@ALL
@pytest.mark.parametrize("since", [0, 1])
def test_a_failure_that_lasts_is_one_line_and_code_3(
    ktrace: Ktrace,
    failing: Callable[..., str],
    failure: Callable[[Request], Reply],
    arguments: tuple[str, ...],
    since: int,
) -> None:
    url = failing(failure, since)
    done = ktrace(*arguments, "--jaeger", url, "--timeout", "5")
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("ktrace: ")
    as_json = ktrace(*arguments, "--jaeger", url, "--timeout", "5", "--json")
    assert as_json.returncode == 3
    validate("error", json.loads(as_json.stdout))


@KINDS
@ALL
def test_a_failure_in_between_changes_nothing(
    ktrace: Ktrace,
    failing: Callable[..., str],
    failure: Callable[[Request], Reply],
    arguments: tuple[str, ...],
    clock: Clock,
) -> None:
    begin = clock.now
    whole = ktrace(*arguments, "--jaeger", failing(failure, 1000), "--timeout", "9", "--json")
    clock.now = begin
    done = ktrace(*arguments, "--jaeger", failing(failure, 1, 3), "--timeout", "9", "--json")
    assert (done.returncode, done.stderr) == (whole.returncode, whole.stderr)
    moments = {"observedAt": None}  # of the last look
    assert {**done.document, **moments} == {**whole.document, **moments}
