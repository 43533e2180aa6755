"""Changes in place: agents that are added and removed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from runtime_observability.core import naming
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.transition import identity, with_agents
from runtime_observability.host import agents, convergence, finalizers, runner
from runtime_observability.host.node_kubectl import AgentsError
from tests.fakes.daemon import FakeDaemon
from tests.fakes.executables import Answer
from tests.unit.host.convergence.cluster import (
    REGISTRIES,
    Answering,
    changes,
    node,
    now,
    remember,
    run,
    spec_of,
    standing,
    volume,
)


@pytest.mark.usefixtures("readiness", "spec")
@pytest.mark.parametrize("registries", [{"config": "mirrors: {}\n"}, {"use": ["k3d-own:5000"]}])
def test_an_agent_that_is_added_has_the_registries_of_the_server(
    daemon: FakeDaemon, names: Names, registries: dict[str, Any]
) -> None:
    """Those in use are in k3d's file alone."""
    wanted = spec_of(names, agents=1, registries=registries)
    server = daemon.node(names, "server", spec=identity(wanted))
    server.files[REGISTRIES] = "mirrors: {of-k3d: {}}\n"
    remember(names, spec_of(names, registries=registries))
    run(names, wanted)
    assert daemon.containers[-1].name == names.node("agent", 0)
    assert daemon.containers[-1].files[REGISTRIES] == server.files[REGISTRIES]


