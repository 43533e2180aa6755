"""Ensure: from any state of the cluster to the wanted one, or an error that names the reason."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
import yaml

from runtime_observability.core import cluster_spec, documents, naming
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.host import ensure, k3d, kubeapi, runner, store
from runtime_observability.host.docker import Owned
from runtime_observability.host.ensure import Action, Ensure, decide
from runtime_observability.host.k3d import NodeWatch
from tests import configuration
from tests.configuration import PROJECT, parsed
from tests.fakes.clock import Clock
from tests.fakes.daemon import FakeDaemon
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig

# --- the decision ---------------------------------------------------------------------------------

DIGEST = "0123456789abcdef"


def node(role: str, index: int, state: str = "running", spec: str = DIGEST) -> Owned:
    name = f"k3d-traced-dev-{role}-{index}"
    return Owned(
        id=name, name=name, owner="", stack="", folder="", spec=spec, role=role, state=state
    )


SERVER, AGENT = node("server", 0), node("agent", 0)
TOOLS = Owned(id="t", name="k3d-traced-dev-tools", owner="", stack="", folder="", role="noRole")


@pytest.mark.parametrize(
    ("found", "action", "reason"),
    [
        ([], Action.CREATE, "it does not exist"),
        ([SERVER, AGENT], Action.ADOPT, "all its nodes are running"),
        ([AGENT, TOOLS, SERVER], Action.ADOPT, "all its nodes are running"),
        ([TOOLS], Action.RECREATE, "server-0 never started"),
        ([SERVER], Action.RECREATE, "agent-0 never started"),
        ([SERVER, node("agent", 0, "created")], Action.RECREATE, "agent-0 never started"),
        ([SERVER, node("agent", 0, "exited")], Action.START, "stopped: k3d-traced-dev-agent-0"),
        ([node("server", 0, "paused"), AGENT], Action.START, "stopped: k3d-traced-dev-server-0"),
        ([SERVER, node("agent", 0, spec="other")], Action.RECREATE, "another configuration"),
        ([SERVER, node("agent", 0, "exited", spec="other")], Action.RECREATE, "another config"),
        ([SERVER, AGENT, node("agent", 1)], Action.RECREATE, "too many nodes"),
    ],
)
def test_what_is_done_about_what_is_found(found: list[Owned], action: Action, reason: str) -> None:
    decision = decide(found, [SERVER.name, AGENT.name], DIGEST)
    assert decision.action is action
    assert reason in decision.reason


def test_the_first_server_is_the_first_node(names: Names) -> None:
    spec = spec_of(names, servers=3, agents=2)
    assert ensure.wanted_nodes(names, spec) == (
        "k3d-traced-dev-server-0",
        "k3d-traced-dev-server-1",
        "k3d-traced-dev-server-2",
        "k3d-traced-dev-agent-0",
        "k3d-traced-dev-agent-1",
    )


# --- the run --------------------------------------------------------------------------------------


def spec_of(names: Names, **settings: Any) -> ClusterSpec:
    return configuration.spec_of(names, parsed(**settings))


@pytest.fixture
def spec(names: Names) -> ClusterSpec:
    """A cluster with one server and one agent, whose files exist."""
    settings = parsed(agents=1)
    files = documents.node_files(settings, cgroup_v1=False)
    names.node_directory.mkdir(parents=True)
    for file, text in files.items():
        (names.node_directory / file).write_text(text)
    return configuration.spec_of(names, settings)


@pytest.fixture
def readiness(monkeypatch: pytest.MonkeyPatch, no_waiting: None) -> Iterator[list[str]]:
    """The results of the waits for the cluster, in their order: "ready" or an error's message."""
    results: list[str] = []

    def wait(kubeconfig: Path, nodes: int, watch: NodeWatch) -> float:
        assert kubeconfig.read_text() == "---\n# kubeconfig of traced-dev\n"
        assert nodes == 2
        result = results.pop(0) if results else "ready"
        if result != "ready":
            raise runner.CommandError(result)
        return 0.1

    monkeypatch.setattr(ensure, "wait_until_ready", wait)
    yield results
    assert not results, "these waits did not happen"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().drive(monkeypatch, ensure)


