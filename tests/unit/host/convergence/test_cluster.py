"""A cluster as a whole: made, adopted, started, begun again, or left as it is."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import Any

import pytest
import yaml

from runtime_observability.core import cluster_spec, naming
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.transition import content, identity
from runtime_observability.host import cluster_ready, convergence, ensure, k3d, runner, store
from runtime_observability.host import nodes as node_module
from runtime_observability.host.cluster_lock import locked
from runtime_observability.host.convergence import Convergence
from runtime_observability.host.k3d import NodeWatch
from runtime_observability.host.node_kubectl import AgentsError
from tests.fakes.daemon import FakeDaemon
from tests.unit.host.convergence.cluster import (
    changes,
    nodes,
    now,
    remember,
    run,
    spec_of,
    standing,
)


def test_the_first_server_is_the_first_node(names: Names) -> None:
    spec = spec_of(names, servers=3, agents=2)
    assert convergence.wanted_nodes(names, spec) == (
        "k3d-traced-dev-server-0",
        "k3d-traced-dev-server-1",
        "k3d-traced-dev-server-2",
        "k3d-traced-dev-agent-0",
        "k3d-traced-dev-agent-1",
    )


@pytest.mark.usefixtures("readiness")
def test_no_cluster_is_created(daemon: FakeDaemon, names: Names, spec: ClusterSpec) -> None:
    instance = run(names, spec)
    assert changes(daemon) == ["create"]
    assert instance == daemon.containers[0].id
    assert daemon.names == set(convergence.wanted_nodes(names, spec))
    assert names.kubeconfig.stat().st_mode & 0o777 == 0o600
    for container in daemon.containers:
        assert container.labels.items() >= names.labels.items()
        assert container.labels[naming.SPEC_LABEL] == identity(spec)


@pytest.mark.usefixtures("readiness")
def test_k3d_is_given_the_spec_and_labels_alone(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    run(names, spec)
    (create,) = daemon.calls_to("k3d", "cluster", "create")
    config = yaml.safe_load(create.stdin)
    labels = names.labels | {naming.SPEC_LABEL: identity(spec)}
    assert config == cluster_spec.with_labels(spec.config, labels)
    assert config["options"]["kubeconfig"] == {
        "updateDefaultKubeconfig": False,
        "switchCurrentContext": False,
    }


@pytest.mark.usefixtures("readiness")
def test_a_whole_cluster_is_adopted(daemon: FakeDaemon, names: Names, spec: ClusterSpec) -> None:
    standing(daemon, names, spec)
    assert run(names, spec) == "id-of-k3d-traced-dev-server-0"
    assert changes(daemon) == []
    assert names.kubeconfig.is_file()


@pytest.mark.usefixtures("readiness")
def test_what_docker_would_not_start_with_itself_is_mended_in_place(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    standing(daemon, names, spec)
    for name in (names.jaeger, names.collector, names.retention):
        daemon.container(name, labels=names.labels, restart_policy="no")
    daemon.container("another", restart_policy="no")
    daemon.containers[1].restart_policy = "on-failure"
    run(names, spec)
    assert changes(daemon) == []
    kept = {found.name: found.restart_policy for found in daemon.containers}
    assert set(kept.values()) == {"unless-stopped", "no"}
    assert kept["another"] == "no"
    updates = [call.argv for call in daemon.executables.calls if "update" in call.argv]
    assert len(updates) == 1
    assert names.node("server", 0) not in updates[0]


@pytest.mark.usefixtures("readiness")
def test_a_stopped_cluster_is_started(daemon: FakeDaemon, names: Names, spec: ClusterSpec) -> None:
    nodes(daemon, names, identity(spec), state="exited")
    assert run(names, spec) == "id-of-k3d-traced-dev-server-0"
    assert changes(daemon) == ["start"]


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize(("state", "first"), [("exited", ["remove"]), ("running", [])])
def test_a_tools_container_that_stopped_too_goes_first(
    state: str, first: list[str], daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    nodes(daemon, names, identity(spec), state="exited")
    labels = {"k3d.cluster": names.cluster, "k3d.role": "noRole"}
    daemon.container("k3d-traced-dev-tools", labels=labels, state=state)
    run(names, spec)
    assert changes(daemon) == [*first, "start"]


@pytest.mark.usefixtures("readiness")
def test_a_paused_node_goes_on_with_all_it_has(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    standing(daemon, names, spec)
    daemon.containers[0].state = "paused"
    assert run(names, spec) == "id-of-k3d-traced-dev-server-0"
    assert changes(daemon) == ["docker unpause"]


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize(
    ("state", "done"),
    [
        ("running", ["network connect", "docker kill", "start"]),
        ("exited", ["network connect", "start"]),
        ("paused", ["docker unpause", "network connect", "docker kill", "start"]),
    ],
)
def test_a_node_that_was_taken_off_its_network_is_connected_again(
    state: str, done: list[str], daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    standing(daemon, names, spec)
    daemon.containers[0].state = state
    daemon.containers[0].networks = ["id-of-bridge"]
    assert run(names, spec) == "id-of-k3d-traced-dev-server-0"
    assert changes(daemon) == done
    assert daemon.containers[0].names_of_networks == "bridge,traced-dev"


@pytest.mark.usefixtures("readiness")
def test_a_node_that_stood_still_while_its_network_was_made_again_is_connected_to_the_new_one(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """Docker still tells the network's name of it, and starts it on that network's id alone."""
    standing(daemon, names, spec)
    server, agent = daemon.containers
    server.state = "exited"
    daemon.networks[0].id = "id-of-the-next-one"
    agent.networks = [*server.networks, "id-of-the-next-one"]
    assert run(names, spec) == "id-of-k3d-traced-dev-server-0"
    assert changes(daemon) == ["network disconnect", "network connect", "start"]
    (forgotten,) = daemon.calls_to("docker", "network", "disconnect")
    assert forgotten.argv[3:] == ("-f", names.network, server.name)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """From when on each watch reads the nodes' logs."""
    times: list[float] = []

    def watch(nodes: tuple[str, ...], since: float = 0) -> NodeWatch:
        times.append(since)
        return NodeWatch(nodes, since)

    monkeypatch.setattr(convergence, "NodeWatch", watch)
    return times


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize("state", [None, "running", "exited"])
def test_only_what_nodes_log_after_a_start_explains_it(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, watched: list[float], state: str | None
) -> None:
    """An error of the nodes' earlier life would be taken for the reason.

    The times in logs are those of Docker's machine, whose clock is behind after a sleep.
    """
    daemon.info["SystemTime"] = "2023-11-14T22:13:20.123456789Z"
    if state:
        nodes(daemon, names, identity(spec), state=state)
        remember(names, spec)
    run(names, spec)
    assert list(map(int, watched)) == [1_700_000_000 if state == "exited" else 0]