@pytest.mark.usefixtures("readiness")
def test_an_agent_is_added_to_a_standing_cluster(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    server = daemon.node(names, "server", spec=identity(spec))
    remember(names, spec_of(names))
    assert run(names, spec) == server.id
    assert changes(daemon) == ["kubectl delete", "docker create", "start"]
    agent = daemon.containers[-1]
    assert (agent.name, agent.state) == (names.node("agent", 0), "running")
    assert agent.labels == {
        **names.labels, naming.SPEC_LABEL: identity(spec),
        "app": "k3d", "k3d.cluster": "traced-dev", "k3d.cluster.token": "secret",
        "k3d.role": "agent",
    }  # fmt: skip
    assert "OTEL_RESOURCE_ATTRIBUTES=k8s.node.name=k3d-traced-dev-agent-0" in agent.variables
    assert agent.variables[-2:] == ["K3S_TOKEN=secret", f"K3S_URL=https://{server.name}:6443"]
    (create,) = daemon.calls_to("docker", "create")
    assert "secret" not in " ".join(create.argv), "other users of the machine see arguments"
    kubelet = "--kubelet-arg=config=/etc/runtime-observability/kubelet-tracing.yaml"
    of_the_server = daemon.inspected["Image"]
    assert create.argv[-3:] == (of_the_server, "agent", kubelet), "its tag may have moved"
    mounts = [option for option in create.argv if option.startswith("--volume=")]
    assert mounts == [
        f"--volume={names.node_directory}:/etc/runtime-observability:ro",
        "--volume=k3d-traced-dev-images:/k3d/images",
    ]


@pytest.mark.usefixtures("readiness")
def test_an_agent_gets_nothing_of_the_docker_commands_own_settings(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their proxies would be in its environment, and in no other node's: it never joined."""
    daemon.node(names, "server", spec=identity(spec))
    remember(names, spec_of(names))
    monkeypatch.setenv("DOCKER_CONFIG", "/home/ada/.docker")
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    given: list[dict[str, str]] = []
    run_it = runner.run

    def spy(argv: Sequence[str], **options: Any) -> runner.Result:
        if argv[:2] == ["docker", "create"]:
            given.append(options["environment"])
            assert not (Path(given[0]["DOCKER_CONFIG"]) / "config.json").exists()
        return run_it(argv, **options)

    monkeypatch.setattr(runner, "run", spy)
    run(names, spec)
    (environment,) = given
    assert Path(environment["DOCKER_CONFIG"]).is_relative_to(names.directory), "a snap sees it"
    assert environment["DOCKER_CERT_PATH"] == "/home/ada/.docker"
    assert environment["DOCKER_DEFAULT_PLATFORM"] == ""


def test_an_agent_that_does_not_join_is_removed_and_the_rest_stays(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, readiness: list[str]
) -> None:
    server = daemon.node(names, "server", spec=identity(spec))
    remember(names, spec_of(names))
    readiness[:] = ["ready", "agent-0: it has not joined"]
    with pytest.raises(runner.CommandError, match=r"not joined(?s:.*)`pulumi config set agents 0`"):
        run(names, spec)
    assert daemon.names == {server.name}


@pytest.mark.parametrize("stood", [True, False])
def test_an_agent_that_cannot_be_made_again_keeps_its_node_and_one_that_is_new_has_none(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, readiness: list[str], *, stood: bool
) -> None:
    """Its pods, which nothing may make again, run once a later up has made it."""
    daemon.node(names, "server", spec=identity(spec))
    remember(names, spec if stood else spec_of(names))
    readiness[:] = ["ready", "agent-0: it has not joined"]
    with pytest.raises(runner.CommandError, match="not joined"):
        run(names, spec)
    node = f"node/{names.node('agent', 0)}"
    deleted = [call.argv for call in daemon.calls_to("docker", "exec") if node in call.argv]
    assert len(deleted) == int(not stood)


def test_fewer_agents_are_no_cure_where_an_agent_stands_behind_the_one_that_failed(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, readiness: list[str]
) -> None:
    """They would cost that one, and want the failing one still."""
    two = with_agents(spec, 2)
    daemon.node(names, "server", spec=identity(two))
    behind = daemon.node(names, "agent", 1, spec=identity(two))
    remember(names, two)
    readiness[:] = ["ready", "agent-0: it has not joined"]
    with pytest.raises(runner.CommandError, match="it has not joined") as failed:
        run(names, two)
    assert str(failed.value).endswith("works as before: correct what they get")
    assert behind in daemon.containers


@pytest.mark.usefixtures("readiness")
def test_an_agent_too_many_is_drained_and_removed(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    standing(daemon, names, spec)
    run(names, spec_of(names))
    assert changes(daemon) == ["kubectl drain", "kubectl delete", "remove"]
    tried, drain = (call.argv for call in daemon.executables.calls if "drain" in call.argv)
    assert {"--ignore-daemonsets", "--delete-emptydir-data", "--force"} <= set(drain)
    assert tried == (*drain, "--dry-run=server")
    assert [node.name for node in daemon.containers] == [names.node("server", 0)]


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize(
    ("periods", "seconds"),
    [((), 120), ((30, 0), 120), ((30, 600), 660), ((86400,), 3600)],
    ids=["no pods", "short", "long", "too long"],
)
def test_a_drain_waits_for_as_long_as_its_pods_may_take_to_end(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    capfd: pytest.CaptureFixture[str],
    *,
    periods: tuple[int, ...],
    seconds: int,
) -> None:
    """Else the rest of its pods is gone, the agent stays, and each up takes two minutes more."""
    standing(daemon, names, spec)
    pods = [
        {
            "kind": "Pod",
            "metadata": {"name": f"pod-{period}", "namespace": "shop"},
            "spec": {"terminationGracePeriodSeconds": period},
        }
        for period in periods
    ]
    of_daemonset = {
        "kind": "Pod",
        "metadata": {"name": "every-node", "ownerReferences": [{"kind": "DaemonSet"}]},
        "spec": {"terminationGracePeriodSeconds": 1200},
    }
    daemon.kubectl["get pods"] = Answer(json.dumps({"items": [*pods, of_daemonset]}))
    run(names, spec_of(names))
    tried, drain = (call.argv for call in daemon.executables.calls if "drain" in call.argv)
    assert f"--timeout={seconds}s" in drain
    assert "--timeout=120s" in tried
    told = f"Pod shop/pod-{max(periods, default=0)} may take {max(periods, default=0)} s to end"
    assert (told in capfd.readouterr().err) is (seconds > 120)


@pytest.mark.usefixtures("readiness")
def test_a_stopped_agent_too_many_is_removed_without_a_drain(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    standing(daemon, names, spec)
    daemon.containers[1].state = "exited"
    run(names, spec_of(names))
    assert changes(daemon) == ["kubectl delete", "remove"]


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize(
    ("answers", "since", "drains"),
    [
        (["Unknown"], lambda: "2026-01-01T00:00:00Z", False),
        (["Unknown"], now, True),
        (["Unknown", "Unknown", "True"], lambda: "2026-01-01T00:00:00Z", True),
    ],
    ids=["hung", "starts", "was paused"],
)
def test_an_agent_too_many_whose_kubelet_does_not_report_is_removed_without_a_drain(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    *,
    answers: list[str],
    since: Callable[[], str],
    drains: bool,
) -> None:
    """Only its kubelet tells that a pod has ended: the drain would fail at each up."""
    standing(daemon, names, spec, started=since())
    Answering(
        200, convergence.wanted_nodes(names, spec), {names.node("agent", 0): answers}
    ).to_ensure(monkeypatch)
    run(names, spec_of(names))
    assert changes(daemon) == [*["kubectl drain"][:drains], "kubectl delete", "remove"]
    assert [node.name for node in daemon.containers] == [names.node("server", 0)]


@pytest.mark.usefixtures("readiness")
def test_an_agent_that_cannot_be_drained_stays(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    standing(daemon, names, spec)
    refusal = "Cannot evict pod as it would violate the pod's disruption budget."
    daemon.kubectl["drain"] = Answer(
        stderr=f"node cordoned\nevicting pod default/web\n{refusal}\n", code=1
    )
    with pytest.raises(runner.CommandError, match=f"cannot be drained and stays: {refusal}"):
        run(names, spec_of(names))
    assert changes(daemon) == [], "other pods would have been evicted by then"
    run(names, spec)
    assert changes(daemon) == [], "a person may have cordoned it"
    daemon.kubectl["drain --dry-run=server"] = Answer()
    with pytest.raises(runner.CommandError, match=f"cannot be drained and stays: {refusal}"):
        run(names, spec_of(names))
    assert changes(daemon) == ["kubectl drain", "kubectl uncordon"]
    assert len(daemon.containers) == 2


@pytest.mark.usefixtures("readiness")
def test_pods_that_a_budget_keeps_are_the_first_to_leave(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """It allows the first of them, which a try tells, and the next one only once that runs again:
    pods that nothing makes again would have ended by then."""
    standing(daemon, names, spec)
    owned = [{"kind": "DaemonSet"}]
    pods = [
        {"metadata": {"name": "web", "namespace": "shop"}},
        {"metadata": {"name": "log", "namespace": "logs", "ownerReferences": owned}},
    ]
    expressions = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "zone", "operator": "NotIn", "values": ["x"]},
        {"key": "app", "operator": "Exists"},
        {"key": "old", "operator": "DoesNotExist"},
    ]
    labels = {"matchLabels": {"app": "web", "kind": "b"}}
    budgets: list[dict[str, Any]] = [
        {"metadata": {"namespace": namespace}, "spec": rule}
        for namespace, rule in (
            ("shop", {"selector": labels}),
            ("shop", {"selector": {"matchExpressions": expressions}}),
            ("shop", {"selector": {}}),
            ("shop", {}),
            ("logs", {"selector": {"matchLabels": {"app": "log"}}}),
        )
    ]
    daemon.kubectl["get pods"] = Answer(json.dumps({"items": pods}))
    daemon.kubectl["get poddisruptionbudgets"] = Answer(json.dumps({"items": budgets}))
    run(names, spec_of(names))
    _, *drains = (call.argv for call in daemon.executables.calls if "drain" in call.argv)
    first = ["app=web,kind=b", "tier in (a,b),zone notin (x),app,!old"]
    assert [drain[-1] for drain in drains[:-1]] == [f"--pod-selector={text}" for text in first]
    assert drains[-1] == drains[0][:-1]

    standing(daemon, names, spec)
    daemon.kubectl |= {"drain": Answer(stderr="no\n", code=1), "drain --dry-run=server": Answer()}
    daemon.executables.calls.clear()
    with pytest.raises(AgentsError, match="cannot be drained and stays: no"):
        run(names, spec_of(names))
    assert changes(daemon) == ["kubectl drain", "kubectl uncordon"]


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize("state", ["running", "exited"])
def test_an_agent_that_a_person_has_cordoned_stays_so_where_it_cannot_be_removed(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, state: str
) -> None:
    standing(daemon, names, spec)
    daemon.containers[1].state = state
    daemon.kubectl |= {"get node": Answer("true"), "delete --dry-run=server": Answer()}
    daemon.kubectl["delete"] = Answer(stderr="no\n", code=1)
    with pytest.raises(AgentsError, match="cannot be removed from Kubernetes: no"):
        run(names, spec_of(names))
    daemon.containers[1].state = "running"
    run(names, spec)
    assert "kubectl uncordon" not in changes(daemon)


@pytest.mark.usefixtures("readiness")
def test_every_pod_that_keeps_an_agent_from_being_drained_is_told(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """Told one at a time, each would cost a drain of two minutes. As kubectl v1.36 says it."""
    standing(daemon, names, spec)
    over = "global timeout reached: 2m0s"
    waiting = 'error when waiting for pod "finalized" in namespace "default" to terminate'
    evicting = [f'error when evicting pods/"{pod}" -n "default"' for pod in ("web", "slow")]
    budget = "Cannot evict pod as it would violate the pod's disruption budget."
    agent = names.node("agent", 0)
    daemon.kubectl["drain"] = Answer(
        stderr=2
        * f"{evicting[0]} (will retry after 5s): {budget}\n"
        + f'There are pending pods in node "{agent}" when an error occurred: [...]\n'
        "pod/finalized\npod/web\n"
        f'error: unable to drain node "{agent}" due to error: [...], continuing command...\n'
        f"There are pending nodes to be drained:\n {agent}\n"
        + "\n".join(f"{line}: {over}" for line in (waiting, *evicting)),
        code=1,
    )
    with pytest.raises(AgentsError) as failed:
        run(names, spec_of(names))
    assert str(failed.value) == (
        f"{agent} cannot be drained and stays: {waiting}: {over}; {evicting[0]}: {budget}; "
        f"{evicting[1]}: {over}. Free it of these pods, or keep as many agents, then run "
        "`pulumi up` again"
    )


@pytest.mark.usefixtures("readiness")
def test_an_agent_too_many_that_never_joined_is_removed(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """Of an up that was interrupted while it waited for the agent."""
    standing(daemon, names, spec)
    agent = names.node("agent", 0)
    daemon.kubectl["drain"] = Answer(
        stderr=f'Error from server (NotFound): nodes "{agent}" not found\n', code=1
    )
    run(names, spec_of(names))
    assert [node.name for node in daemon.containers] == [names.node("server", 0)]


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize("state", ["running", "exited"])
def test_an_agent_whose_volumes_would_be_lost_stays(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, state: str
) -> None:
    standing(daemon, names, spec)
    daemon.containers[1].state = state
    server, agent = convergence.wanted_nodes(names, spec)
    items = [
        volume("pvc-1", [agent], claimRef={"namespace": "shop", "name": "data"}),
        volume("pv-2", [agent]),
        volume("kept", [agent], claimRef={"namespace": "shop", "name": "old"})
        | {"status": {"phase": "Released"}},
        volume("pv-3", [server]),
        volume("pv-4", [server, agent]),
        {"metadata": {"name": "nfs"}, "spec": {}},
    ]
    daemon.kubectl["get persistentvolumes"] = Answer(json.dumps({"items": items}))
    labelled = [node(name, {"kubernetes.io/hostname": name}) for name in (server, agent)]
    daemon.kubectl["get nodes"] = Answer(json.dumps({"items": labelled}))
    with pytest.raises(AgentsError) as failed:
        run(names, spec_of(names))
    assert str(failed.value) == (
        f"{agent} stays, because data would be lost with it: volume pvc-1 of claim shop/data, "
        "volume pv-2, volume kept. If nobody needs that, delete the claims (`kubectl delete pvc`), "
        "then each of these volumes that is still there (`kubectl delete pv`), or keep as many "
        "agents; then run `pulumi up` again"
    )
    assert changes(daemon) == []
    unable = Answer(stderr="the server is currently unable\n", code=1)
    daemon.kubectl["get persistentvolumes"] = unable
    with pytest.raises(AgentsError, match="its volumes are not known: the server is"):
        run(names, spec_of(names))
    assert changes(daemon) == []
    daemon.kubectl["get persistentvolumes"] = Answer(json.dumps({"items": items[3:]}))
    run(names, spec_of(names))
    assert [container.name for container in daemon.containers] == [server]


_OWN = "topology.topolvm.io/node"
_AGENT = "k3d-traced-dev-agent-0"


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize(
    ("term", "stays"),
    [
        ({"matchExpressions": [{"key": _OWN, "operator": "In", "values": [_AGENT]}]}, True),
        ({"matchExpressions": [{"key": "disk", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "role", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "role", "operator": "NotIn", "values": ["db"]}]}, True),
        ({"matchExpressions": [{"key": "slots", "operator": "Gt", "values": ["3"]}]}, True),
        ({"matchExpressions": [{"key": "slots", "operator": "Lt", "values": ["3"]}]}, False),
        ({"matchExpressions": [{"key": "disk", "operator": "Gt", "values": ["3"]}]}, False),
        ({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}, False),
        (
            {
                "matchExpressions": [
                    {"key": "zone", "operator": "In", "values": ["a"]},
                    {"key": "disk", "operator": "In", "values": ["ssd"]},
                ]
            },
            True,
        ),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [_AGENT]}]}, True),
        ({}, False),
    ],
)
def test_an_agent_that_alone_has_what_a_volume_wants_of_its_node_stays(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, *, term: dict[str, Any], stays: bool
) -> None:
    """As storage drivers make it, each with a label of its own for a node."""
    standing(daemon, names, spec)
    server, agent = convergence.wanted_nodes(names, spec)
    affinity = {"required": {"nodeSelectorTerms": [term]}}
    volumes = [{"metadata": {"name": "pv"}, "spec": {"nodeAffinity": affinity}}]
    daemon.kubectl["get persistentvolumes"] = Answer(json.dumps({"items": volumes}))
    own = {_OWN: agent, "disk": "ssd", "zone": "a", "slots": "4"}
    nodes = [node(server, {_OWN: server, "zone": "a", "role": "db"}), node(agent, own)]
    daemon.kubectl["get nodes"] = Answer(json.dumps({"items": nodes}))
    if stays:
        with pytest.raises(AgentsError, match="lost with it: volume pv"):
            run(names, spec_of(names))
    else:
        run(names, spec_of(names))
    assert (agent in daemon.names) == stays


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize("named", [True, False])
def test_an_agent_without_a_node_stays_if_a_volume_wants_its_name(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, *, named: bool
) -> None:
    """As after `kubectl delete node`: nothing tells its labels."""
    standing(daemon, names, spec)
    server, agent = convergence.wanted_nodes(names, spec)
    rule = {"key": _OWN, "operator": "In", "values": [agent if named else "other"]}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}}
    volumes = [{"metadata": {"name": "pv"}, "spec": {"nodeAffinity": affinity}}]
    daemon.kubectl["get persistentvolumes"] = Answer(json.dumps({"items": volumes}))
    daemon.kubectl["get nodes"] = Answer(json.dumps({"items": [node(server, {_OWN: server})]}))
    if named:
        with pytest.raises(AgentsError, match="lost with it: volume pv"):
            run(names, spec_of(names))
    else:
        run(names, spec_of(names))
    assert (agent in daemon.names) == named


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize(
    ("path", "claim", "stays"),
    [
        ("/mnt/data", "data", True),
        ("/mnt/data", "other", False),
        ("/src/data", "data", False),
        ("/src", "data", False),
        ("/srcs", "data", True),
    ],
    ids=["on the agent", "no pod has it", "in the machine's folder", "that folder", "beside it"],
)
@pytest.mark.parametrize("kind", ["hostPath", "local"])
def test_an_agent_on_which_a_pod_has_a_volume_that_is_in_its_node_stays(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    *,
    path: str,
    claim: str,
    stays: bool,
    kind: str,
) -> None:
    """As tutorials make it: such a volume has no node or several, and its data is where its pod
    has run."""
    standing(daemon, names, spec)
    agent = names.node("agent", 0)
    daemon.containers[1].mounts += [
        {"Type": "bind", "Destination": "/src"},
        {"Type": "volume", "Destination": "/mnt"},
    ]
    reference = {"namespace": "shop", "name": "data"}
    volumes = [
        {"metadata": {"name": "manual"}, "spec": {kind: {"path": path}, **claimed}}
        for claimed in ({"claimRef": reference}, {})
    ]
    daemon.kubectl["get persistentvolumes"] = Answer(json.dumps({"items": volumes}))
    pods = [
        {
            "metadata": {"namespace": namespace},
            "spec": {"volumes": [{"persistentVolumeClaim": {"claimName": name}}, {"emptyDir": {}}]},
        }
        for namespace, name in (("shop", claim), ("stock", "data"))
    ]
    bare = {"metadata": {"namespace": "shop"}, "spec": {}}
    daemon.kubectl["get pods"] = Answer(json.dumps({"items": [bare, *pods]}))
    if stays:
        with pytest.raises(AgentsError, match=r"lost with it: volume manual of claim shop/"):
            run(names, spec_of(names))
        assert changes(daemon) == []
        daemon.kubectl["get pods"] = Answer(stderr="Error: no\n", code=1)
        with pytest.raises(AgentsError, match="its volumes are not known: Error: no"):
            run(names, spec_of(names))
        assert changes(daemon) == []
    else:
        run(names, spec_of(names))
        assert agent not in daemon.names


