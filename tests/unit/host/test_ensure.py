"""Ensure: from any state of the cluster to the wanted one, or an error that names the reason."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml

from runtime_observability.core import cluster_spec, documents, naming
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.core.transition import content, identity, with_agents
from runtime_observability.host import (
    agents,
    api_drift,
    api_server,
    cluster_ready,
    convergence,
    cordon,
    ensure,
    k3d,
    runner,
    store,
)
from runtime_observability.host import nodes as node_module
from runtime_observability.host.cluster_lock import LockError, locked
from runtime_observability.host.cluster_ready import ReadyCluster
from runtime_observability.host.convergence import Convergence
from runtime_observability.host.http import httpx
from runtime_observability.host.k3d import NodeWatch
from runtime_observability.host.node_kubectl import AgentsError
from tests import configuration
from tests.configuration import parsed
from tests.fakes.daemon import DockerObject, FakeDaemon
from tests.fakes.executables import Answer

# --- the run --------------------------------------------------------------------------------------


def spec_of(names: Names, **settings: Any) -> ClusterSpec:
    return configuration.spec_of(names, parsed(**settings))


def test_the_first_server_is_the_first_node(names: Names) -> None:
    spec = spec_of(names, servers=3, agents=2)
    assert convergence.wanted_nodes(names, spec) == (
        "k3d-traced-dev-server-0",
        "k3d-traced-dev-server-1",
        "k3d-traced-dev-server-2",
        "k3d-traced-dev-agent-0",
        "k3d-traced-dev-agent-1",
    )


@pytest.fixture
def spec(names: Names) -> ClusterSpec:
    """A cluster with one server and one agent, whose files exist."""
    settings = parsed(agents=1)
    files = documents.node_files(settings, cgroup_v1=False)
    names.node_directory.mkdir(parents=True)
    for file, text in files.items():
        (names.node_directory / file).write_text(text)
    return configuration.spec_of(names, settings)


waits: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
"""The nodes of each wait, and those of them that were restarted."""


@pytest.fixture
def readiness(monkeypatch: pytest.MonkeyPatch, no_waiting: None) -> Iterator[list[str]]:
    """The results of the waits for the cluster, in their order: "ready" or an error's message."""
    results: list[str] = []

    def wait(kubeconfig: Path, wanted: ReadyCluster, watch: NodeWatch) -> float:
        assert kubeconfig.read_text() == "---\n# kubeconfig of traced-dev\n"
        waits.append((tuple(wanted.nodes), tuple(wanted.restarted)))
        result = results.pop(0) if results else "ready"
        if result != "ready":
            raise runner.CommandError(result)
        return 0.1

    waits.clear()
    monkeypatch.setattr(cluster_ready, "wait", wait)
    yield results
    assert not results, "these waits did not happen"


def run(names: Names, spec: ClusterSpec) -> str:
    with locked(names) as lock:
        record = ensure.begin(names, spec, identity(spec), 7)
        return Convergence(names, spec, record, lock).run()


def remember(names: Names, spec: ClusterSpec, **changes: Any) -> None:
    """Writes down what an earlier run left: a complete cluster, or with ``changes`` another."""
    wanted = convergence.wanted_nodes(names, spec)
    complete = Record(
        6, True, identity(spec), spec.document, wanted,
        content=dict.fromkeys(wanted, content(spec)),
    )  # fmt: skip
    store.save(names, replace(complete, **changes))


def nodes(daemon: FakeDaemon, names: Names, spec: str, **values: Any) -> None:
    daemon.network(names.network)
    daemon.node(names, "server", spec=spec, **values)
    daemon.node(names, "agent", spec=spec, **values)


def standing(daemon: FakeDaemon, names: Names, spec: ClusterSpec, **life: str) -> None:
    """A complete cluster, as an earlier run left it."""
    nodes(daemon, names, identity(spec), **life)
    remember(names, spec)


def now() -> str:
    """As Docker tells a time."""
    return datetime.now(UTC).isoformat()


def changes(daemon: FakeDaemon) -> list[str]:
    """What changed the cluster: the verb of each `k3d cluster`, "remove" for each `docker rm`."""
    verbs = []
    for call in daemon.executables.calls:
        match call.argv:
            case ("k3d", "cluster", verb, *_):
                verbs.append(verb)
            case ("docker", "rm", *_):
                verbs.append("remove")
            case ("docker", "kill" | "create" | "unpause" as verb, *_, _):
                verbs.append(f"docker {verb}")
            case ("docker", "network", "connect" | "disconnect" as verb, *_):
                verbs.append(f"network {verb}")
            case ("docker", "exec", *_, "--dry-run=server"):
                continue
            case ("docker", "exec", _, "kubectl", verb, *_) if verb != "get":
                verbs.append(f"kubectl {verb}")
    return verbs


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
    assert argv == (start if exists else "cluster create --config -")
    assert (spec.start_seconds, arguments["seconds"]) == (240, 360)
    assert (arguments["lock"], arguments["tools_image"]) == (lock, spec.tools_image)


