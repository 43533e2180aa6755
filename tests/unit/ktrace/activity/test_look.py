"""Looks at the same Jaeger one after another."""

from __future__ import annotations

import dataclasses
from typing import Any

import httpx
import pytest

from ktrace.activity.look import Activity
from ktrace.activity.requests import WRITING, ApiRequest
from ktrace.activity.window import Window
from ktrace.jaeger import client as client_module
from ktrace.jaeger import reader
from tests.fakes import jaeger as fake
from tests.fakes.clock import Clock
from tests.fakes.store import Store

_SECOND = 1_000_000


def request(name: str, start: int) -> dict[str, Any]:
    tags: dict[str, Any] = {"span.kind": "server", "http.method": "GET"}
    span = fake.span("apiserver", "request", start, **tags)
    return fake.trace({**span, "traceID": name}, trace_id=name)


def test_a_look_reads_what_is_new_and_forgets_what_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock().drive(monkeypatch, client_module, reader)
    begun = int(clock.now * _SECOND)
    made = {"old": begun - 51 * _SECOND, "new": begun - 5 * _SECOND}
    asked: list[int] = []

    def answer(sent: httpx.Request) -> httpx.Response:
        start, end = (int(sent.url.params[name]) for name in ("start", "end"))
        asked.append(start)
        found = (name for name, at in made.items() if start <= at < end)
        return fake.data(*(request(name, made[name]) for name in found))

    with fake.client(answer) as jaeger:
        activity = Activity(jaeger, 60 * _SECOND)
        found, window = activity.look()
        assert ({r.trace_id for r in found}, len(asked)) == ({"old", "new"}, 1)
        assert (window.oldest, window.reaches_back) == (made["old"] + 10, True)
        clock.now += 2
        made["newest"] = begun + _SECOND
        assert {r.trace_id for r in activity.look()[0]} == {"old", "new", "newest"}
        assert asked[1] > asked[0], "only the end of the period is read again"
        clock.now += 18
        assert {r.trace_id for r in activity.look()[0]} == {"new", "newest"}
        clock.now += 600
        assert activity.look()[0] == []
        assert asked[-1] == begun + 560 * _SECOND, "not from the first look's beginning on"


def test_of_some_methods_no_others_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock().drive(monkeypatch, client_module, reader)
    store = Store()
    for number in range(300):
        tags = {"span.kind": "server", "http.method": "GET" if number % 100 else "PUT"}
        made = fake.span("apiserver", "any", int((clock.now - 50) * _SECOND) + number, **tags)
        store.add(fake.trace(made, trace_id=f"t{number}"))
    with fake.client(store.answer) as jaeger:
        every, _ = Activity(jaeger, 60 * _SECOND).look()
        read = store.found
        writes, window = Activity(jaeger, 60 * _SECOND, WRITING).look()
    assert writes == [one for one in every if one.writes]
    assert (len(writes), window.complete, store.found - read) == (3, True, 3)


def test_a_request_that_ends_after_the_look_makes_no_negative_period() -> None:
    """As that of an API server whose clock is ahead of this machine's."""
    fields = {field.name: "" for field in dataclasses.fields(ApiRequest)}
    late = ApiRequest(**{**fields, "start": 99 * _SECOND, "duration": 5 * _SECOND})  # type: ignore[arg-type]
    window = Window.seen([late], 50 * _SECOND, 100 * _SECOND, complete=True)
    assert window.oldest == 104 * _SECOND
    assert window.seconds == 0