def run(names: Names, spec: ClusterSpec) -> str:
    with ensure.locked(names) as lock:
        return Ensure(names, spec, lock).run()


def nodes(daemon: FakeDaemon, names: Names, spec: str, **values: Any) -> None:
    daemon.node(names, "server", spec=spec, **values)
    daemon.node(names, "agent", spec=spec, **values)


def changes(daemon: FakeDaemon) -> list[str]:
    """What changed the cluster: the verb of each `k3d cluster`, "remove" for each `docker rm`."""
    verbs = []
    for call in daemon.executables.calls:
        match call.argv:
            case ("k3d", "cluster", verb, *_):
                verbs.append(verb)
            case ("docker", "rm", *_):
                verbs.append("remove")
    return verbs


@pytest.mark.usefixtures("readiness")
def test_no_cluster_is_created(daemon: FakeDaemon, names: Names, spec: ClusterSpec) -> None:
    instance = run(names, spec)
    assert changes(daemon) == ["create"]
    assert instance == daemon.containers[0].id
    assert daemon.names == set(ensure.wanted_nodes(names, spec))
    assert names.kubeconfig.stat().st_mode & 0o777 == 0o600
    for container in daemon.containers:
        assert container.labels.items() >= names.labels.items()
        assert container.labels[naming.SPEC_LABEL] == spec.digest


