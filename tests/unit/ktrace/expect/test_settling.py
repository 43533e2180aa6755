"""How long is waited for silence, and for the spans that decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ktrace.expect import settling
from ktrace.expect.schema import Expectation
from ktrace.expect.settling import Settled, Settling
from ktrace.expect.watermark import Source
from ktrace.jaeger import JaegerError, reader
from ktrace.jaeger import client as jaeger_client
from tests.fakes.clock import Clock
from tests.fakes.jaeger import client, span, trace
from tests.fakes.store import Store

TOUCHED = frozenset({"configmaps/default/a"})
QUIET = Expectation.model_validate({"name": "quiet", "quietFor": "10s"})
FAST = Expectation.model_validate({"name": "fast", "request": {}})


class Cluster:
    """Its API server renews a lease each second; spans arrive ``late`` seconds after they began."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock().drive(monkeypatch, settling, reader, jaeger_client)
        self.clock.while_sleeping = self._arrive
        self.begin = self.clock.now
        self.store = Store()
        self.late = 2
        self.silent_from = float("inf")
        self.writes: set[int] = set()
        """Seconds after the begin at which the touched object is written."""
        self.told: list[str] = []
        self.down: Callable[[float], bool] = lambda _: False
        self._sent = -31
        self._arrive()
        self.late = 1

    def wait(
        self, *expectations: Expectation, touched: frozenset[str] = TOUCHED, ahead: float = 0
    ) -> Settled:
        jaeger = client(self.store.answer)
        made = Settling(jaeger, expectations, int(ahead * 1_000_000), self.told.append)
        return made.wait(touched)

    @property
    def waited(self) -> float:
        return self.clock.now - self.begin

    def _arrive(self) -> None:
        """What arrives before the clock moves on."""
        until = int(self.waited + 1 - self.late)
        for second in range(self._sent + 1, until + 1):
            if second < self.silent_from:
                self._add(f"lease{second}", second, "/apis/coordination.k8s.io/v1/leases/x")
            if second in self.writes:
                self._add(f"write{second}", second, "/api/v1/namespaces/default/configmaps/a")
        self._sent = max(self._sent, until)

    def _add(self, name: str, second: int, path: str) -> None:
        tags: dict[str, Any] = {
            "span.kind": "server",
            "http.method": "PATCH",
            "http.target": path,
            "http.user_agent": "loop/1",
        }
        at = int((self.begin + second) * 1_000_000) + 500_000
        self.store.add(trace(span("apiserver", name, at, **tags), trace_id=name))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


def test_silence_is_watched_for_as_long_as_it_is_expected(cluster: Cluster) -> None:
    settled = cluster.wait(QUIET, FAST)
    assert settled.behind == {Source("apiserver"): ""}
    assert settled.watched
    assert not settled.watched.writes
    assert settled.watched.longest_pause >= 10_000_000
    assert cluster.waited <= 13
    assert cluster.told[:3] == [f"quiet for {second} of 10 s" for second in range(3)]


def test_a_write_on_the_way_begins_the_time_anew(cluster: Cluster) -> None:
    """A controller that updates its object once, and no more."""
    cluster.writes = {4}
    settled = cluster.wait(QUIET)
    assert settled.watched
    assert len(settled.watched.writes) == 1
    assert 14 <= cluster.waited <= 18
    assert "quiet for 2 of 10 s, after a write" in cluster.told


def test_a_hot_loop_is_watched_for_twice_the_time(cluster: Cluster) -> None:
    cluster.writes = set(range(60))
    settled = cluster.wait(QUIET)
    assert settled.watched
    assert settled.watched.longest_pause < 2_000_000
    assert len(settled.watched.writes) >= 19
    assert 20 <= cluster.waited <= 24


def test_writes_that_arrive_late_count(cluster: Cluster) -> None:
    """The exporter sends every six seconds: silence until then is not known to be any."""
    cluster.late = 6
    cluster.writes = set(range(60))
    settled = cluster.wait(QUIET)
    assert settled.watched
    assert settled.watched.longest_pause < 2_000_000


def test_spans_that_never_come_are_told(cluster: Cluster) -> None:
    cluster.silent_from = 0
    settled = cluster.wait(FAST, touched=frozenset())
    assert settled.behind == {Source("apiserver"): "apiserver"}
    assert settled.watched is None
    assert cluster.waited == 15
    assert "waiting for newer spans of apiserver" in cluster.told
    silent = cluster.wait(QUIET)
    assert silent.behind == {Source("apiserver"): "apiserver"}


def test_nothing_is_watched_that_nobody_expects(cluster: Cluster) -> None:
    assert cluster.wait(FAST).watched is None
    assert cluster.wait(QUIET, touched=frozenset()).watched is None
    assert cluster.waited <= 8


def test_a_jaeger_that_does_not_answer_for_a_moment_ends_nothing(cluster: Cluster) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if cluster.down(cluster.waited):
            raise httpx.ReadTimeout("timed out")
        return cluster.store.answer(request)

    def wait() -> Settled:
        return Settling(client(answer), [QUIET], 0, cluster.told.append).wait(TOUCHED)

    cluster.down = lambda second: 3 <= second <= 5
    assert wait().watched
    assert "Jaeger does not answer; trying again" in cluster.told
    cluster.down = lambda _: True
    with pytest.raises(JaegerError, match="timed out"):
        wait()


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_the_api_servers_clock_may_be_another(cluster: Cluster, ahead: int) -> None:
    """What its spans tell is compared with its own time."""
    cluster.begin += ahead
    cluster.store = Store()
    cluster._sent = -31

    def arrive() -> None:
        cluster.clock.now += ahead
        cluster._arrive()
        cluster.clock.now -= ahead

    arrive()
    cluster.clock.while_sleeping = arrive
    cluster.writes = {1}
    settled = cluster.wait(FAST, touched=frozenset(), ahead=ahead)
    assert settled.behind == {Source("apiserver"): ""}
