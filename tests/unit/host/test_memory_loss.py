"""What a Jaeger that keeps traces in memory has lost, as Docker tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from runtime_observability.core import naming
from runtime_observability.core.naming import Names
from runtime_observability.host import memory_loss, preflight
from tests.fakes.daemon import FakeDaemon

LATER = "2026-11-27T06:00:00.000000000Z"


def test_one_that_has_run_since_it_was_created_lost_nothing(
    daemon: FakeDaemon, names: Names
) -> None:
    daemon.container(names.jaeger, labels=names.labels)
    assert memory_loss.find_restart(names.jaeger) is None


def test_one_that_is_gone_tells_nothing(daemon: FakeDaemon, names: Names) -> None:
    assert memory_loss.find_restart(names.jaeger) is None
    daemon.down = True
    assert memory_loss.find_restart(names.jaeger) is None


def test_one_that_keeps_traces_elsewhere_lost_nothing(daemon: FakeDaemon, names: Names) -> None:
    labels = names.labels | {naming.STORE_LABEL: "badger"}
    daemon.container(names.jaeger, labels=labels, restarts=2, started=LATER, ended=LATER)
    assert memory_loss.find_restart(names.jaeger) is None


def test_one_that_a_person_restarted_lost_what_it_had(daemon: FakeDaemon, names: Names) -> None:
    daemon.container(names.jaeger, labels=names.labels, started=LATER, ended=LATER)
    loss = memory_loss.find_restart(names.jaeger)
    assert loss
    assert loss.at == datetime(2026, 11, 27, 6, tzinfo=UTC)
    assert str(loss).startswith("Jaeger restarted at ")
    assert str(loss).endswith(" and keeps its traces in memory")
    assert preflight.advise_on_lost_traces(loss) == []


def test_a_jaeger_that_never_restarted_lacks_only_what_is_not_seen() -> None:
    made = datetime(2026, 11, 27, 6, tzinfo=UTC)
    before, after = made - timedelta(seconds=1), made + timedelta(seconds=1)
    memory = memory_loss.Memory(made)
    assert [memory.lacks(at, unseen=True) for at in (before, after)] == [True, False]
    assert not memory.lacks(before, unseen=False)
    restarted = memory_loss.Memory(made, memory_loss.MemoryLoss(made, 0, out_of_memory=False))
    assert [restarted.lacks(at, unseen=False) for at in (before, after)] == [True, False]


@pytest.mark.parametrize(("older", "may_lack"), [(None, False), (5, False), (31, True)])
def test_a_jaeger_that_is_younger_than_its_cluster_may_lack_spans(
    older: int | None, *, may_lack: bool
) -> None:
    """Made again soon after the first ``up``, or late in it: it cannot be told from the first."""
    made = datetime(2026, 11, 27, 6, tzinfo=UTC)
    cluster = None if older is None else made - timedelta(seconds=older)
    memory = memory_loss.Memory(made, cluster=cluster)
    assert memory.may_lack_any(made - timedelta(seconds=1)) == may_lack
    assert not memory.may_lack_any(made + timedelta(seconds=1))


def test_the_day_is_told_unless_it_is_today() -> None:
    now = datetime.now(UTC)
    today = memory_loss.MemoryLoss(now, 0, out_of_memory=False)
    assert str(today).startswith(f"Jaeger restarted at {now.astimezone():%H:%M:%S} and ")
    before = now - timedelta(days=2)
    loss = memory_loss.MemoryLoss(before, 0, out_of_memory=False)
    assert str(loss).startswith(f"Jaeger restarted at {before.astimezone():%Y-%m-%d %H:%M:%S} and")


@pytest.mark.parametrize(
    ("cluster", "made", "lost"),
    [
        ("2026-11-27T05:00:00Z", "", True),
        ("2026-11-27T05:00:00Z", "2026-11-27T04:59:00+00:00", True),
        ("2026-11-27T05:58:00Z", "2026-11-27T05:59:00+00:00", True),
        ("2026-11-27T05:58:00Z", "2026-11-27T05:57:00+00:00", False),
        ("2026-11-27T05:58:00Z", "", False),
        ("2026-11-27T06:30:00Z", "2026-11-27T05:59:00+00:00", False),
        ("", "2026-11-27T05:59:00+00:00", False),
    ],
    ids=[
        "hours after its cluster, by a release without the label",
        "hours after its cluster, for another configuration",
        "in place of one that was gone",
        "in the same run, after the nodes",
        "after the nodes, by a release without the label",
        "before its cluster",
        "of a cluster that is not known",
    ],
)
def test_one_that_took_anothers_place_lost_what_that_had(
    daemon: FakeDaemon, names: Names, cluster: str, made: str, *, lost: bool
) -> None:
    labels = names.labels | ({naming.MADE_LABEL: made} if made else {})
    daemon.container(names.jaeger, labels=labels, created=LATER, started=LATER)
    if cluster:
        daemon.node(names, created=cluster)
    memory = memory_loss.read(names.jaeger, names.node("server", 0))
    assert memory
    assert memory.since == datetime(2026, 11, 27, 6, tzinfo=UTC)
    assert bool(memory.loss) == lost
    if memory.loss:
        assert memory.loss.at == memory.since
        assert str(memory.loss).startswith("Jaeger was made at ")
        assert str(memory.loss).endswith(", later than the cluster, and keeps its traces in memory")
        assert preflight.advise_on_lost_traces(memory.loss) == []


def test_one_that_was_made_later_and_restarted_since_lost_what_it_had(
    daemon: FakeDaemon, names: Names
) -> None:
    daemon.node(names, created="2026-11-27T05:00:00Z")
    daemon.container(
        names.jaeger,
        labels=names.labels,
        created="2026-11-27T05:30:00Z",
        started=LATER,
        ended=LATER,
    )
    memory = memory_loss.read(names.jaeger, names.node("server", 0))
    assert memory
    assert str(memory.loss).startswith("Jaeger restarted at ")


def test_one_that_docker_restarted_says_why_and_the_cure(daemon: FakeDaemon, names: Names) -> None:
    jaeger = daemon.container(
        names.jaeger, labels=names.labels, restarts=2, started=LATER, ended=LATER
    )
    loss = memory_loss.find_restart(names.jaeger)
    assert "Docker restarted it 2 times: perhaps it ran out of memory. Raise jaegerMemory" in str(
        loss
    )
    daemon.out_of_memory, jaeger.restarts = True, 1
    loss = memory_loss.find_restart(names.jaeger)
    assert "Docker restarted it once: it ran out of memory. Raise jaegerMemoryMiB" in str(loss)
    (notice,) = preflight.advise_on_lost_traces(loss)
    assert notice.startswith("traces are lost: Jaeger restarted at ")