@pytest.mark.usefixtures("readiness")
def test_k3d_is_given_the_spec_and_labels_alone(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    run(names, spec)
    (create,) = daemon.calls_to("k3d", "cluster", "create")
    config = yaml.safe_load(create.stdin)
    labels = names.labels | {naming.SPEC_LABEL: spec.digest}
    assert config == cluster_spec.with_labels(spec.config, labels)
    assert config["options"]["kubeconfig"] == {
        "updateDefaultKubeconfig": False,
        "switchCurrentContext": False,
    }


@pytest.mark.usefixtures("readiness")
def test_a_whole_cluster_is_adopted(daemon: FakeDaemon, names: Names, spec: ClusterSpec) -> None:
    nodes(daemon, names, spec.digest)
    assert run(names, spec) == "id-of-k3d-traced-dev-server-0"
    assert changes(daemon) == []
    assert names.kubeconfig.is_file()


@pytest.mark.usefixtures("readiness")
def test_a_stopped_cluster_is_started(daemon: FakeDaemon, names: Names, spec: ClusterSpec) -> None:
    nodes(daemon, names, spec.digest, state="exited")
    assert run(names, spec) == "id-of-k3d-traced-dev-server-0"
    assert changes(daemon) == ["start"]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> list[float]:
    """From when on each watch reads the nodes' logs."""
    assert clock.now == 1_700_000_000
    times: list[float] = []

    def watch(nodes: tuple[str, ...], since: float = 0) -> NodeWatch:
        times.append(since)
        return NodeWatch(nodes, since)

    monkeypatch.setattr(ensure, "NodeWatch", watch)
    return times


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize("state", [None, "running", "exited"])
def test_only_what_nodes_log_after_a_start_explains_it(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, watched: list[float], state: str | None
) -> None:
    """An error of the nodes' earlier life would be taken for the reason."""
    if state:
        nodes(daemon, names, spec.digest, state=state)
    run(names, spec)
    assert watched == [1_700_000_000 if state == "exited" else 0]


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
        nodes(daemon, names, spec.digest, state="exited")
    with ensure.locked(names) as lock:
        Ensure(names, spec, lock).run()
    ((argv, arguments),) = k3d_runs
    start = "cluster start traced-dev --timeout 240s"
    assert argv == (start if exists else "cluster create --config -")
    assert (spec.start_seconds, arguments["seconds"]) == (240, 360)
    assert (arguments["lock"], arguments["tools_image"]) == (lock, spec.tools_image)


@pytest.mark.usefixtures("readiness")
def test_half_a_cluster_is_made_anew(daemon: FakeDaemon, names: Names, spec: ClusterSpec) -> None:
    daemon.node(names, "server", spec=spec.digest)
    assert run(names, spec) != "id-of-k3d-traced-dev-server-0"
    assert changes(daemon) == ["remove", "create"]


@pytest.mark.usefixtures("readiness")
def test_a_cluster_of_another_spec_is_made_anew(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    nodes(daemon, names, "0" * 16)
    run(names, spec)
    assert changes(daemon) == ["remove", "create"]
    digests = {container.labels[naming.SPEC_LABEL] for container in daemon.containers}
    assert digests == {spec.digest}


def test_a_cluster_that_does_not_come_back_is_made_anew(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, readiness: list[str]
) -> None:
    nodes(daemon, names, spec.digest)
    readiness[:] = ["after 120 s the cluster was not ready", "ready"]
    run(names, spec)
    assert changes(daemon) == ["remove", "create"]


@pytest.mark.usefixtures("readiness")
def test_a_cluster_that_cannot_be_started_is_made_anew(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    nodes(daemon, names, spec.digest, state="exited")
    daemon.start_fails = True
    run(names, spec)
    assert changes(daemon) == ["start", "remove", "create"]


def test_a_foreign_cluster_is_refused_and_kept(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    nodes(daemon, names, spec.digest, owner="fedcba9876543210")
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
    readiness[:] = ["after 120 s the cluster was not ready: 1 of 2 nodes Ready"]
    with pytest.raises(runner.CommandError, match="1 of 2 nodes Ready"):
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


# --- as a command ---------------------------------------------------------------------------------


def command(names: Names, spec: ClusterSpec, monkeypatch: pytest.MonkeyPatch) -> int:
    request = {
        "stack": names.stack,
        "folder": str(names.folder),
        "stateFolder": str(names.state_folder),
        "spec": spec.document,
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
    assert command(names, spec, monkeypatch) == 0
    output = json.loads(capfd.readouterr().out)
    assert output["instance"] == daemon.containers[0].id
    wanted = ensure.wanted_nodes(names, spec)
    assert store.load(names) == Record(7, True, spec.digest, spec.document, wanted)


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
        raise KeyboardInterrupt

    monkeypatch.setattr(ensure, "wait_until_ready", killed)
    with pytest.raises(KeyboardInterrupt):
        command(names, spec, monkeypatch)


# --- readiness of the cluster ---------------------------------------------------------------------


def api_node(ready: str) -> dict[str, Any]:
    conditions = [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready}]
    return {"metadata": {"name": "n"}, "status": {"conditions": conditions}}


def listing(*nodes: dict[str, Any]) -> Reply:
    return Reply(200, {"kind": "NodeList", "apiVersion": "v1", "items": list(nodes)})


@pytest.mark.usefixtures("no_waiting", "proxy_of_the_user")
def test_all_nodes_are_waited_for(names: Names, server: FakeServer) -> None:
    stages = [
        Reply(503, {"message": "starting"}),
        listing(),
        listing(api_node("Unknown")),
        listing(api_node("True"), {"metadata": {"name": "new"}, "status": {}}),
        listing(api_node("True"), api_node("False")),
        listing(api_node("True"), api_node("True")),
    ]

    def answer(_: Request) -> Reply:
        return stages.pop(0)

    server.answer = answer
    write_kubeconfig(names.kubeconfig, server.url)
    ensure.wait_until_ready(names.kubeconfig, 2, NodeWatch([]))
    assert stages == []


def test_a_cluster_that_is_never_ready_says_what_was_seen(
    names: Names, server: FakeServer, clock: Clock
) -> None:
    def answer_slowly(_: Request) -> Reply:
        clock.now += 20
        return listing(api_node("True"))

    server.answer = answer_slowly
    write_kubeconfig(names.kubeconfig, server.url)
    begin = clock.now
    with pytest.raises(runner.CommandError, match=r"after 120 s .*: 1 of 2 nodes Ready"):
        ensure.wait_until_ready(names.kubeconfig, 2, NodeWatch([]))
    assert 120 <= clock.now - begin < 141


def test_an_api_server_that_does_not_answer_is_asked_again_after_five_seconds(
    names: Names, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a limit, one lost answer would take the whole time of the wait."""
    limits: list[float] = []

    class Api:
        def list_node(self, *, _request_timeout: float) -> Any:
            limits.append(_request_timeout)
            if len(limits) == 1:
                raise urllib3.exceptions.HTTPError("Read timed out.")
            return SimpleNamespace(items=[])

    monkeypatch.setattr(kubeapi, "core", lambda _: Api())
    begin = clock.now
    assert ensure.wait_until_ready(names.kubeconfig, 0, NodeWatch([])) == clock.now - begin
    assert limits == [5, 5]


@pytest.mark.usefixtures("no_waiting")
def test_a_node_that_dies_after_k3d_was_content_says_why_at_once(
    daemon: FakeDaemon, names: Names, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(k3d, "_DEAD_SECONDS", 0)
    monkeypatch.setattr(k3d, "_CHECK_SECONDS", 0)
    node = daemon.node(names, top="sh k3d-entrypoint.sh", log='level=fatal msg="kubelet: no"\n')
    server.answer = lambda _: listing(api_node("False"))
    write_kubeconfig(names.kubeconfig, server.url)
    with pytest.raises(runner.CommandError) as failed:
        ensure.wait_until_ready(names.kubeconfig, 1, NodeWatch([node.name]))
    assert str(failed.value).splitlines() == [
        f"k3s in {node.name} has exited (0 of 1 nodes Ready).",
        f'{node.name}: level=fatal msg="kubelet: no"',
    ]


# --- the lock -------------------------------------------------------------------------------------


def test_a_lock_that_is_never_freed_is_told(
    names: Names, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = clock.now
    with (
        ensure.locked(names),
        pytest.raises(runner.CommandError, match="another run has held the lock of cluster"),
        ensure.locked(names),
    ):
        pass
    assert 300 < clock.now - begin <= 301
    assert capsys.readouterr().err.count("waiting for another run") == 1


def test_two_stacks_do_not_wait_for_each_other(names: Names) -> None:
    with ensure.locked(names), ensure.locked(Names("other", names.folder)):
        pass


_HOLDER = """
import sys
from pathlib import Path
from runtime_observability.host import ensure, k3d
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
names = Names("dev", Path(sys.argv[1]))
with ensure.locked(names) as lock:
    print("locked", flush=True)
    if sys.argv[2] == "k3d":
        watch = k3d.NodeWatch([])
        k3d.run(["cluster"], stdin="", watch=watch, tools_image="", lock=lock, seconds=60)
    else:
        sys.stdin.read()
"""


def holder(names: Names, daemon: FakeDaemon, work: str) -> subprocess.Popen[str]:
    """Another process that holds the lock until its standard input is closed or k3d exits."""
    environment = {**os.environ, "PATH": daemon.path, "PYTHONPATH": str(PROJECT)}
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(names.folder), work],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_second_run_waits_for_the_first(names: Names, daemon: FakeDaemon) -> None:
    first = holder(names, daemon, "nothing")
    assert lock_is_held(names)
    first.communicate()
    assert not lock_is_held(names), "the lock is released when its process ends"


def lock_is_held(names: Names) -> bool:
    """Whether another process holds the lock."""
    limit, ensure._LOCK_SECONDS = ensure._LOCK_SECONDS, 0
    try:
        with ensure.locked(names):
            return False
    except runner.CommandError:
        return True
    finally:
        ensure._LOCK_SECONDS = limit


def test_k3d_keeps_the_lock_when_its_run_is_killed(
    names: Names, daemon: FakeDaemon, tmp_path: Path
) -> None:
    """A killed run leaves a k3d that still creates nodes; no other run may start meanwhile."""
    go_on, pid = tmp_path / "go-on", tmp_path / "pid"
    daemon.executables.script(
        "k3d",
        f"#!/bin/sh\necho $$ >{pid}.new; mv {pid}.new {pid}\n"
        f"while [ ! -e {go_on} ]; do /bin/sleep 0.05; done\n",
    )
    first = holder(names, daemon, "k3d")
    await_file(pid)
    first.kill()
    first.communicate()
    assert lock_is_held(names), "the orphaned k3d holds it"
    go_on.touch()
    while lock_is_held(names):  # pytest's own timeout ends a test whose lock is never released
        time.sleep(0.02)


def await_file(path: Path) -> None:
    while not path.exists():  # pytest's own timeout ends a test whose file never comes
        time.sleep(0.02)
