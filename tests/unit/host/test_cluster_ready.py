"""How long a cluster is waited for, and what is said of one that does not become ready."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from runtime_observability.core.naming import Names
from runtime_observability.host import cluster_ready, k3d, runner
from runtime_observability.host.cluster_ready import ReadyCluster
from runtime_observability.host.k3d import NodeWatch
from tests import configuration
from tests.configuration import parsed
from tests.fakes.clock import Clock
from tests.fakes.daemon import FakeDaemon
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig

NO_CNI = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:Network plugin returns error: cni plugin not initialized"
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().drive(monkeypatch, cluster_ready)


def node(name: str, ready: str = "True", message: str = "", heartbeat: str = "") -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "reason": "KubeletReady", "message": message}
    if heartbeat:
        condition["lastHeartbeatTime"] = heartbeat
    conditions = [{"type": "MemoryPressure", "status": "False"}, condition]
    return {"metadata": {"name": name}, "status": {"conditions": conditions}}


def listing(*nodes: dict[str, Any]) -> Reply:
    return Reply(200, {"kind": "NodeList", "apiVersion": "v1", "items": list(nodes)})


def wait(
    names: Names, server: FakeServer, wanted: ReadyCluster, watch: NodeWatch | None = None
) -> float:
    write_kubeconfig(names.kubeconfig, server.url)
    return cluster_ready.wait(names.kubeconfig, wanted, watch or NodeWatch([]))


def answer_in_turn(server: FakeServer, stages: list[Reply]) -> None:
    server.answer = lambda _: stages.pop(0)


@pytest.mark.parametrize(("backend", "has_plugin"), [("none", False), ("vxlan", True)])
def test_a_file_of_k3s_too_can_leave_out_its_network_plugin(
    names: Names, tmp_path: Path, backend: str, has_plugin: bool
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"flannel-backend: {backend}\n")
    volumes = [f"{file}:/etc/rancher/k3s/config.yaml:ro"]
    spec = configuration.spec_of(names, parsed(nodeVolumes=volumes))
    assert ReadyCluster.of(spec, ["a"]).network_plugin is has_plugin


@pytest.mark.usefixtures("no_waiting", "proxy_of_the_user")
def test_all_nodes_are_waited_for(names: Names, server: FakeServer) -> None:
    stages = [
        Reply(503, {"message": "starting"}),
        listing(),
        listing(node("a", "Unknown")),
        listing(node("a"), {"metadata": {"name": "b"}, "status": {}}),
        listing(node("a"), node("of-another"), node("b", "False")),
        listing(node("a"), node("b")),
    ]
    answer_in_turn(server, stages)
    wait(names, server, ReadyCluster(["a", "b"]))
    assert stages == []


@pytest.mark.usefixtures("no_waiting")
def test_nodes_of_other_names_are_counted(names: Names, server: FakeServer) -> None:
    stages = [listing(node("a-1234")), listing(node("a-1234"), node("b-5678"))]
    answer_in_turn(server, stages)
    wait(names, server, ReadyCluster(["a", "b"], named_by_docker=False))
    assert stages == []


@pytest.mark.usefixtures("no_waiting")
def test_without_a_network_plugin_a_node_that_lacks_only_that_is_ready(
    names: Names, server: FakeServer
) -> None:
    lacking, broken = node("a", "False", NO_CNI), node("a", "False", "PLEG is not healthy")
    stages = [listing(broken), listing(lacking)]
    answer_in_turn(server, stages)
    wait(names, server, ReadyCluster(["a"], network_plugin=False))
    assert stages == []
    stages += [listing(lacking), listing(node("a"))]
    wait(names, server, ReadyCluster(["a"]))
    assert stages == []


@pytest.mark.usefixtures("no_waiting")
def test_a_restarted_nodes_old_report_does_not_count(names: Names, server: FakeServer) -> None:
    """A node that was killed is Ready in Kubernetes until its lease ends, after 40 s."""
    restart = 1_700_000_000.9
    stages = [
        listing(node("a", heartbeat="2023-11-14T22:13:19Z")),
        listing(node("a", heartbeat="2023-11-14T22:13:20Z")),
    ]
    answer_in_turn(server, stages)
    wait(names, server, ReadyCluster(["a"], restarted={"a": restart}))
    assert stages == []


def test_a_cluster_is_waited_for_as_long_as_something_new_happens(
    names: Names, server: FakeServer, clock: Clock
) -> None:
    """Fifteen nodes that join one after the other take longer than any fixed time."""
    nodes = [f"n{index}" for index in range(15)]
    begin = clock.now

    def one_a_minute(_: Request) -> Reply:
        joined = int((clock.now - begin) // 60)
        clock.now += 1
        return listing(*map(node, nodes[:joined]))

    server.answer = one_a_minute
    assert wait(names, server, ReadyCluster(nodes)) >= 15 * 60


def test_a_cluster_in_which_nothing_happens_says_what_each_node_lacks(
    names: Names, server: FakeServer, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    flapping = ["True", "False"]

    def answer_slowly(_: Request) -> Reply:
        clock.now += 20
        flapping.reverse()
        return listing(node("a", flapping[0]), node("b", "False", f"no disk at {clock.now}"))

    server.answer = answer_slowly
    begin = clock.now
    with pytest.raises(runner.CommandError, match=r"nothing new .* for 120 s.* b: no disk at"):
        wait(names, server, ReadyCluster(["a", "b", "c"]))
    assert 120 <= clock.now - begin < 200
    assert "c: it has not joined" in capsys.readouterr().err


def test_an_api_server_that_stays_silent_is_told_with_the_reason(
    names: Names, server: FakeServer, clock: Clock
) -> None:
    def refuse(_: Request) -> Reply:
        clock.now += 20
        return Reply(503, {"message": "starting"})

    server.answer = refuse
    with pytest.raises(runner.CommandError, match="not ready: the API server: 503 "):
        wait(names, server, ReadyCluster(["a"]))


def test_an_api_server_that_does_not_answer_is_asked_again_after_five_seconds(
    names: Names, server: FakeServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a limit, one lost answer would take the whole time of the wait."""
    limits: list[Any] = []

    def get(self: httpx.Client, url: str) -> httpx.Response:
        limits.append(self.timeout.read)
        if len(limits) == 1:
            raise httpx.ReadTimeout("timed out")
        return httpx.Response(200, json={"items": []})

    monkeypatch.setattr(httpx.Client, "get", get)
    begin = clock.now
    assert wait(names, server, ReadyCluster([])) == clock.now - begin
    assert limits == [5, 5]


@pytest.mark.usefixtures("no_waiting")
def test_a_node_that_dies_after_k3d_was_content_says_why_at_once(
    daemon: FakeDaemon, names: Names, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(k3d, "_DEAD_SECONDS", 0)
    monkeypatch.setattr(k3d, "_CHECK_SECONDS", 0)
    dead = daemon.node(names, top="sh k3d-entrypoint.sh", log='level=fatal msg="kubelet: no"\n')
    server.answer = lambda _: listing(node(dead.name, "False", "it is new"))
    with pytest.raises(runner.CommandError) as failed:
        wait(names, server, ReadyCluster([dead.name]), NodeWatch([dead.name]))
    assert str(failed.value).splitlines() == [
        f"k3s in {dead.name} has exited ({dead.name}: it is new).",
        f'{dead.name}: level=fatal msg="kubelet: no"',
    ]
