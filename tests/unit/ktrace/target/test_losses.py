"""Whose traces may be lost: those of a stack's own Jaeger, and what its collector has passed on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ktrace.jaeger import JaegerError
from ktrace.jaeger import store as stores
from ktrace.target import docker_daemon, losses
from ktrace.target.target import Target
from runtime_observability.core import naming
from runtime_observability.core.naming import Names
from runtime_observability.host.memory_loss import Memory
from tests.fakes.daemon import FakeDaemon
from tests.fakes.jaeger import client, data

NEVER = "0001-01-01T00:00:00Z"
URL = "http://127.0.0.1:16686"


@pytest.fixture(autouse=True)
def asked(daemon: FakeDaemon, names: Names, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The stacks at whose Docker daemon it looks."""
    stacks: list[str | None] = []
    monkeypatch.setattr(docker_daemon, "use_that_of", stacks.append)
    daemon.container(
        names.jaeger,
        labels=names.labels,
        restarts=1,
        started="2026-11-27T06:00:00Z",
        ended="2026-11-27T05:59:59Z",
    )
    return stacks


def target(names: Names, url: str = URL, **outputs: Any) -> Target:
    return Target(url, None, {"jaegerUrl": URL, "clusterName": names.cluster, **outputs})


def test_that_of_a_stack_is_read_at_its_daemon(names: Names, asked: list[str | None]) -> None:
    memory = losses.memory_of(target(names), "dev")
    assert asked == ["dev"]
    assert memory
    assert memory.loss
    assert memory.since == memory.loss.at
    assert memory.loss.crashes


def test_one_that_runs_since_it_was_made_has_a_beginning_and_no_loss(
    names: Names, daemon: FakeDaemon
) -> None:
    jaeger = daemon.containers[0]
    jaeger.restarts, jaeger.started, jaeger.ended = 0, "2026-11-27T04:07:20Z", NEVER
    memory = losses.memory_of(target(names), "dev")
    assert memory
    assert memory.since
    assert (memory.since.isoformat(), memory.loss) == ("2026-11-27T04:07:20+00:00", None)


def test_one_that_took_anothers_place_lost_what_that_had(names: Names, daemon: FakeDaemon) -> None:
    jaeger = daemon.containers[0]
    jaeger.restarts, jaeger.started, jaeger.ended = 0, "2026-11-27T04:07:20Z", NEVER
    daemon.node(names, created="2026-11-26T04:00:00Z")
    memory = losses.memory_of(target(names), "dev")
    assert memory
    loss = memory.loss
    assert loss
    assert (loss.replaced, loss.at.isoformat()) == (True, "2026-11-27T04:07:20+00:00")


def test_of_any_other_nothing_is_known(names: Names) -> None:
    for other in (
        target(names, "http://jaeger.example:16686"),
        target(names, traceStore="none"),
        Target(URL, None),
    ):
        assert losses.memory_of(other, None) is None


@pytest.mark.parametrize("store", ["badger", "opensearch"])
def test_on_every_store_what_docker_restarted_may_have_lost_spans(
    names: Names, daemon: FakeDaemon, store: str
) -> None:
    daemon.containers[0].labels = names.labels | {naming.STORE_LABEL: store}
    of_stack = target(names, traceStore=store)
    ended = datetime(2026, 11, 27, 6, tzinfo=UTC).timestamp()
    lost = losses.of_what_began(of_stack, "dev", ended - 5)
    assert lost.startswith("spans may be lost: Docker restarted Jaeger once, at ")
    assert losses.of_what_began(of_stack, "dev", ended + 5) == ""


def test_another_jaeger_lacks_what_the_collector_lost(names: Names, daemon: FakeDaemon) -> None:
    ended = "2026-11-27T05:59:59Z"
    daemon.container(names.collector, labels=names.labels, restarts=2, ended=ended)
    memory = losses.memory_of(target(names, "http://jaeger.example:16686"), "dev")
    assert memory
    assert [found.container for found in memory.crashes] == [names.collector]
    assert not memory.loss


def test_a_jaeger_that_does_not_keep_running_is_told_where_it_is_asked(
    names: Names, daemon: FakeDaemon, asked: list[str | None]
) -> None:
    url = "http://127.0.0.1:9"
    own = Target(url, None, {"jaegerUrl": url, "clusterName": names.cluster}, asked="dev")
    with own.connect() as jaeger, pytest.raises(JaegerError, match="Docker restarted Jaeger once"):
        jaeger.services()
    assert asked == ["dev"]
    daemon.containers[0].restarts = 0
    with own.connect() as jaeger, pytest.raises(JaegerError, match="Start it, or name another"):
        jaeger.services()


@pytest.mark.parametrize(
    ("cluster", "since", "told"),
    [(2, None, True), (2, 1.5, True), (2, 0.5, False), (0.5, None, False), (None, 1.5, True)],
)
def test_what_is_older_than_the_retention_may_be_deleted(
    cluster: float | None, since: float | None, *, told: bool
) -> None:
    """Times are in hours before now; nothing of a younger cluster is so old."""
    now = datetime.now(UTC)
    made, began = (hours and now - timedelta(hours=hours) for hours in (cluster, since))
    jaeger = client(lambda _: data(), stores.of("badger", "1h"))
    expected = "Jaeger keeps traces for 1 h: raise traceRetention" if told else ""
    assert losses.dropped(jaeger, Memory(cluster=made or None), began or None) == expected
