"""What a Jaeger that keeps traces in memory has lost, as Docker tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from runtime_observability.core import naming
from runtime_observability.core.crashes import COLLECTOR, JAEGER, Crashes
from runtime_observability.core.naming import Names
from runtime_observability.host import memory_loss, preflight
from tests.fakes.daemon import FakeDaemon

LATER = "2026-11-27T06:00:00.000000000Z"


def test_one_that_has_run_since_it_was_created_lost_nothing(
    daemon: FakeDaemon, names: Names
) -> None:
    daemon.node(names)
    daemon.container(names.jaeger, labels=names.labels)
    memory = memory_loss.read(names.of_cluster)
    assert memory
    assert not memory.loss
    assert not memory.crashes
    assert len(daemon.calls_to("docker")) == 1


def test_one_that_is_gone_tells_nothing(daemon: FakeDaemon, names: Names) -> None:
    assert memory_loss.read(names.of_cluster) is None
    daemon.down = True
    assert memory_loss.read(names.of_cluster) is None


def test_one_that_keeps_traces_elsewhere_lost_nothing(daemon: FakeDaemon, names: Names) -> None:
    labels = names.labels | {naming.STORE_LABEL: "badger"}
    daemon.container(names.jaeger, labels=labels, started=LATER, ended=LATER)
    assert memory_loss.read(names.of_cluster) is None


def test_one_that_keeps_traces_elsewhere_has_none_from_before_the_cluster(
    daemon: FakeDaemon, names: Names
) -> None:
    daemon.node(names)
    daemon.container(names.jaeger, labels=names.labels | {naming.STORE_LABEL: "badger"})
    memory = memory_loss.read(names.of_cluster)
    assert memory
    assert memory.cluster
    assert str(memory) == memory.why_lacking_any(memory.cluster) == ""


def test_one_that_a_person_restarted_lost_what_it_had(daemon: FakeDaemon, names: Names) -> None:
    daemon.container(names.jaeger, labels=names.labels, started=LATER, ended=LATER)
    memory = memory_loss.read(names.of_cluster)
    assert memory
    loss = memory.loss
    assert loss
    assert loss.at == datetime(2026, 11, 27, 6, tzinfo=UTC)
    assert str(loss).startswith("Jaeger restarted at ")
    assert str(loss).endswith(" and keeps its traces in memory")
    assert preflight.advise_on_losses(memory) == []


def test_one_that_a_person_ended_has_not_restarted(daemon: FakeDaemon, names: Names) -> None:
    daemon.container(names.jaeger, labels=names.labels, state="exited", ended=LATER)
    memory = memory_loss.read(names.of_cluster)
    assert memory
    assert memory.loss
    assert memory.loss.at == memory.since == datetime(2026, 11, 27, 6, tzinfo=UTC)
    assert str(memory.loss).startswith("Jaeger ended at ")


def test_a_jaeger_that_never_restarted_lacks_only_what_is_not_seen() -> None:
    made = datetime(2026, 11, 27, 6, tzinfo=UTC)
    before, after = made - timedelta(seconds=1), made + timedelta(seconds=1)
    memory = memory_loss.Memory(made)
    assert [bool(memory.why_lacking(at, unseen=True)) for at in (before, after)] == [True, False]
    assert not memory.why_lacking(before, unseen=False)
    restarted = memory_loss.Memory(made, memory_loss.MemoryLoss(made))
    lacking = [bool(restarted.why_lacking(at, unseen=False)) for at in (before, after)]
    assert lacking == [True, False]


@pytest.mark.parametrize(("older", "may_lack"), [(None, False), (5, False), (31, True)])
def test_a_jaeger_that_is_younger_than_its_cluster_may_lack_spans(
    older: int | None, *, may_lack: bool
) -> None:
    """Made again soon after the first ``up``, or late in it: it cannot be told from the first."""
    made = datetime(2026, 11, 27, 6, tzinfo=UTC)
    cluster = None if older is None else made - timedelta(seconds=older)
    memory = memory_loss.Memory(made, cluster=cluster)
    assert bool(memory.why_lacking_any(made - timedelta(seconds=1))) == may_lack
    assert not memory.why_lacking_any(made + timedelta(seconds=1))


def test_the_day_is_told_unless_it_is_today() -> None:
    now = datetime.now(UTC)
    today = memory_loss.MemoryLoss(now)
    assert str(today).startswith(f"Jaeger restarted at {now.astimezone():%H:%M:%S} and ")
    before = now - timedelta(days=2)
    loss = memory_loss.MemoryLoss(before)
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
    memory = memory_loss.read(names.of_cluster)
    assert memory
    assert memory.since == datetime(2026, 11, 27, 6, tzinfo=UTC)
    assert bool(memory.loss) == lost
    if memory.loss:
        assert memory.loss.at == memory.since
        assert str(memory.loss).startswith("Jaeger was made at ")
        assert str(memory.loss).endswith(", later than the cluster, and keeps its traces in memory")
        assert preflight.advise_on_losses(memory) == []


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
    memory = memory_loss.read(names.of_cluster)
    assert memory
    assert str(memory.loss).startswith("Jaeger restarted at ")


def test_one_that_docker_restarted_says_why_and_the_cure(daemon: FakeDaemon, names: Names) -> None:
    jaeger = daemon.container(
        names.jaeger, labels=names.labels, restarts=2, started=LATER, ended=LATER
    )
    loss = str(memory_loss.read(names.of_cluster))
    assert "Docker restarted Jaeger 2 times between " in loss
    assert ": perhaps it ran out of memory. Raise jaegerMemoryMiB, lower jaegerMaxTraces" in loss
    daemon.events, jaeger.restarts = ["die 2", "oom <no value>", "die 137"], 1
    memory = memory_loss.read(names.of_cluster)
    assert ": it ran out of memory (exit code 137). Raise jaegerMemoryMiB" in str(memory)
    (notice,) = preflight.advise_on_losses(memory)
    assert notice.startswith("traces are lost: Jaeger restarted at ")


def test_one_on_badger_that_docker_restarted_may_lack_spans_of_before(
    daemon: FakeDaemon, names: Names
) -> None:
    labels = names.labels | {naming.STORE_LABEL: "badger"}
    daemon.container(names.jaeger, labels=labels, restarts=2, started=LATER, ended=LATER)
    memory = memory_loss.read(names.of_cluster)
    assert memory
    (notice,) = preflight.advise_on_losses(memory)
    assert notice.startswith("spans may be lost: Docker restarted Jaeger 2 times between ")
    assert notice.endswith(": perhaps it ran out of memory. Raise jaegerMemoryMiB")
    ended = datetime(2026, 11, 27, 6, tzinfo=UTC)
    before, after = ended - timedelta(seconds=1), ended + timedelta(seconds=1)
    assert [bool(memory.why_lacking_any(at)) for at in (before, after)] == [True, False]
    assert memory.why_lacking(before, unseen=False, gaps=True)
    assert not memory.why_lacking(before, unseen=False)
    assert memory.complete_from(before, after) == ended


def test_a_collector_that_docker_restarts_now_may_lack_spans_of_any_time(
    daemon: FakeDaemon, names: Names
) -> None:
    daemon.container(names.jaeger, labels=names.labels)
    daemon.container(
        names.collector, labels=names.labels, state="restarting", restarts=3, ended=LATER
    )
    memory = memory_loss.read(names.of_cluster)
    assert memory
    assert not memory.loss
    now = datetime.now(UTC)
    assert "and it is down now" in memory.why_lacking_any(now)
    assert memory.complete_from(now - timedelta(hours=1), now) == now


def test_no_container_of_another_stack_is_told(daemon: FakeDaemon, names: Names) -> None:
    daemon.container("traced-other-jaeger", restarts=3, started=LATER, ended=LATER)
    assert memory_loss.read(names.of_cluster) is None


@pytest.mark.parametrize(
    ("of", "code", "said", "told"),
    [
        (JAEGER, 2, "[signal SIGBUS: bus error]", "a disk is full (exit code 2; last error: [s"),
        (JAEGER, None, "write /data/x: no space left on device", "a disk is full (last error: w"),
        (JAEGER, None, "", "perhaps it ran out of memory. Raise jaegerMemoryMiB"),
        (COLLECTOR, 137, "", "perhaps it ran out of memory (exit code 137). Raise collectorMemo"),
        (COLLECTOR, 1, "", "it ended by itself (exit code 1). `docker logs it` says more"),
        (
            COLLECTOR,
            2,
            "panic: x",
            "it ended by itself (exit code 2; last error: panic: x). `docke",
        ),
    ],
)
def test_why_a_container_ended_is_told_with_the_cure(
    of: str, code: int | None, said: str, told: str
) -> None:
    at = datetime.now(UTC)
    crashes = Crashes(of, "it", 1, at, at, at, code, said=said)
    assert told in str(crashes)
    assert str(crashes).startswith(f"Docker restarted {of} once, at {at.astimezone():%H:%M:%S}: ")


def test_a_java_without_heap_is_told_with_the_cure() -> None:
    at = datetime.now(UTC)
    said = "fatal error in thread [x], exiting java.lang.OutOfMemoryError: Java heap space"
    crashes = Crashes("OpenSearch", "it", 2, at, at, at, 127, said=said)
    assert str(crashes).endswith(" Raise openSearchHeapMiB and openSearchMemoryMiB")
