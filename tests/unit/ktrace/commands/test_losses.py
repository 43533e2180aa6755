"""What commands that go on say of a Jaeger that was restarted meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ktrace.benchmark.samples import Measurement
from ktrace.commands import bench, watch
from ktrace.jaeger import ring
from ktrace.target import losses
from runtime_observability.host.memory_loss import Memory, MemoryLoss
from tests.fakes.http import FakeServer, Reply, write_kubeconfig
from tests.fakes.jaeger import data, served
from tests.fakes.ktrace import Ktrace

WHY = "its trace is not whole"
LATER, EARLIER = datetime(2999, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)


def restarted(monkeypatch: pytest.MonkeyPatch, at: datetime) -> str:
    loss = MemoryLoss(at)
    monkeypatch.setattr(losses, "memory_of", lambda *_: Memory(at, loss))
    return f"spans may be lost: {loss}"


@pytest.mark.parametrize(("at", "lost"), [(LATER, True), (EARLIER, False)])
def test_watch_tells_it_once_jaeger_answers_again(
    ktrace: Ktrace,
    server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    at: datetime,
    *,
    lost: bool,
) -> None:
    told = restarted(monkeypatch, at)
    monkeypatch.setattr(watch, "_PAUSE_SECONDS", 0.05)
    answer, asked = served(lambda _: data()), 0

    def down_for_a_while(request: Any) -> Reply:
        nonlocal asked
        asked += 1
        return Reply(500, {}) if 1 < asked < 12 else answer(request)

    server.answer = down_for_a_while
    done = ktrace("watch", "--for", "3", "--jaeger", server.url)
    assert done.returncode == 0
    assert "trying again" in done.stderr
    assert done.stderr.count(told) == lost


class Api:
    def get(self, _: str) -> dict[str, Any]:
        return {"items": []}


@pytest.mark.parametrize(("at", "lost"), [(LATER, True), (EARLIER, False)])
def test_bench_tells_it_of_the_starts_that_it_could_not_measure(
    unmeasured: Callable[[], str], monkeypatch: pytest.MonkeyPatch, at: datetime, *, lost: bool
) -> None:
    told = restarted(monkeypatch, at)
    assert unmeasured() == WHY + f"; {told}" * lost


def test_bench_tells_that_the_memory_may_have_dropped_them(
    unmeasured: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring, "may_lack", lambda *_: True)
    assert unmeasured() == f"{WHY}; {ring.WHY}: raise jaegerMaxTraces"


@pytest.fixture
def unmeasured(
    ktrace: Ktrace, server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[], str]:
    """Runs ``ktrace bench``, whose only start is not whole, and returns what is said of it."""
    measured = Measurement("v1", [], "pause", 1, "", None, [], {"a": WHY})

    @contextmanager
    def connected(_: Path) -> Iterator[Api]:
        yield Api()

    monkeypatch.setattr(bench, "_connected", connected)
    monkeypatch.setattr(bench, "_measured", lambda *_, **__: measured)
    server.answer = served(lambda _: data())
    kubeconfig = tmp_path / "kubeconfig"
    write_kubeconfig(kubeconfig, "https://127.0.0.1:9")
    wanted = ("--image", "pause", "--jaeger", server.url, "--kubeconfig", str(kubeconfig))

    def run() -> str:
        done = ktrace("bench", *wanted, "--json")
        assert done.returncode == 1, done.stderr
        (reason,) = [found["reason"] for found in done.document["notMeasured"]]
        return str(reason)

    return run