@pytest.fixture
def k3d_runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """The arguments of every run of k3d."""
    runs: list[tuple[str, dict[str, Any]]] = []
    real = k3d.run

    def recorded(argv: list[str], **arguments: Any) -> None:
        runs.append((" ".join(argv), arguments))
        real(argv, **arguments)

    monkeypatch.setattr(k3d, "run", recorded)
    return runs


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize("exists", [False, True])
def test_k3d_has_two_minutes_beyond_its_own_timeout(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    k3d_runs: list[tuple[str, dict[str, Any]]],
    exists: bool,
) -> None:
    """So that k3d's own error, which names the node, comes first."""
    if exists:
        nodes(daemon, names, identity(spec), state="exited")
    with locked(names) as lock:
        Convergence(names, spec, ensure.begin(names, spec, identity(spec), 7), lock).run()
    ((argv, arguments),) = k3d_runs
    start = "cluster start traced-dev --timeout 240s"
    assert argv == (start if exists else "cluster create --config - --no-rollback")
    assert (spec.start_seconds, arguments["seconds"]) == (240, 360)
    assert (arguments["lock"], arguments["tools_image"]) == (lock, spec.tools_image)


@pytest.mark.usefixtures("readiness")
def test_a_cluster_that_was_never_complete_is_recreated(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    daemon.node(names, "server", spec=identity(spec), created=now(), started=now())
    remember(names, spec, complete=False, never_complete=True)
    assert run(names, spec) != "id-of-k3d-traced-dev-server-0"
    assert changes(daemon) == ["remove", "create"]


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize("torn", [True, False])
@pytest.mark.parametrize("never_complete", [True, False])
def test_a_node_that_docker_did_not_finish_is_made_again(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, *, torn: bool, never_complete: bool
) -> None:
    """Docker was killed, and started it later without the volumes of its image. One of a cluster
    that was complete has what it needs elsewhere, or somebody else cures it."""
    nodes(daemon, names, identity(spec), created=now(), started=now())
    for container in daemon.containers:
        container.declared = ["/var/lib/rancher/k3s"]
        container.mounts = [
            {"Type": "volume", "Name": "a" * 64, "Destination": "/var/lib/rancher/k3s"}
        ]
    if torn:
        daemon.containers[0].mounts = []
    remember(names, spec, complete=False, never_complete=never_complete)
    run(names, spec)
    assert changes(daemon) == (["remove", "create"] if torn and never_complete else [])


def test_one_that_does_not_become_ready_is_recreated_if_it_never_was(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, readiness: list[str]
) -> None:
    nodes(daemon, names, identity(spec), created=now(), started=now())
    remember(names, spec, complete=False, never_complete=True)
    readiness[:] = ["nothing new has happened", "ready"]
    run(names, spec)
    assert changes(daemon) == ["remove", "create"]


@pytest.mark.parametrize(
    "life",
    [
        {
            "state": "running",
            "created": "2026-01-01T08:00:00Z",
            "started": "2026-01-01T08:00:00.123456789Z",
        },
        {
            "state": "exited",
            "created": "2026-01-01T08:00:00Z",
            "started": "2026-01-01T08:00:00.123456789Z",
            "ended": "2026-01-01T09:00:00Z",
        },
        {"state": "running", "created": "2026-01-01T08:00:00.1Z", "started": now()},
    ],
    ids=["runs", "ran", "ran before it was started again"],
)
def test_what_ran_longer_than_a_start_takes_is_left_as_it_is(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    readiness: list[str],
    life: dict[str, str],
) -> None:
    """An up was killed while it waited, and somebody has used the cluster since."""
    nodes(daemon, names, identity(spec), **life)
    remember(names, spec, complete=False, never_complete=True)
    readiness[:] = ["nothing new has happened"]
    with pytest.raises(runner.CommandError, match="does not become ready and is left as it is"):
        run(names, spec)
    assert not {"remove", "create"} & {*changes(daemon)}


def test_how_long_a_node_has_run_is_counted_by_the_clock_of_docker_s_machine(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """That of a virtual machine is behind after a sleep, and a node would have run for too long."""
    nodes(daemon, names, identity(spec), started="2023-11-14T22:13:10Z")
    daemon.info["SystemTime"] = "2023-11-14T22:13:20.5Z"
    assert node_module.seconds_since_start(names.node("server", 0)) == 10.5


@pytest.mark.usefixtures("readiness")
def test_an_agent_is_added_to_a_cluster_that_no_run_saw_ready(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    server = daemon.node(names, "server", spec=identity(spec), created=now(), started=now())
    begun = {server.name: content(spec)}
    remember(names, spec, complete=False, never_complete=True, content=begun)
    assert run(names, spec) == server.id
    assert "remove" not in changes(daemon)
    assert daemon.names == set(convergence.wanted_nodes(names, spec))


@pytest.mark.usefixtures("no_waiting")
def test_what_was_seen_ready_is_never_begun_again(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, readiness: list[str]
) -> None:
    server = daemon.node(names, "server", spec=identity(spec), created=now(), started=now())
    begun = {server.name: content(spec)}
    remember(names, spec, complete=False, never_complete=True, content=begun)
    readiness[:] = ["ready", "the agent has not joined"]
    with pytest.raises(AgentsError):
        run(names, spec)
    record = store.load(names)
    assert record is not None
    assert not record.never_complete


@pytest.mark.parametrize("found", [True, False], ids=["found", "created"])
def test_a_run_that_outlived_its_stack_deletes_no_later_cluster_of_that_name(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    found: bool,
) -> None:
    """As after a kill of the engine, a destroy and another up, while this run still waits."""
    if found:
        nodes(daemon, names, identity(spec), created=now(), started=now())
        remember(names, spec, complete=False, never_complete=True)
    later = ExitStack()

    def wait(*_: object) -> float:
        shutil.rmtree(names.directory)
        later.enter_context(locked(names))
        raise runner.CommandError("nothing new has happened")

    monkeypatch.setattr(cluster_ready, "wait", wait)
    with later, pytest.raises(runner.CommandError, match=r"later run.* is left as it is"):
        run(names, spec)
    assert "remove" not in changes(daemon)


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize("recorded", [True, False])
def test_a_cluster_of_another_spec_is_left_as_it_is(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, recorded: bool
) -> None:
    """The guard deletes it, after a rehearsal. Where it has not, something else is wrong."""
    nodes(daemon, names, "0" * 16)
    if recorded:
        remember(names, spec, digest="0" * 16)
    before = store.load(names)
    with pytest.raises(runner.CommandError, match=r"from another configuration.*without --target"):
        run(names, spec)
    assert changes(daemon) == []
    assert store.load(names) == before, "the record is of the cluster that stands"


@pytest.mark.parametrize("recorded", [True, False])
def test_a_cluster_that_does_not_come_back_is_left_as_it_is(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, readiness: list[str], recorded: bool
) -> None:
    nodes(daemon, names, identity(spec))
    if recorded:
        remember(names, spec)
    readiness[:] = ["k3d-traced-dev-agent-0: no disk"]
    with pytest.raises(runner.CommandError, match="is left as it is: k3d-traced-dev-agent-0: no"):
        run(names, spec)
    assert changes(daemon) == []


@pytest.mark.usefixtures("readiness")
def test_a_cluster_that_cannot_be_started_is_left_as_it_is(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    nodes(daemon, names, identity(spec), state="exited")
    remember(names, spec)
    daemon.start_fails = True
    with pytest.raises(runner.CommandError, match="left as it is: k3d exited with 1"):
        run(names, spec)
    assert changes(daemon) == ["start"]


@pytest.mark.usefixtures("readiness")
def test_what_an_interrupted_rehearsal_left_is_removed(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    standing(daemon, names, spec)
    daemon.container("k3d-rehearsal", labels={"k3d.cluster": names.rehearsal})
    run(names, spec)
    assert "k3d-rehearsal" not in daemon.names
    assert len(daemon.containers) == 2


@pytest.mark.usefixtures("readiness", "spec")
def test_a_registry_that_was_made_again_is_connected(daemon: FakeDaemon, names: Names) -> None:
    """Before any node pulls an image from it."""
    wanted = spec_of(names, agents=1, registries={"use": ["own:5000"]})
    standing(daemon, names, wanted)
    daemon.containers[-1].state = "exited"
    own, other = (
        daemon.container(name, labels={"k3d.role": "registry"}, networks=["id-of-bridge"])
        for name in ("k3d-own", "k3d-other")
    )
    run(names, wanted)
    assert own.names_of_networks == f"bridge,{names.network}"
    assert other.names_of_networks == "bridge"
    assert changes(daemon) == ["network connect", "start"]
    run(names, wanted)
    assert changes(daemon).count("network connect") == 1
