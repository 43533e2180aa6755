"""Searches that are repeated: what is read again, and that nothing new is missed."""

from __future__ import annotations

from typing import Any

import pytest

from ktrace.jaeger import Reader, Trace, reader
from tests.fakes.clock import Clock
from tests.fakes.jaeger import client, span, trace
from tests.fakes.store import Store

SECOND = 1_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().drive(monkeypatch, reader)


class Repeated:
    """A search for the traces of the kubelet's syncs in a store; times in seconds from now."""

    def __init__(self, clock: Clock, newest: int | None = None) -> None:
        self._clock, self._begin = clock, clock.now
        self.store = Store(newest=newest)
        self.reader = Reader(client(self.store.answer))
        self.most = 10_000

    def arrive(
        self,
        name: str,
        began: float,
        seconds: float = 0.1,
        *,
        operation: str = "syncPod",
        **tags: Any,
    ) -> None:
        at = int((self._begin + began) * SECOND)
        found = span("kubelet", operation, at, **tags)
        found |= {"spanID": f"{operation}{began}", "duration": int(seconds * SECOND)}
        self.store.add(trace(found, trace_id=name))

    def look(self) -> dict[str, Trace]:
        return {found.id: found for found in self.all()[0]}

    def all(self) -> tuple[list[Trace], bool]:
        start, end = int((self._begin - 600) * SECOND), int(self._clock.now * SECOND)
        return self.reader.find_all("kubelet", "syncPod", start=start, end=end, most=self.most)


@pytest.fixture
def repeated(clock: Clock) -> Repeated:
    return Repeated(clock)


def test_what_cannot_change_is_read_again_ever_more_rarely(
    repeated: Repeated, clock: Clock
) -> None:
    for number in range(1000):
        repeated.arrive(f"t{number}", -500 + number / 10)
    assert len(repeated.look()) == 1000
    first, complete, rest = repeated.store.sent, [], 0
    for second in range(1, 61):
        clock.now += 1
        before = repeated.store.sent
        assert len(repeated.look()) == 1000
        sent = repeated.store.sent - before
        if sent > first / 2:
            complete.append(second)
        else:
            rest += sent
    assert complete == [5, 15, 35]
    assert rest < first / 50


@pytest.mark.parametrize(
    ("began", "seconds"), [(0, 0.1), (-8, 0.1), (-15, 14), (-400, 401)], ids=str
)
def test_a_span_is_found_in_the_first_search_after_its_arrival(
    repeated: Repeated, clock: Clock, began: float, seconds: float
) -> None:
    repeated.arrive("before", -300)
    repeated.look()
    clock.now += 2
    repeated.arrive("new", began, seconds)
    assert set(repeated.look()) == {"before", "new"}


def test_a_trace_that_grows_is_read_again(repeated: Repeated, clock: Clock) -> None:
    """The spans that arrive later need not be those that are searched for."""
    repeated.arrive("short", -1)
    repeated.arrive("long", -300, 299)
    assert [len(found.spans) for found in repeated.look().values()] == [1, 1]
    clock.now += 1
    for name in ("short", "long"):
        repeated.arrive(name, -1, operation="StartContainer")
    assert [len(found.spans) for found in repeated.look().values()] == [2, 2]


def test_what_comes_very_late_is_found_by_a_complete_search(
    repeated: Repeated, clock: Clock
) -> None:
    """An exporter tries for minutes to send spans again."""
    repeated.look()
    repeated.arrive("late", -400)
    clock.now += 4
    assert not repeated.look()
    clock.now += 1
    assert set(repeated.look()) == {"late"}
    repeated.arrive("later", -400)
    clock.now += 1
    assert set(repeated.look()) == {"late"}
    repeated.reader.forget()
    assert set(repeated.look()) == {"late", "later"}


def test_what_jaeger_deleted_between_two_searches_is_kept(clock: Clock) -> None:
    repeated = Repeated(clock, newest=2)
    repeated.arrive("first", -3)
    repeated.look()
    repeated.arrive("second", -2)
    repeated.arrive("third", -1)
    for _ in range(7):
        clock.now += 1
        assert set(repeated.look()) == {"first", "second", "third"}


def test_a_limit_that_was_hit_is_told_in_every_search(repeated: Repeated, clock: Clock) -> None:
    for number in range(1200):
        repeated.arrive(f"t{number}", -500 + number / 10)
    repeated.most = 600
    for _ in range(3):
        found, whole = repeated.all()
        assert not whole
        assert 600 <= len(found) < 1200
        clock.now += 1


def test_searches_do_not_share_what_they_found(repeated: Repeated) -> None:
    repeated.arrive("a", -1, color="red")
    search: dict[str, Any] = {"start": 0, "end": 1 << 60, "most": 10}
    assert repeated.reader.find_all("kubelet", tags={"color": "red"}, **search)[0]
    assert not repeated.reader.find_all("kubelet", tags={"color": "blue"}, **search)[0]
    assert not repeated.reader.find_all("kubelet", "other", **search)[0]