@pytest.mark.usefixtures("readiness")
def test_an_agent_that_kubernetes_does_not_let_go_stays(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """Without its container, a Node would be there for good, and take pods for a while."""
    standing(daemon, names, spec)
    refusal = 'admission webhook "no.example.com" denied the request'
    daemon.kubectl["delete"] = Answer(stderr=f"{refusal}\n", code=1)
    daemon.kubectl["delete --dry-run=server"] = Answer()
    with pytest.raises(AgentsError, match=f"agent-0 cannot be removed .*: {refusal}"):
        run(names, spec_of(names))
    assert changes(daemon) == ["kubectl drain", "kubectl delete", "kubectl uncordon"]
    assert len(daemon.containers) == 2


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize("alone", [True, False])
def test_finalizers_that_keep_an_agent_are_told(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    *,
    alone: bool,
) -> None:
    """kubectl says only that the time is over. One object is no list for it."""
    standing(daemon, names, spec)
    agent = names.node("agent", 0)
    going = {"deletionTimestamp": "2026-11-30T17:41:29Z", "finalizers": ["a.b/c", "d.e/f"]}
    node = {"kind": "Node", "metadata": {"name": agent, **going}}
    over = f"error: timed out waiting for the condition on nodes/{agent}"
    daemon.kubectl["delete"] = Answer(stderr=f"{over}\n", code=1)
    daemon.kubectl["delete --dry-run=server"] = Answer()
    daemon.kubectl[f"get node/{agent}"] = Answer(json.dumps(node if alone else {"items": [node]}))
    monkeypatch.setattr(finalizers, "_LET_GO", ("a.b/c", "d.e/f"))
    with pytest.raises(AgentsError) as failed:
        run(names, spec_of(names))
    assert str(failed.value) == (
        f"{agent} cannot be removed from Kubernetes: {over}; Node {agent} is kept by its "
        "finalizers a.b/c, d.e/f. Remove what prevents it, then run `pulumi up` again"
    )
    fields = {"namespace": "shop", "name": "slow"}
    of_pods = [
        {"kind": "Pod", "metadata": fields | going},
        {"kind": "Pod", "metadata": fields | {"name": "stays", "finalizers": ["a.b/c"]}},
        {"kind": "Pod", "metadata": fields | {"name": "ends", "deletionTimestamp": "2026"}},
    ]
    daemon.kubectl["get pods"] = Answer(json.dumps({"items": of_pods}))
    daemon.kubectl["drain"] = Answer(stderr="error: context deadline exceeded\n", code=1)
    daemon.kubectl["drain --dry-run=server"] = Answer()
    with pytest.raises(
        AgentsError,
        match=r"exceeded; Pod shop/slow is kept by its finalizers a\.b/c, d\.e/f\. Free it of",
    ):
        run(names, spec_of(names))


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize(
    ("kind", "fields", "stays"),
    [
        ("Node", {"finalizers": ["wrangler.cattle.io/node", "a.b/c"]}, True),
        ("Node", {"finalizers": ["wrangler.cattle.io/node"]}, False),
        ("Pod", {"finalizers": ["a.b/c"]}, True),
        ("Pod", {"finalizers": ["batch.kubernetes.io/job-tracking"]}, False),
        ("Pod", {"finalizers": ["a.b/c"], "ownerReferences": [{"kind": "DaemonSet"}]}, False),
        ("Pod", {}, False),
    ],
    ids=["node", "node of k3s", "pod", "pod of a job", "pod that no drain waits for", "none"],
)
def test_no_pod_ends_for_an_agent_that_finalizers_may_keep(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    *,
    kind: str,
    fields: dict[str, Any],
    stays: bool,
) -> None:
    standing(daemon, names, spec)
    agent = names.node("agent", 0)
    metadata = {"name": agent if kind == "Node" else "slow"} | fields
    listed = {"items": [{"kind": kind, "metadata": metadata, "spec": {}}]}
    daemon.kubectl[f"get node/{agent}" if kind == "Node" else "get pods"] = Answer(
        json.dumps(listed)
    )
    if not stays:
        run(names, spec_of(names))
        assert agent not in daemon.names
        return
    with pytest.raises(AgentsError) as failed:
        run(names, spec_of(names))
    assert changes(daemon) == []
    assert str(failed.value) == (
        f"{agent} stays, and nothing has ended, because finalizers may keep what goes with it: "
        f"{kind} {metadata['name']} (a.b/c). Remove them, keep as many agents, or see whether they "
        f"let go: `kubectl drain {agent} --ignore-daemonsets --delete-emptydir-data --force && "
        f"kubectl delete node {agent}`; then run `pulumi up` again"
    )


@pytest.mark.usefixtures("readiness")
def test_no_pod_ends_for_an_agent_whose_pods_or_node_kubernetes_would_keep(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """A kubelet that may not delete a pod which was evicted has ended it nevertheless."""
    standing(daemon, names, spec)
    agent = names.node("agent", 0)
    refusal = 'Error from server (InternalError): failed calling webhook "no.example.com"'
    both = f"Warning: deleting\n{refusal}\n{refusal}\n"
    daemon.kubectl["delete --dry-run=server"] = Answer(stderr=both, code=1)
    with pytest.raises(AgentsError) as failed:
        run(names, spec_of(names))
    assert str(failed.value) == (
        f"{agent} cannot be drained and stays, because its kubelet may not delete pods: {refusal}. "
        "Remove what prevents it, or keep as many agents, then run `pulumi up` again"
    )
    assert changes(daemon) == []
    tried = next(call.argv for call in daemon.executables.calls if "pods" in call.argv)
    assert {f"--field-selector=spec.nodeName={agent}", f"--as=system:node:{agent}"} <= set(tried)
    daemon.kubectl["delete pods --dry-run=server"] = Answer()
    with pytest.raises(AgentsError, match="cannot be removed from Kubernetes: Error from"):
        run(names, spec_of(names))
    assert changes(daemon) == []


@pytest.mark.usefixtures("readiness")
def test_a_kubectl_that_waits_for_too_long_is_told_as_the_agent_s(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a webhook that does not answer: the cluster works, and nobody is to delete it."""
    standing(daemon, names, spec)
    of_kubectl = runner.run

    def hang(argv: Sequence[str], **options: Any) -> runner.Result:
        if "delete" in argv and "--dry-run=server" not in argv:
            raise runner.CommandError("`docker exec` did not finish within 80 s")
        return of_kubectl(argv, **options)

    monkeypatch.setattr(runner, "run", hang)
    with pytest.raises(AgentsError, match=r"^kubectl delete in .* did not finish within 80 s"):
        run(names, spec_of(names))
    assert changes(daemon) == ["kubectl drain", "kubectl uncordon"]


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize(
    ("wanted", "draining", "keeps"),
    [(0, False, False), (1, False, True), (1, True, False)],
    ids=["for good", "to be made again", "cordoned by a drain"],
)
def test_kubernetes_forgets_an_agent_whose_container_is_gone(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    *,
    wanted: int,
    draining: bool,
    keeps: bool,
) -> None:
    """Pods would be sent to it for a while, and k3s refuses another node of its name. One that is
    made again has the labels and taints of its Node, and its pods: those that nothing makes again
    go with the Node."""
    daemon.network(names.network)
    daemon.node(names, "server", spec=identity(spec))
    agent = names.node("agent", 0)
    remember(names, spec, draining=agent if draining else "")
    for _ in range(2):
        run(names, spec_of(names, agents=wanted))
    made = ["docker create", "start"] if wanted else []
    assert changes(daemon) == ["kubectl delete", *made], "once"
    (delete,) = daemon.calls_to("docker", "exec")
    assert f"secret/{agent}.node-password.k3s" in delete.argv
    assert (f"node/{agent}" in delete.argv) is not keeps


@pytest.mark.usefixtures("readiness")
def test_an_agent_whose_drain_was_interrupted_takes_pods_again_if_it_stays(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing(daemon, names, spec)

    with monkeypatch.context() as killed:
        killed.setattr(agents, "remove", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(names, spec_of(names))
    assert changes(daemon) == []
    run(names, spec)
    run(names, spec)
    assert changes(daemon) == ["kubectl uncordon"], "once: a person may cordon it later"


def test_a_drain_that_was_interrupted_is_not_forgotten_by_an_up_that_fails(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, readiness: list[str]
) -> None:
    standing(daemon, names, spec)
    remember(names, spec, complete=False, draining=names.node("agent", 0))
    readiness[:] = ["agent-0: no disk"]
    with pytest.raises(runner.CommandError, match="no disk"):
        run(names, spec)
    run(names, spec)
    assert changes(daemon) == ["kubectl uncordon"]


@pytest.mark.usefixtures("readiness")
def test_a_node_of_others_that_has_an_agent_s_name_is_not_removed(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """`k3d node create traced-dev-agent` names its node like this."""
    daemon.node(names, "server", spec=identity(spec))
    remember(names, spec_of(names))
    theirs = daemon.node(names, "agent", 0, owner="")
    with pytest.raises(runner.CommandError, match=f"`k3d node delete {theirs.name}`"):
        run(names, spec)
    assert theirs in daemon.containers


@pytest.mark.usefixtures("readiness")
def test_a_container_of_others_that_has_an_agent_s_name_is_not_removed(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    daemon.node(names, "server", spec=identity(spec))
    remember(names, spec_of(names))
    theirs = daemon.container(names.node("agent", 0))
    with pytest.raises(runner.CommandError, match="is already in use"):
        run(names, spec)
    assert theirs in daemon.containers


@pytest.mark.usefixtures("readiness")
def test_a_node_of_others_that_does_not_start_keeps_no_node_of_the_stack_down(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    """k3d starts all of a cluster and gave up at that one, when the server had been restarted."""
    daemon.hanging = "k3d-theirs-0"
    labels = {"k3d.cluster": names.cluster, "k3d.role": "agent"}
    server = daemon.node(names, "server", spec=identity(spec), state="exited")
    daemon.container(daemon.hanging, labels=labels, state="exited")
    agent = daemon.node(names, "agent", spec=identity(spec), state="exited")
    remember(names, spec)
    run(names, spec)
    assert (server.state, agent.state) == ("running", "running")
    assert "k3d-theirs-0 of cluster traced-dev, which somebody added" in capsys.readouterr().err
    server.state, daemon.hanging = "exited", server.name
    with pytest.raises(runner.CommandError, match="failed to get ready"):
        run(names, spec)


@pytest.mark.usefixtures("readiness")
def test_a_node_that_others_added_is_left_alone(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """`k3d node create` gives it no owner."""
    standing(daemon, names, spec)
    daemon.node(names, "agent", 7, owner="")
    run(names, spec)
    assert changes(daemon) == []
