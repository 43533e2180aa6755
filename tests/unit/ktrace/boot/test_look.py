"""What is read of a stack's boot, and what is said of what cannot be read."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ktrace.boot.look import look
from ktrace.boot.model import Boot
from ktrace.jaeger import Jaeger
from ktrace.podstart import cluster
from ktrace.target import stack as stacks
from runtime_observability.core.naming import Names
from tests.fakes import starts
from tests.fakes.daemon import FakeDaemon
from tests.fakes.starts import Api
from tests.unit.ktrace.boot.test_node_log import LOG

UP = (
    datetime.fromisoformat("2026-11-27T18:27:13Z"),
    datetime.fromisoformat("2026-11-27T18:27:35Z"),
)
NODE_OBJECT = {
    "metadata": {"creationTimestamp": "2026-11-27T18:27:30Z"},
    "status": {
        "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-27T18:27:33Z"}
        ]
    },
}
BOOT_SECONDS = datetime.fromisoformat("2026-11-27T18:27:20Z").timestamp()


def milliseconds(seconds: float) -> float:
    """After ``starts.BEGIN``, for what is so long after the node's start."""
    return (BOOT_SECONDS + seconds) * 1000 - starts.BEGIN / 1000


def jaeger(first: float = 2.2) -> Jaeger:
    read = starts.span("apiserver", "etcdserverpb.KV/Range", milliseconds(first), 40, "etcd")
    return starts.jaeger(
        starts.trace([read], "boot", "server-0"),
        starts.sync(
            milliseconds(14), starts.started("probe", milliseconds(14.2)), update="create",
            pod="default/trace-probe",
        ),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def stack(daemon: FakeDaemon, names: Names, monkeypatch: pytest.MonkeyPatch) -> FakeDaemon:
    """A stack that was made in one ``up`` and runs since."""
    monkeypatch.setattr(stacks, "update_around", around)
    monkeypatch.setattr(cluster, "connected", lambda _: connected_to(Api(None, node=NODE_OBJECT)))
    times: Any = {"created": "2026-11-27T18:27:16.84Z", "started": "2026-11-27T18:27:18.34Z"}
    daemon.network(names.cluster, created="2026-11-27T18:27:16.46Z")
    daemon.container(names.jaeger, labels=names.labels, **times)
    daemon.container(names.collector, labels=names.labels, **times)
    daemon.node(
        names, log=LOG, created="2026-11-27T18:27:18.69Z", started="2026-11-27T18:27:20.33Z"
    )
    return daemon


def around(_: str | None, moment: datetime) -> tuple[datetime, datetime] | None:
    return UP if UP[0] <= moment <= UP[1] else None


class Objects(Api):
    """The nodes' objects, of which some are ``own``."""

    def __init__(self, own: Any) -> None:
        super().__init__(None, node=NODE_OBJECT)
        self._own = own

    def get(self, path: str) -> Any:
        return self._own.get(path.rpartition("/")[2]) or super().get(path)


def later_object(at: str) -> Any:
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": at}
    return {"metadata": {"creationTimestamp": at}, "status": {"conditions": [ready]}}


def connected_to(api: Any) -> Any:

    return nullcontext(api)


def seen(names: Names, found: Jaeger | str | None = None) -> Boot:
    return look(names.cluster, "dev", None, found or jaeger())


def told(boot: Boot) -> list[str]:
    return [line.mark.what for line in boot.lines]


def test_a_boot_is_told_from_up_to_the_first_pod(names: Names) -> None:
    boot = seen(names)
    assert told(boot) == [
        "pulumi up begins",
        "network created",
        "collector created",
        "jaeger created",
        "collector started",
        "jaeger started",
        "node created",
        "node started",
        "API server begins",
        "first span of apiserver",
        "the datastore answers the API server",
        "API server serves",
        "controllers begin",
        "k3s is up and running",
        "controllers serve",
        "kubelet has registered its node",
        "node Ready",
        "first pod reaches the kubelet: default/trace-probe",
        "first span of kubelet",
        "first span of containerd",
        "first container of a pod has started",
        "pulumi up has ended",
    ]
    assert (boot.ready, boot.length_ms, boot.missing, boot.again) == (True, 20_000, (), False)


def test_a_restart_is_told_apart_from_the_creation(names: Names, stack: FakeDaemon) -> None:
    node = next(found for found in stack.containers if found.name == names.node("server", 0))
    node.ended, node.started = "2026-11-27T18:27:19Z", "2026-11-27T18:27:20.33Z"
    boot = seen(names)
    assert boot.again
    assert told(boot)[0] == "node started"
    assert not {"node created", "network created", "jaeger created"} & set(told(boot))
    assert any("was created at 2026-11-27 18:27:18 UTC" in note for note in boot.notes)
    node.started = "2026-11-27T18:59:20.33Z"
    later = seen(names)
    assert later.length_ms is None
    assert any("was Ready again is not known" in note for note in later.notes)


@pytest.mark.parametrize("history", [True, False])
def test_a_node_of_a_later_up_is_no_part_of_the_boot(
    names: Names, stack: FakeDaemon, monkeypatch: pytest.MonkeyPatch, history: bool
) -> None:
    """The hours between two runs of `up` were told as a wait of the boot."""
    alone = seen(names)
    if not history:
        monkeypatch.setattr(stacks, "update_around", lambda *_: None)
    agent = names.node("agent", 0)
    later: Any = {"created": "2026-11-27T20:00:00Z", "started": "2026-11-27T20:00:01Z"}
    stack.node(names, role="agent", log=LOG, **later)
    objects = {agent: later_object("2026-11-27T20:00:09Z")}
    monkeypatch.setattr(cluster, "connected", lambda _: connected_to(Objects(objects)))
    boot = seen(names)
    assert alone.length_ms is not None
    since_network_ms = 3_460
    assert boot.length_ms == alone.length_ms - (0 if history else since_network_ms)
    assert not any(line.mark.node == agent for line in boot.lines)
    note = f"node {agent} is no part of this boot: it was started at 2026-11-27 20:00:01 UTC"
    assert note in boot.notes
    assert [node.in_boot for node in boot.nodes] == [True, False]


def test_what_an_earlier_up_made_is_no_part_of_the_boot(names: Names, stack: FakeDaemon) -> None:
    """A cluster that a later `up` replaced began with the network of the first one."""
    for found in (*stack.networks, *stack.containers[:2]):
        found.created = "2026-11-27T12:00:00Z"
    boot = seen(names)
    assert told(boot)[:2] == ["pulumi up begins", "node created"]
    assert boot.length_ms == 20_000
    assert "there before this boot: the network, jaeger, collector" in boot.notes


@pytest.mark.parametrize(("seconds", "how"), [(30, "30 s ahead of"), (-30, "30 s behind")])
def test_times_of_another_machines_clock_are_left_out(
    names: Names, stack: FakeDaemon, seconds: int, how: str
) -> None:
    stack.info["SystemTime"] = (datetime.now(tz=UTC) + timedelta(seconds=seconds)).isoformat()
    boot = seen(names)
    assert not any("pulumi" in line for line in told(boot))
    why = f"the times of Pulumi: the clock of Docker's machine is {how} this machine's"
    assert why in boot.missing
    assert all(line.waited_ms >= 0 for line in boot.lines)


def test_a_node_that_was_ready_again_is_not_ready_first_then(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that slept makes a node's condition new: that was hours of a boot."""
    objects = {names.node("server", 0): later_object("2026-11-27T23:00:00Z")}
    monkeypatch.setattr(cluster, "connected", lambda _: connected_to(Objects(objects)))
    boot = seen(names)
    assert (boot.ready, boot.length_ms) == (True, None)
    assert "node Ready" not in told(boot)
    assert any("was Ready first is not known" in note for note in boot.notes)


def test_a_later_restart_of_one_node_is_a_boot_of_its_own(names: Names, stack: FakeDaemon) -> None:
    agent = names.node("agent", 0)
    stack.node(names, role="agent", log=LOG, ended="2026-11-27T21:00:00Z",
               created="2026-11-27T18:27:19Z", started="2026-11-27T21:00:01Z")  # fmt: skip
    boot = seen(names)
    assert [node.name for node in boot.nodes if node.in_boot] == [agent]
    assert any("server-0 is no part of this boot" in note for note in boot.notes)


@pytest.mark.parametrize("seconds", [60, 5])
def test_spans_that_are_not_the_first_are_left_out(names: Names, seconds: float) -> None:
    """A full memory drops a boot's seconds one by one."""
    boot = seen(names, jaeger(first=seconds))
    assert not any("span" in what for what in told(boot))
    assert any("the first may be gone" in missing for missing in boot.missing)


def test_a_log_that_tells_nothing_says_so(names: Names, stack: FakeDaemon) -> None:
    for found in stack.containers:
        found.log = "nothing\n"
    boot = seen(names)
    assert any("none that is known is in it" in missing for missing in boot.missing)
    assert "node object created" in told(boot), "no line tells that more exactly"
    assert any("no log tells" in missing for missing in boot.missing)


def test_a_jaeger_of_a_later_run_is_not_the_boot_s(names: Names, stack: FakeDaemon) -> None:
    later = next(found for found in stack.containers if found.name == names.jaeger)
    later.created = later.started = "2026-11-27T19:00:00Z"
    boot = seen(names)
    assert "jaeger created" not in told(boot)
    assert "the first jaeger of the stack: another took its place later" in boot.missing


def test_without_jaeger_cluster_and_history_the_rest_is_told(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacks, "update_around", lambda *_: None)
    monkeypatch.setattr(cluster, "connected", lambda _: connected_to("no kubeconfig"))
    boot = seen(names, "the stack keeps no traces")
    assert (boot.ready, boot.length_ms) == (None, None)
    assert "spans of the boot: the stack keeps no traces" in boot.missing
    assert any("Pulumi's history has none" in missing for missing in boot.missing)


def test_a_cluster_that_is_stopped_or_gone_has_no_boot(names: Names, stack: FakeDaemon) -> None:
    for found in stack.containers:
        found.state = "exited"
    assert seen(names).missing == (f"cluster {names.cluster}: no node runs",)
    stack.containers.clear()
    assert seen(names).missing == (f"cluster {names.cluster}: Docker has none of its nodes",)
