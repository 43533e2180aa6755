"""The admission webhooks that the requests of a command called."""

from __future__ import annotations

import pytest

from ktrace.following.follower import Followed
from ktrace.following.report import Report
from ktrace.view import terminal, tree
from tests.fakes.jaeger import URL
from tests.unit.ktrace.expect.command_spans import Made, joined

NAMES = ("policy/w0.example.com", "policy/w1.example.com")


def report(*made: Made, seen: bool = True) -> Report:
    whole = joined(*made)
    traces = {one.audit_id: whole for one in made} if seen else {}
    requests = tuple(one.recorded for one in made)
    return Report(("x",), 0, requests, Followed([], traces, quiet=True), URL)


@pytest.mark.parametrize(
    ("status", "open_", "told"),
    [(200, True, "failed open"), (500, False, "no answer or an error")],
)
def test_they_are_told_below_their_request(status: int, open_: bool, told: str) -> None:
    found = report(
        Made("a", webhooks=(100, -1000), status=status), Made("b", webhooks=(7,)), Made("c")
    )
    listed = [entry["webhooks"] for entry in found.document()["requests"]]
    calls = [[(call["webhook"], call["durationMs"], call["failedOpen"]) for call in one]
             for one in listed]  # fmt: skip
    assert calls == [
        [(NAMES[0], 100.0, False), (NAMES[1], 1000.0, open_)],
        [(NAMES[0], 7.0, False)],
        [],
    ]
    assert [call["failed"] for call in listed[0]] == [False, True]
    shown = terminal.plain(*tree.render(found))
    assert f"validating webhook {NAMES[0]}  100 ms" in shown
    assert f"validating webhook {NAMES[1]}, {told}  1.00 s" in shown


def test_without_spans_none_is_known() -> None:
    found = report(Made("a", webhooks=(100,)), seen=False)
    assert [entry["webhooks"] for entry in found.document()["requests"]] == [[]]
    assert "webhook" not in terminal.plain(*tree.render(found))
