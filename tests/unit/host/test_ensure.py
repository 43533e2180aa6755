"""Ensure: from any state that Docker can be in to the wanted cluster, or a refusal by name."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime_observability.core import cluster_spec, documents, naming
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.host import ensure, k3d, runner, store
from runtime_observability.host.docker import Owned
from runtime_observability.host.ensure import Action, Ensure, decide
from runtime_observability.host.k3d import NodeWatch
from tests import configuration
from tests.configuration import PROJECT, parsed
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
    ("found", "action", "why"),
    [
        ([], Action.CREATE, "there is none"),
        ([SERVER, AGENT], Action.ADOPT, "all its nodes run"),
        ([AGENT, TOOLS, SERVER], Action.ADOPT, "all its nodes run"),
        ([TOOLS], Action.RECREATE, "server-0 never started"),
        ([SERVER], Action.RECREATE, "agent-0 never started"),
        ([SERVER, node("agent", 0, "created")], Action.RECREATE, "agent-0 never started"),
        ([SERVER, node("agent", 0, "exited")], Action.START, "agent-0 stands still"),
        ([node("server", 0, "paused"), AGENT], Action.START, "server-0 stands still"),
        ([SERVER, node("agent", 0, spec="other")], Action.RECREATE, "another configuration"),
        ([SERVER, node("agent", 0, "exited", spec="other")], Action.RECREATE, "another config"),
        ([SERVER, AGENT, node("agent", 1)], Action.RECREATE, "not wanted"),
    ],
)
def test_what_is_done_about_what_is_found(found: list[Owned], action: Action, why: str) -> None:
    decision = decide(found, [SERVER.name, AGENT.name], DIGEST)
    assert decision.action is action
    assert why in decision.why


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


def spec_of(names: Names, **changes: Any) -> ClusterSpec:
    return configuration.spec_of(names, parsed(**changes))


@pytest.fixture
def spec(names: Names) -> ClusterSpec:
    """A cluster of one server and one agent, its files written."""
    settings = parsed(agents=1)
    files = documents.node_files(settings, cgroup_v1=False)
    names.node_directory.mkdir(parents=True)
    for file, text in files.items():
        (names.node_directory / file).write_text(text)
    return configuration.spec_of(names, settings)


@pytest.fixture
def readiness(monkeypatch: pytest.MonkeyPatch, no_waiting: None) -> Iterator[list[str]]:
    """What the waits for the cluster end with: "ready" or an error; each wait takes one."""
    ends: list[str] = []

    def wait(kubeconfig: Path, nodes: int, watch: NodeWatch) -> float:
        assert kubeconfig.read_text() == "---\n# kubeconfig of traced-dev\n"
        assert nodes == 2
        end = ends.pop(0) if ends else "ready"
        if end != "ready":
            raise runner.CommandError(end)
        return 0.1

    monkeypatch.setattr(ensure, "wait_until_ready", wait)
    yield ends
    assert not ends, "waits that never were"


def run(names: Names, spec: ClusterSpec) -> str:
    with ensure.locked(names) as lock:
        return Ensure(names, spec, lock).run()


def nodes(daemon: FakeDaemon, names: Names, spec: str, **values: Any) -> None:
    daemon.node(names, "server", spec=spec, **values)
    daemon.node(names, "agent", spec=spec, **values)


def done(daemon: FakeDaemon) -> list[str]:
    """What was changed, in words: k3d's commands and docker's removals."""
    words = []
    for call in daemon.executables.calls:
        match call.argv:
            case ("k3d", "cluster", verb, *_):
                words.append(verb)
            case ("docker", "rm", *_):
                words.append("remove")
    return words


@pytest.mark.usefixtures("readiness")
def test_no_cluster_is_created(daemon: FakeDaemon, names: Names, spec: ClusterSpec) -> None:
    instance = run(names, spec)
    assert done(daemon) == ["create"]
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
    (create,) = daemon.asked("k3d", "cluster", "create")
    given = yaml.safe_load(create.stdin)
    labels = names.labels | {naming.SPEC_LABEL: spec.digest}
    assert given == cluster_spec.with_labels(spec.config, labels)
    assert given["options"]["kubeconfig"] == {
        "updateDefaultKubeconfig": False,
        "switchCurrentContext": False,
    }


@pytest.mark.usefixtures("readiness")
def test_a_whole_cluster_is_adopted(daemon: FakeDaemon, names: Names, spec: ClusterSpec) -> None:
    nodes(daemon, names, spec.digest)
    assert run(names, spec) == "id-of-k3d-traced-dev-server-0"
    assert done(daemon) == []
    assert names.kubeconfig.is_file()


@pytest.mark.usefixtures("readiness")
def test_a_stopped_cluster_is_started(daemon: FakeDaemon, names: Names, spec: ClusterSpec) -> None:
    nodes(daemon, names, spec.digest, state="exited")
    assert run(names, spec) == "id-of-k3d-traced-dev-server-0"
    assert done(daemon) == ["start"]


@pytest.mark.usefixtures("readiness")
def test_half_a_cluster_is_made_anew(daemon: FakeDaemon, names: Names, spec: ClusterSpec) -> None:
    daemon.node(names, "server", spec=spec.digest)
    assert run(names, spec) != "id-of-k3d-traced-dev-server-0"
    assert done(daemon) == ["remove", "create"]


@pytest.mark.usefixtures("readiness")
def test_a_cluster_of_another_spec_is_made_anew(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    nodes(daemon, names, "0" * 16)
    run(names, spec)
    assert done(daemon) == ["remove", "create"]
    assert {each.labels[naming.SPEC_LABEL] for each in daemon.containers} == {spec.digest}


def test_a_cluster_that_does_not_come_back_is_made_anew(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, readiness: list[str]
) -> None:
    nodes(daemon, names, spec.digest)
    readiness[:] = ["after 120 s the cluster was not ready", "ready"]
    run(names, spec)
    assert done(daemon) == ["remove", "create"]


@pytest.mark.usefixtures("readiness")
def test_a_cluster_that_cannot_be_started_is_made_anew(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    nodes(daemon, names, spec.digest, state="exited")
    daemon.start_fails = True
    run(names, spec)
    assert done(daemon) == ["start", "remove", "create"]


def test_a_foreign_cluster_is_refused_and_kept(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    nodes(daemon, names, spec.digest, owner="fedcba9876543210")
    before = daemon.names
    with pytest.raises(runner.CommandError, match="cluster traced-dev is taken by k3d-traced-dev"):
        run(names, spec)
    assert done(daemon) == []
    assert daemon.names == before


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("made", [0, 1, 2])
def test_a_creation_that_fails_leaves_nothing(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, made: int
) -> None:
    daemon.k3d_fails_after = made
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
    """A mounted folder that Docker makes itself would be empty, and the node would die."""
    path = names.node_directory / documents.KUBELET_FILE
    path.unlink()
    with pytest.raises(runner.CommandError, match=f"{path} is missing"):
        run(names, spec)
    assert done(daemon) == []


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
    said = json.loads(capfd.readouterr().out)
    assert said["instance"] == daemon.containers[0].id
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
    said = capfd.readouterr()
    assert said.out == ""
    assert "error: cluster traced-dev: k3d exited with 1" in said.err
    record = store.load(names)
    assert record is None or not record.complete


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
    """A run that is killed here must show as drift in the next."""

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


@pytest.mark.usefixtures("no_waiting")
def test_a_cluster_that_is_never_ready_says_what_was_seen(
    names: Names, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensure, "_READY_SECONDS", 0.2)
    server.answer = lambda _: listing(api_node("True"))
    write_kubeconfig(names.kubeconfig, server.url)
    with pytest.raises(runner.CommandError, match=r"after 0\.2 s .*: 1 of 2 nodes Ready"):
        ensure.wait_until_ready(names.kubeconfig, 2, NodeWatch([]))


@pytest.mark.usefixtures("no_waiting")
def test_a_node_that_dies_after_k3d_was_content_says_why_at_once(
    daemon: FakeDaemon, names: Names, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(k3d, "_DEAD_SECONDS", 0)
    monkeypatch.setattr(k3d, "_LOOK_SECONDS", 0)
    node = daemon.node(names, top="sh k3d-entrypoint.sh", log='level=fatal msg="kubelet: no"\n')
    server.answer = lambda _: listing(api_node("False"))
    write_kubeconfig(names.kubeconfig, server.url)
    with pytest.raises(runner.CommandError) as failed:
        ensure.wait_until_ready(names.kubeconfig, 1, NodeWatch([node.name]))
    assert str(failed.value).splitlines() == [
        f"k3s in {node.name} has ended (0 of 1 nodes Ready).",
        f'{node.name}: level=fatal msg="kubelet: no"',
    ]


# --- the lock -------------------------------------------------------------------------------------


def test_a_lock_that_is_never_freed_is_told(
    names: Names, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ensure, "_LOCK_SECONDS", 0.1)
    with (
        ensure.locked(names),
        pytest.raises(runner.CommandError, match="another run has been working on cluster"),
        ensure.locked(names),
    ):
        pass
    assert "waiting for another run" in capsys.readouterr().err


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
    """Another process that holds the lock, until its standard input ends or k3d does."""
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
    first.communicate(timeout=10)
    assert not lock_is_held(names), "the lock went with its process"


def lock_is_held(names: Names) -> bool:
    """Whether the lock cannot be had at once."""
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
    """Killed runs leave a k3d that goes on creating; no other run may meet it."""
    go_on, pid = tmp_path / "go-on", tmp_path / "pid"
    daemon.executables.script(
        "k3d",
        f"#!/bin/sh\necho $$ >{pid}.new; mv {pid}.new {pid}\n"
        f"while [ ! -e {go_on} ]; do /bin/sleep 0.05; done\n",
    )
    first = holder(names, daemon, "k3d")
    await_file(pid)
    first.kill()
    first.communicate(timeout=10)
    assert lock_is_held(names), "the orphan holds it"
    go_on.touch()
    deadline = time.monotonic() + 10
    while lock_is_held(names):
        assert time.monotonic() < deadline, "the orphan has ended, the lock has not"


def await_file(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)