@pytest.mark.usefixtures("readiness")
def test_a_cluster_that_was_never_complete_is_recreated(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    daemon.node(names, "server", spec=identity(spec), started=now())
    remember(names, spec, complete=False, never_complete=True)
    assert run(names, spec) != "id-of-k3d-traced-dev-server-0"
    assert changes(daemon) == ["remove", "create"]


def test_one_that_does_not_become_ready_is_recreated_if_it_never_was(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, readiness: list[str]
) -> None:
    nodes(daemon, names, identity(spec), started=now())
    remember(names, spec, complete=False, never_complete=True)
    readiness[:] = ["nothing new has happened", "ready"]
    run(names, spec)
    assert changes(daemon) == ["remove", "create"]


@pytest.mark.parametrize(
    "life",
    [
        {"state": "running", "started": "2026-01-01T08:00:00.123456789Z"},
        {
            "state": "exited",
            "started": "2026-01-01T08:00:00.123456789Z",
            "ended": "2026-01-01T09:00:00Z",
        },
    ],
    ids=["runs", "ran"],
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
    server = daemon.node(names, "server", spec=identity(spec), started=now())
    begun = {server.name: content(spec)}
    remember(names, spec, complete=False, never_complete=True, content=begun)
    assert run(names, spec) == server.id
    assert "remove" not in changes(daemon)
    assert daemon.names == set(convergence.wanted_nodes(names, spec))


@pytest.mark.usefixtures("no_waiting")
def test_what_was_seen_ready_is_never_begun_again(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, readiness: list[str]
) -> None:
    server = daemon.node(names, "server", spec=identity(spec), started=now())
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
        nodes(daemon, names, identity(spec), started=now())
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
@pytest.mark.parametrize("status", [200, 401, 403, 500])
def test_nodes_whose_own_credentials_have_expired_restart_together(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    """A kubelet's have expired with them, so one node alone would not become ready."""
    standing(daemon, names, spec)
    Answering(status).to_ensure(monkeypatch)
    run(names, spec)
    killed = ["docker kill", "docker kill", "start"] if status == 401 else []
    assert changes(daemon) == killed
    wanted = convergence.wanted_nodes(names, spec)
    assert waits == [(wanted, wanted if killed else ())]


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize(
    ("gone", "since", "restarts"),
    [
        ("agent", now, True),
        ("server", lambda: "2026-01-01T00:00:00Z", True),
        ("server", now, False),
    ],
    ids=["agent", "server", "server that may still join"],
)
def test_a_node_that_was_deleted_in_kubernetes_starts_again(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    *,
    gone: str,
    since: Callable[[], str],
    restarts: bool,
) -> None:
    """A kubelet joins only when it starts: the wait for it would be in vain."""
    standing(daemon, names, spec, started=since())
    (left,) = (node.name for node in daemon.containers if gone not in node.name)
    Answering(200, (left,)).to_ensure(monkeypatch)
    run(names, spec)
    assert changes(daemon) == (["docker kill", "start"] if restarts else [])
    assert [call.argv[-1] for call in daemon.calls_to("docker", "kill")] == (
        [names.node(gone, 0)] if restarts else []
    )


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize(
    ("answers", "since", "restarts"),
    [
        (["Unknown"], lambda: "2026-01-01T00:00:00Z", True),
        (["Unknown"], now, False),
        (["Unknown", "Unknown", "True"], lambda: "2026-01-01T00:00:00Z", False),
        (["False"], lambda: "2026-01-01T00:00:00Z", False),
    ],
    ids=["hung", "starts", "was paused", "not ready, and says why"],
)
def test_a_node_whose_kubelet_does_not_report_starts_again(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    *,
    answers: list[str],
    since: Callable[[], str],
    restarts: bool,
) -> None:
    """The wait for one that hangs is in vain, and its end the advice to delete the cluster."""
    standing(daemon, names, spec, started=since())
    agent = names.node("agent", 0)
    Answering(200, convergence.wanted_nodes(names, spec), {agent: answers}).to_ensure(monkeypatch)
    run(names, spec)
    assert changes(daemon) == (["docker kill", "start"] if restarts else [])
    assert [call.argv[-1] for call in daemon.calls_to("docker", "kill")] == [agent][:restarts]


@pytest.mark.parametrize(
    ("status", "restarts"), [("Unknown", True), ("False", False)], ids=["hung", "says why"]
)
def test_a_kubelet_that_has_not_reported_at_the_end_of_the_wait_hangs(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    readiness: list[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    status: str,
    restarts: bool,
) -> None:
    """Its node began so late that it might still have started when the up began."""
    standing(daemon, names, spec, started=now())
    agent = names.node("agent", 0)
    Answering(200, convergence.wanted_nodes(names, spec), {agent: [status]}).to_ensure(monkeypatch)
    readiness.append("nothing new has happened for 120 s, and it is not ready: agent-0")
    if restarts:
        run(names, spec)
    else:
        with pytest.raises(runner.CommandError, match="does not become ready and is left as it is"):
            run(names, spec)
    assert changes(daemon) == (["docker kill", "start"] if restarts else [])
    assert [call.argv[-1] for call in daemon.calls_to("docker", "kill")] == [agent][:restarts]


def test_a_server_that_has_not_joined_at_the_end_of_the_wait_starts_again(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    readiness: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its Node was deleted so soon after its start that it might still have joined."""
    standing(daemon, names, spec, started=now())
    server, agent = convergence.wanted_nodes(names, spec)
    Answering(200, (agent,)).to_ensure(monkeypatch)
    readiness.append("nothing new has happened for 120 s, and it is not ready: server-0")
    run(names, spec)
    assert changes(daemon) == ["docker kill", "start"]
    assert [call.argv[-1] for call in daemon.calls_to("docker", "kill")] == [server]


@dataclass(frozen=True)
class Answering:
    """An API server that answers /readyz with one status, and knows ``nodes``."""

    code: int
    nodes: tuple[str, ...] | None = None
    ready: Mapping[str, list[str]] = field(default_factory=dict)
    """Of nodes: the status of their condition Ready in each look, the last one from then on."""

    def to_ensure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api_drift, "ApiServer", lambda _: contextlib.nullcontext(self))

    def status(self, path: str) -> int:
        assert path == "/readyz"
        return self.code

    def get(self, path: str) -> dict[str, Any]:
        assert path == "/api/v1/nodes"
        if self.nodes is None:
            raise api_server.ApiError(httpx.Response(503))
        return {"items": [self._node(name) for name in self.nodes]}

    def _node(self, name: str) -> dict[str, Any]:
        statuses = self.ready.get(name, ["True"])
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        conditions = [{"type": "Ready", "status": status}]
        return {"metadata": {"name": name}, "status": {"conditions": conditions}}


# --- changes in place -----------------------------------------------------------------------------


@pytest.mark.usefixtures("readiness")
def test_nodes_read_changed_files_one_after_the_other(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    nodes(daemon, names, identity(spec))
    remember(names, spec, content=dict.fromkeys(convergence.wanted_nodes(names, spec), "older"))
    run(names, spec)
    assert changes(daemon) == ["docker kill", "start", "docker kill", "start"]
    server, agent = convergence.wanted_nodes(names, spec)
    assert waits == [((server, agent), restarted) for restarted in ((), (server,), (agent,))]
    record = store.load(names)
    assert record is not None
    assert record.content == dict.fromkeys((server, agent), content(spec))


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize("cordoned", [True, False])
def test_a_server_that_a_person_has_cordoned_stays_so_when_it_reads_its_changed_files(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, *, cordoned: bool
) -> None:
    """k3d's entrypoint uncordons a server when it starts, and a moment after it is Ready."""
    standing(daemon, names, spec)
    remember(names, spec, content=dict.fromkeys(convergence.wanted_nodes(names, spec), "older"))
    daemon.kubectl["get"] = Answer("true" if cordoned else "")
    server = names.node("server", 0)

    def uncordon(container: DockerObject) -> None:
        if container.name == server:
            daemon.kubectl["get"] = Answer("")

    daemon.starts = uncordon
    run(names, spec)
    restarts = ["docker kill", "start"]
    assert changes(daemon) == [*restarts, *["kubectl cordon"] * cordoned, *restarts]
    assert [call.argv[-1] for call in daemon.executables.calls if "cordon" in call.argv] == (
        [server] * cordoned
    )


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize("answer", [Answer("true"), Answer(stderr="no\n", code=1)])
def test_a_server_that_k3d_does_not_uncordon_is_waited_for_no_longer_than_that(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cordon, "_UNCORDON_SECONDS", 0.01)
    standing(daemon, names, spec)
    remember(names, spec, content=dict.fromkeys(convergence.wanted_nodes(names, spec), "older"))
    daemon.kubectl["get"] = answer
    run(names, spec)
    restarts = ["docker kill", "start"]
    assert changes(daemon) == [*restarts, *["kubectl cordon"] * (not answer.code), *restarts]


def test_a_restart_that_fails_goes_on_where_it_ended(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, readiness: list[str]
) -> None:
    nodes(daemon, names, identity(spec))
    remember(names, spec, content=dict.fromkeys(convergence.wanted_nodes(names, spec), "older"))
    readiness[:] = ["ready", "ready", "agent-0: no disk"]
    with pytest.raises(runner.CommandError, match="no disk"):
        run(names, spec)
    assert changes(daemon) == ["docker kill", "start", "docker kill", "start"]
    daemon.executables.calls.clear()
    run(names, spec)
    assert changes(daemon) == ["docker kill", "start"], "the agent alone"


TOOLS = "ghcr.io/k3d-io/k3d-tools:5.9.0"


@pytest.mark.parametrize("case", ["changed files", "stopped", "an agent more", "none yet"])
@pytest.mark.usefixtures("readiness")
def test_no_node_is_ended_without_the_image_that_k3d_needs_to_start_it(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, case: str
) -> None:
    """As after `docker system prune -a`, and without a network."""
    if case != "none yet":
        standing(daemon, names, spec)
    if case == "changed files":
        older = dict.fromkeys(convergence.wanted_nodes(names, spec), "older")
        remember(names, spec, content=older)
    if case == "stopped":
        daemon.containers[0].state = "exited"
    if case == "an agent more":
        del daemon.containers[1]
    daemon.pulled.clear()
    states = [node.state for node in daemon.containers]
    told = (
        f"without its image {TOOLS}, which is not in Docker and cannot be pulled: (.|\\n)*not found"
    )
    with pytest.raises(k3d.CurableError, match=told):
        run(names, spec)
    assert set(changes(daemon)) <= {"kubectl delete"}, "of an agent that is gone"
    assert [node.state for node in daemon.containers] == states
    daemon.served.add(TOOLS)
    run(names, spec)
    assert TOOLS in daemon.pulled


@pytest.mark.usefixtures("readiness")
def test_the_image_that_k3d_needs_is_the_one_that_was_named(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    daemon.served.add("own/tools:1")
    run(names, replace(spec, tools_image="own/tools:1"))
    assert [call.argv[2:] for call in daemon.calls_to("docker", "pull")] == [("own/tools:1",)]


@pytest.mark.parametrize("version", ["5-dev", "5.9.0-rc.1"])
@pytest.mark.usefixtures("readiness")
def test_a_k3d_that_was_built_from_its_source_has_an_image_of_its_own(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, version: str
) -> None:
    daemon.k3d_version = version
    daemon.pulled.clear()
    run(names, spec)
    assert not daemon.calls_to("docker", "pull")


@pytest.mark.usefixtures("readiness")
def test_a_cluster_that_needs_nothing_needs_no_image(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    standing(daemon, names, spec)
    daemon.pulled.clear()
    run(names, spec)
    assert not daemon.calls_to("docker", "pull")


@pytest.mark.usefixtures("readiness")
def test_a_restart_that_was_interrupted_and_is_not_wanted_any_more_is_taken_back(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """k3d goes on when its run is killed: the node has started with the files of that run."""
    standing(daemon, names, spec)
    other = replace(spec, files={**spec.files, "kubelet-tracing.yaml": "other"})
    with monkeypatch.context() as killed:
        killed.setattr(Convergence, "check_files", Mock())
        killed.setattr(k3d, "run", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(names, other)
    for node in daemon.containers:
        node.state = "running"
    daemon.executables.calls.clear()
    run(names, spec)
    assert changes(daemon) == ["docker kill", "start"], "the first node alone had begun"


@pytest.mark.usefixtures("readiness")
def test_nodes_that_were_stopped_read_the_files_when_they_start(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    nodes(daemon, names, identity(spec), state="exited")
    remember(names, spec, content=dict.fromkeys(convergence.wanted_nodes(names, spec), "older"))
    run(names, spec)
    assert changes(daemon) == ["start"]


@pytest.mark.usefixtures("readiness")
def test_a_cluster_of_an_earlier_release_is_not_restarted_for_its_record(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """That release created nodes from the files whose digests are in the record."""
    nodes(daemon, names, identity(spec))
    remember(names, spec, content={})
    path = names.directory / "cluster.json"
    document = json.loads(path.read_text())
    del document["content"], document["never_complete"]
    path.write_text(json.dumps(document))
    run(names, spec)
    assert changes(daemon) == []


REGISTRIES = "/etc/rancher/k3s/registries.yaml"


@pytest.mark.usefixtures("readiness")
def test_registries_reach_the_nodes_before_they_restart(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    mirrored = spec_of(names, agents=1, registries={"config": "mirrors: {}\n"})
    standing(daemon, names, spec)
    run(names, mirrored)
    assert [node.files[REGISTRIES] for node in daemon.containers] == ["mirrors: {}\n"] * 2
    run(names, spec)
    assert [node.files[REGISTRIES] for node in daemon.containers] == ["{}\n"] * 2
    assert changes(daemon) == ["docker kill", "start"] * 4


@pytest.mark.usefixtures("readiness", "spec")
@pytest.mark.parametrize(
    ("had", "kept"),
    [
        ("mirrors: {by-hand: {}}\n", True),
        ("mirrors: [\n", True),
        ("mirrors: null\nconfigs:\n  own: {auth: null, tls: {insecure: true}}\n", False),
    ],
    ids=["edited", "no YAML", "as k3d writes it"],
)
def test_registries_that_somebody_wrote_into_a_node_are_kept_beside_the_new_ones(
    daemon: FakeDaemon,
    names: Names,
    capsys: pytest.CaptureFixture[str],
    had: str,
    *,
    kept: bool,
) -> None:
    wanted = spec_of(names, registries={"config": "configs: {own: {tls: {insecure: true}}}\n"})
    server = daemon.node(names, "server", spec=identity(wanted))
    server.files[REGISTRIES] = had
    remember(names, wanted, content={server.name: "older"})
    run(names, wanted)
    assert server.files[REGISTRIES] == wanted.registries
    assert server.files.get(f"{REGISTRIES}.before") == (had if kept else None)
    assert ("registries.yaml.before" in capsys.readouterr().err) is kept


@pytest.mark.usefixtures("readiness")
def test_registries_of_an_up_that_was_interrupted_are_taken_back(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node has them from then on, whether it was started again or not."""
    mirrored = spec_of(names, agents=1, registries={"config": "mirrors: {}\n"})
    standing(daemon, names, spec)
    write = node_module.write_registries

    def write_and_be_killed(node: str, of: ClusterSpec) -> None:
        write(node, of)
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(node_module, "write_registries", write_and_be_killed)
        with pytest.raises(KeyboardInterrupt):
            run(names, mirrored)
    server = daemon.containers[0]
    assert server.files[REGISTRIES] == "mirrors: {}\n"
    run(names, spec)
    assert server.files[REGISTRIES] == "{}\n"


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


@pytest.mark.usefixtures("readiness", "spec")
def test_nothing_writes_over_a_registries_file_that_the_user_has_mounted(
    daemon: FakeDaemon, names: Names
) -> None:
    """Docker cannot replace a file that is mounted, and in a folder it would be the user's."""
    own = {"nodeVolumes": [f"mine.yaml:{REGISTRIES}:ro"]}
    before = spec_of(names, **own)
    server = daemon.node(names, "server", spec=identity(before))
    server.files[REGISTRIES] = "mirrors: {mine: {}}\n"
    remember(names, before, content=dict.fromkeys(convergence.wanted_nodes(names, before), "older"))
    run(names, spec_of(names, **own, agents=1))
    assert server.files[REGISTRIES] == "mirrors: {mine: {}}\n"
    assert changes(daemon) == ["kubectl delete", "docker kill", "start", "docker create", "start"]
    assert REGISTRIES not in daemon.containers[-1].files


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


def volume(name: str, nodes: list[str], **spec: Any) -> dict[str, Any]:
    """As local-path makes it, which comes with k3s."""
    rule = {"key": "kubernetes.io/hostname", "operator": "In", "values": nodes}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}}
    return {"metadata": {"name": name}, "spec": {"nodeAffinity": affinity, **spec}}


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
    assert [node.name for node in daemon.containers] == [server]


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
def test_an_agent_on_which_a_pod_has_a_volume_with_a_hostpath_stays(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, *, path: str, claim: str, stays: bool
) -> None:
    """As tutorials make it: such a volume has no node, and its data is where its pod has run."""
    standing(daemon, names, spec)
    agent = names.node("agent", 0)
    daemon.containers[1].mounts += [
        {"Type": "bind", "Destination": "/src"},
        {"Type": "volume", "Destination": "/mnt"},
    ]
    reference = {"namespace": "shop", "name": "data"}
    volumes = [
        {"metadata": {"name": "manual"}, "spec": {"hostPath": {"path": path}, **claimed}}
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
    monkeypatch.setattr(agents, "_LET_GO", ("a.b/c", "d.e/f"))
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
def test_a_node_that_others_added_is_left_alone(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """`k3d node create` gives it no owner."""
    standing(daemon, names, spec)
    daemon.node(names, "agent", 7, owner="")
    run(names, spec)
    assert changes(daemon) == []


@pytest.mark.usefixtures("readiness")
def test_what_an_interrupted_rehearsal_left_is_removed(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    standing(daemon, names, spec)
    daemon.container("k3d-rehearsal", labels={"k3d.cluster": names.rehearsal})
    run(names, spec)
    assert "k3d-rehearsal" not in daemon.names
    assert len(daemon.containers) == 2


# --- addresses of several servers -----------------------------------------------------------------


def three_servers(daemon: FakeDaemon, names: Names) -> ClusterSpec:
    """A complete cluster, whose etcd knows its servers by the addresses 2 to 4."""
    spec = spec_of(names, servers=3)
    daemon.network(names.network)
    for index in range(3):
        daemon.node(names, "server", index, spec=identity(spec), address=f"172.20.0.{index + 2}")
    remember(names, spec, addresses={node.name: node.address for node in daemon.containers})
    return spec


@pytest.mark.usefixtures("spec")
@pytest.mark.parametrize("age", ["2026-01-01T08:00:00Z", ""], ids=["started", "may still join"])
def test_the_first_of_several_servers_is_not_restarted_where_kubernetes_has_it_no_more(
    daemon: FakeDaemon,
    names: Names,
    readiness: list[str],
    monkeypatch: pytest.MonkeyPatch,
    age: str,
) -> None:
    """It would begin an empty cluster: k3s has removed it from etcd with its Node, and tells it no
    server to join (k3s pkg/etcd/etcd.go, Start)."""
    three = three_servers(daemon, names)
    for server in daemon.containers:
        server.started = age or now()
    first, second, third = convergence.wanted_nodes(names, three)
    Answering(200, (second, third)).to_ensure(monkeypatch)
    if not age:
        readiness.append(f"nothing new has happened for 120 s, and it is not ready: {first}")
    with pytest.raises(k3d.CurableError) as failed:
        run(names, three)
    assert f"write `server: https://{second}:6443` into its /etc" in str(failed.value)
    assert changes(daemon) == []


@pytest.mark.usefixtures("spec", "readiness")
def test_addresses_of_several_servers_are_written_down(daemon: FakeDaemon, names: Names) -> None:
    spec = three_servers(daemon, names)
    known = {node.name: node.address for node in daemon.containers}
    remember(names, spec)
    run(names, spec)
    assert (record := store.load(names))
    assert record.addresses == known


@pytest.mark.usefixtures("spec", "readiness")
def test_servers_that_have_each_others_addresses_start_at_their_own(
    daemon: FakeDaemon, names: Names
) -> None:
    """As after a restart of the machine, where Docker starts them in any order."""
    spec = three_servers(daemon, names)
    first, second, third = daemon.containers
    first.address, second.address, third.state = third.address, first.address, "exited"
    third.address = ""
    run(names, spec)
    own = [f"172.20.0.{number}" for number in (2, 3, 4)]
    assert [node.address for node in daemon.containers] == own
    assert changes(daemon) == ["docker kill", "docker kill", "start"]
    everyone = convergence.wanted_nodes(names, spec)
    assert [(nodes, set(restarted)) for nodes, restarted in waits] == [(everyone, set(everyone))]


@pytest.mark.usefixtures("spec", "readiness")
def test_a_server_that_reads_its_changed_files_keeps_its_address(
    daemon: FakeDaemon, names: Names
) -> None:
    spec = three_servers(daemon, names)
    daemon.containers[0].address = "172.20.0.9"  # so that the lowest free one is not the second's
    changed = dict.fromkeys(convergence.wanted_nodes(names, spec), content(spec))
    second = daemon.containers[1].name
    known = {node.name: node.address for node in daemon.containers}
    remember(names, spec, addresses=known, content=changed | {second: "before"})
    run(names, spec)
    assert {node.name: node.address for node in daemon.containers} == known


# --- what fails -----------------------------------------------------------------------------------


def test_a_foreign_cluster_is_refused_and_kept(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    nodes(daemon, names, identity(spec), owner="fedcba9876543210")
    before = daemon.names
    refusal = "cluster traced-dev already exists and has another owner: it has k3d-traced-dev"
    with pytest.raises(runner.CommandError, match=refusal):
        run(names, spec)
    assert changes(daemon) == []
    assert daemon.names == before


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("created", [0, 1, 2])
def test_a_creation_that_fails_leaves_nothing(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, created: int
) -> None:
    daemon.k3d_fails_after = created
    with pytest.raises(runner.CommandError, match="k3d exited with 1"):
        run(names, spec)
    assert daemon.names == set()


def test_a_cluster_that_never_gets_ready_is_removed(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, readiness: list[str]
) -> None:
    readiness[:] = ["agent-0: it has not joined"]
    with pytest.raises(runner.CommandError, match="it has not joined"):
        run(names, spec)
    assert daemon.names == set()
    assert not names.kubeconfig.exists()


@pytest.mark.usefixtures("readiness")
def test_why_it_failed_is_not_lost_when_the_sweep_fails_too(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    daemon.k3d_fails_after = 1
    daemon.volume("k3d-traced-dev-images", labels={"k3d.cluster": "traced-dev"}, stuck=True)
    with pytest.raises(runner.CommandError) as failed:
        run(names, spec)
    assert "k3d exited with 1" in str(failed.value)
    assert "k3d-traced-dev-images" in str(failed.value)


def test_files_that_are_missing_are_named(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """Docker would create a missing folder, empty, and the node would fail."""
    path = names.node_directory / documents.KUBELET_FILE
    path.unlink()
    with pytest.raises(runner.CommandError, match=f"{path} is missing"):
        run(names, spec)
    assert changes(daemon) == []


def test_a_file_of_another_configuration_is_not_given_to_nodes(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """As after `pulumi up --exclude`; the record would say that the nodes have the wanted one."""
    path = names.node_directory / documents.KUBELET_FILE
    path.write_text("{}")
    with pytest.raises(convergence.FilesError, match=f"{path} is not of this configuration"):
        run(names, spec)
    assert changes(daemon) == []
    assert store.load(names) is None


# --- as a command ---------------------------------------------------------------------------------


def command(names: Names, spec: ClusterSpec, monkeypatch: pytest.MonkeyPatch) -> int:
    request = {
        "stack": names.stack,
        "folder": str(names.folder),
        "stateFolder": str(names.state_folder),
        "spec": spec.document,
        "digest": identity(spec),
    }
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
    monkeypatch.setenv("GENERATION", "7")
    return ensure.main()


@pytest.mark.usefixtures("readiness")
def test_what_was_made_is_printed_and_remembered(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    assert command(names, spec, monkeypatch) == 0
    output = json.loads(capfd.readouterr().out)
    assert output["instance"] == daemon.containers[0].id
    assert isinstance(output["seconds"], float), "a rounded one tells tenths"
    wanted = convergence.wanted_nodes(names, spec)
    assert store.load(names) == Record(
        7, True, identity(spec), spec.document, wanted,
        content=dict.fromkeys(wanted, content(spec)),
        daemon=daemon.info["ID"], docker_host=daemon.host,
    )  # fmt: skip


@pytest.mark.usefixtures("no_waiting")
def test_a_failure_is_told_and_not_remembered_as_success(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    daemon.k3d_fails_after = 0
    assert command(names, spec, monkeypatch) == 1
    output = capfd.readouterr()
    assert output.out == ""
    assert "error: cluster traced-dev: k3d exited with 1" in output.err
    record = store.load(names)
    assert record is None or not record.complete


ANEW = "to create it anew, without its workloads: `k3d cluster delete traced-dev`"


@pytest.mark.usefixtures("readiness")
def test_an_agent_s_problem_is_no_reason_to_make_the_cluster_anew(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    standing(daemon, names, spec)
    daemon.start_fails = True
    remember(names, spec, content=dict.fromkeys(convergence.wanted_nodes(names, spec), "older"))
    assert command(names, spec, monkeypatch) == 1
    assert ANEW in capfd.readouterr().err
    for node in daemon.containers:
        node.state = "running"
    daemon.kubectl["drain"] = Answer(stderr="Cannot evict pod\n", code=1)
    assert command(names, spec_of(names), monkeypatch) == 1
    told = capfd.readouterr().err
    assert "agent-0 cannot be drained and stays: Cannot evict pod. Free it of that pod" in told
    assert ANEW not in told


def test_a_cluster_that_runs_and_does_not_answer_is_told_to_be_started_again(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As one whose API server hangs: with what is in it, before the command that deletes it."""
    standing(daemon, names, spec)
    hangs = Mock(side_effect=runner.CommandError("the API server: the handshake timed out"))
    monkeypatch.setattr(cluster_ready, "wait", hangs)
    assert command(names, spec, monkeypatch) == 1
    again = "to start it again, with every object: `docker kill k3d-traced-dev-server-0`, then"
    told = capfd.readouterr().err
    assert 0 < told.index(again) < told.index(ANEW)
    for node in daemon.containers:
        node.state = "exited"
    daemon.start_fails = True
    assert command(names, spec, monkeypatch) == 1
    told = capfd.readouterr().err
    assert again not in told
    assert ANEW in told


def test_no_command_is_told_that_deletes_a_cluster_that_another_cure_brings_back(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    standing(daemon, names, spec)
    curable = Mock(side_effect=k3d.CurableError("it is not ready.\nfree it of that webhook"))
    monkeypatch.setattr(cluster_ready, "wait", curable)
    assert command(names, spec, monkeypatch) == 1
    told = capfd.readouterr().err
    assert "free it of that webhook" in told
    assert ANEW not in told


@pytest.mark.parametrize(
    "reason",
    [  # Docker 20.10: k3d kubeconfig get, and k3d cluster start
        "`k3d kubeconfig get traced-dev` exited with 1: docker failed to copy path: Error response "
        "from daemon: mount /home/ada/a.pem:/var/lib/docker/overlay2/27/merged/etc/a.pem, flags: "
        '0x5001: not a directory"',
        # Docker 28, with runc 1.2
        "k3d exited with 1: Failed to start node: Error response from daemon: failed to create "
        "task for container: failed to create shim task: OCI runtime create failed: runc create "
        "failed: unable to start container process: error during container init: error mounting "
        '\\"/home/ada/a.pem\\" to rootfs at \\"/etc/a.pem\\": mount /home/ada/a.pem:/etc/a.pem '
        "(via /proc/self/fd/6), flags: 0x5001: not a directory: unknown: Are you trying to mount a "
        "directory onto a file (or vice-versa)?",
        'error mounting "/home/ada/a.pem" to rootfs at "/etc/a.pem": create mountpoint: not a '
        "directory",
    ],
)
def test_a_file_of_which_docker_has_made_a_folder_is_no_reason_to_make_the_cluster_anew(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    *,
    reason: str,
) -> None:
    standing(daemon, names, spec)
    monkeypatch.setattr(cluster_ready, "wait", Mock(side_effect=runner.CommandError(reason)))
    assert command(names, spec, monkeypatch) == 1
    told = capfd.readouterr().err
    assert "\n/home/ada/a.pem was a file when the nodes were created and is a folder now" in told
    assert ANEW not in told


@pytest.mark.usefixtures("readiness")
def test_what_stops_this_run_alone_is_no_reason_to_make_the_cluster_anew(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    standing(daemon, names, spec)
    errors = [OSError(28, "No space left on device"), LockError("another run has held the lock")]
    for error in errors:
        monkeypatch.setattr(store, "save", Mock(side_effect=error))
        assert command(names, spec, monkeypatch) == 1
        told = capfd.readouterr().err
        assert str(error) in told
        assert ANEW not in told


@pytest.mark.usefixtures("readiness")
def test_no_command_is_told_that_deletes_the_cluster_of_another_owner(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    daemon.node(names, "server", owner="other")
    assert command(names, spec, monkeypatch) == 1
    told = capfd.readouterr().err
    assert "already exists and has another owner" in told
    assert ANEW not in told


def test_a_docker_that_ends_meanwhile_is_told_in_one_line(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    standing(daemon, names, spec)

    def wait(*_: object) -> float:
        daemon.down = True
        return 0.1

    monkeypatch.setattr(cluster_ready, "wait", wait)
    assert command(names, spec, monkeypatch) == 1
    assert (
        "error: cluster traced-dev: `docker ps -a --no-trunc` exited with 1: "
        "Cannot connect to the Docker daemon. Is it running?"
    ) in capfd.readouterr().err.splitlines()


def test_a_full_disk_is_told_in_one_line(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(names.directory))

    monkeypatch.setattr(store, "save", full)
    assert command(names, spec, monkeypatch) == 1
    (line, *_) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: cluster traced-dev: [Errno 28] No space left on device: ")
    assert daemon.names == set()


@pytest.mark.usefixtures("no_waiting", "spec")
def test_an_upstream_containerd_that_may_be_the_reason_is_named_with_the_cure(
    daemon: FakeDaemon,
    names: Names,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    daemon.k3d_fails_after = 0
    for mode in ("upstream", "off"):
        spec = configuration.spec_of(names, parsed(agents=1, containerdTracing=mode))
        assert command(names, spec, monkeypatch) == 1
        cure = "`pulumi config set containerdTracing off`"
        assert (cure in capfd.readouterr().err) is (mode == "upstream")


@pytest.mark.usefixtures("no_waiting")
def test_while_it_works_the_cluster_counts_as_incomplete(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run must detect drift if this run is killed here."""

    def killed(*_: object) -> float:
        record = store.load(names)
        assert record is not None
        assert not record.complete
        assert record.never_complete
        raise KeyboardInterrupt

    monkeypatch.setattr(cluster_ready, "wait", killed)
    with pytest.raises(KeyboardInterrupt):
        command(names, spec, monkeypatch)
