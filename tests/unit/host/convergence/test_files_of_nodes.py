"""Changes in place: nodes that read changed files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.transition import content, identity
from runtime_observability.host import convergence, cordon, k3d, node_files, runner, store
from runtime_observability.host import nodes as node_module
from tests.fakes.daemon import DockerObject, FakeDaemon
from tests.fakes.executables import Answer
from tests.unit.host.convergence.cluster import (
    REGISTRIES,
    changes,
    nodes,
    remember,
    run,
    spec_of,
    standing,
    waits,
)


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
        killed.setattr(node_files, "check", Mock())
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
    copies = [call.argv[-1] for call in daemon.calls_to("docker", "cp") if call.argv[2] != "-"]
    assert copies
    assert all(Path(copy).is_relative_to(names.directory) for copy in copies), "a snap writes there"


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

    def write_and_be_killed(node: str, of: ClusterSpec, folder: Path) -> None:
        write(node, of, folder)
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
