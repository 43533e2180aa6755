"""The stand-ins held to what the real plugins were seen to do, case by case.

CASES are those of a run of both real plugins (docker 5.2.0, command 1.2.1) with this project's
graph, on Pulumi 3.259.0, Docker 20.10 and k3d 5.9.0. The stand-ins run in this process behind gRPC,
as the engine calls them; Docker is a fake of its API's client.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
import pytest

from lab.paths import PROJECT
from lab.providers import command, docker_resource, docker_types
from lab.providers.wire import UNKNOWN, Properties
from tests.fakes.clock import Clock
from tests.fakes.docker_api import FakeDockerApi
from tests.fakes.plugin import NO_CHANGE, Made, Plugin, PluginError, serving

CASES = (
    "first `up`: networks, containers, images that the daemon has are not pulled",
    "first `up` with cluster: 13 s, k3d's part 10 s",
    "second `up`: no residual diff",
    "`up --refresh`: no residual diff",
    "upload content changes: the container is replaced, nothing else changes",
    "network replaced: a second one of its name is made first, unless the program says otherwise",
    "container removed by hand: seen by a refresh alone, then created again",
    "cluster deleted by hand: seen neither by `up` nor by a refresh",
    "destroy after cluster and container were removed by hand: fine",
    "port taken: the container stays as created, and in the state as failed; then it is replaced",
    "image absent and no registry: an error at once",
    "SIGINT during a command: it is killed at once, and nothing is in the state",
    "SIGKILL of the engine during a command: the command finishes in the background",
    "destroy while a foreign container is on the network: 30 s, then an error",
    "pod created: its trace is readable after about 1 s",
    "provider's host: read at configure, not in the state; a state that has it is used as it is",
    "no daemon answers: every resource fails with the error of Configure, in previews too",
    "`docker context use` is not followed",
    "certificates of the environment are used with each address",
)
NOT_OF_A_PLUGIN = {
    "first `up` with cluster: 13 s, k3d's part 10 s": "k3d's and the node's duration",
    "pod created: its trace is readable after about 1 s": "Jaeger's and the node's duration",
}

NETWORK = "docker:index/network:Network"
IMAGE = "docker:index/remoteImage:RemoteImage"
CONTAINER = "docker:index/container:Container"
COMMAND = "command:local:Command"

LABELS = [{"label": "owner", "value": "me"}]
A_NETWORK: Properties = {"name": "traced-dev", "driver": "bridge", "labels": LABELS}
AN_IMAGE: Properties = {"name": "jaeger:2", "keepLocally": True}
A_CONTAINER: Properties = {
    "name": "traced-dev-jaeger",
    "image": "sha256:2",
    "command": ["--config", "/etc/jaeger/config.yaml"],
    "envs": ["GOMEMLIMIT=409MiB"],
    "labels": LABELS,
    "networksAdvanced": [{"name": "traced-dev", "aliases": ["jaeger"]}],
    "ports": [{"internal": 16686, "external": 16686, "ip": "127.0.0.1"}],
    "uploads": [{"file": "/etc/jaeger/config.yaml", "content": "sampling_percentage: 100"}],
    "user": "10001",
    "capabilities": {"drops": ["ALL"]},
    "securityOpts": ["no-new-privileges:true"],
    "memory": 512,
    "memorySwap": 512,
    "restart": "unless-stopped",
    "logDriver": "json-file",
    "logOpts": {"max-size": "10m", "max-file": "2"},
    "destroyGraceSeconds": 5,
}
NO_DAEMON = (
    "docker native provider returned an unexpected error from Configure:"
    " failed to connect to any docker daemon"
)

proofs: dict[str, set[str]] = {case: set() for case in CASES}


def proves(case: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Mark a test as a proof of one of CASES."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        proofs[case].add(test.__name__)
        return test

    return mark


def test_every_case_has_its_proof_or_concerns_no_plugin() -> None:
    assert {case for case in CASES if not proofs[case]} == NOT_OF_A_PLUGIN.keys()


@pytest.fixture
def commands() -> Iterator[Plugin]:
    with serving(command.make(None)) as plugin:
        plugin.configure()
        yield plugin


def a_command(create: str, **more: Any) -> Properties:
    return {"create": create, "addPreviousOutputInEnv": False, **more}


def stack(docker: Plugin) -> dict[str, tuple[Made, Properties]]:
    """What `up` makes with the docker plugin, with the program's inputs of each."""
    return {
        kind: (docker.create(kind, inputs), inputs)
        for kind, inputs in ((NETWORK, A_NETWORK), (IMAGE, AN_IMAGE), (CONTAINER, A_CONTAINER))
    }


# --- up -------------------------------------------------------------------------------------------


@proves("first `up`: networks, containers, images that the daemon has are not pulled")
def test_a_first_up_makes_everything_in_terraforms_order(
    docker: Plugin, api: FakeDockerApi
) -> None:
    made = stack(docker)
    assert api.calls == [
        "create_network",
        "create_container",
        "disconnect",
        "connect",
        "put_archive /",
        "start",
    ]
    assert made[NETWORK][0].id in api.networks
    assert made[IMAGE][0].id == "sha256:2jaeger:2"
    assert made[IMAGE][0].state["imageId"] == "sha256:2"
    container = api.containers[made[CONTAINER][0].id]
    assert container["State"]["Running"]
    assert container["Networks"].keys() == {"traced-dev"}
    assert container["Networks"]["traced-dev"]["Aliases"] == ["jaeger"]


@proves("first `up`: networks, containers, images that the daemon has are not pulled")
def test_an_image_that_the_daemon_lacks_is_pulled_once(docker: Plugin, api: FakeDockerApi) -> None:
    api.registry["collector:1"] = "sha256:9"
    for _ in range(2):
        made = docker.create(IMAGE, {"name": "collector:1", "keepLocally": True})
        assert made.state["imageId"] == "sha256:9"
    assert api.calls == ["pull"]


@proves("first `up`: networks, containers, images that the daemon has are not pulled")
def test_a_preview_makes_nothing_and_knows_no_output(docker: Plugin, api: FakeDockerApi) -> None:
    assert docker.preview(IMAGE, AN_IMAGE)["imageId"] is UNKNOWN
    assert docker.preview(CONTAINER, A_CONTAINER)["networkDatas"] is UNKNOWN
    assert docker.preview(NETWORK, A_NETWORK) == A_NETWORK
    assert api.calls == []


@proves("second `up`: no residual diff")
def test_a_second_up_has_no_diff(docker: Plugin) -> None:
    for made, inputs in stack(docker).values():
        assert docker.diff(made, inputs) == NO_CHANGE


@proves("`up --refresh`: no residual diff")
def test_a_refresh_changes_nothing_and_leaves_no_diff(docker: Plugin) -> None:
    for made, inputs in stack(docker).values():
        assert docker.refresh(made) == made
        assert docker.diff(made, inputs) == NO_CHANGE


@proves("upload content changes: the container is replaced, nothing else changes")
def test_another_upload_replaces_the_container_alone(docker: Plugin) -> None:
    made = stack(docker)
    upload = {"file": "/etc/jaeger/config.yaml", "content": "sampling_percentage: 50"}
    found = docker.diff(made[CONTAINER][0], A_CONTAINER | {"uploads": [upload]})
    assert found.paths == {"uploads[0].content": "UPDATE_REPLACE"}
    assert found.replaces
    assert found.deletes_first
    for kind in (NETWORK, IMAGE):
        assert docker.diff(*made[kind]) == NO_CHANGE


@proves("upload content changes: the container is replaced, nothing else changes")
def test_an_upload_is_one_readable_file_at_its_path(docker: Plugin, api: FakeDockerApi) -> None:
    made = stack(docker)[CONTAINER][0]
    (archive,) = api.files[made.id]
    with tarfile.open(fileobj=BytesIO(archive)) as uploaded:
        (entry,) = uploaded.getmembers()
        content = uploaded.extractfile(entry)
        assert content is not None
        assert content.read() == b"sampling_percentage: 100"
    assert (entry.name, entry.mode) == ("/etc/jaeger/config.yaml", 0o644)


@proves(
    "network replaced: a second one of its name is made first, unless the program says otherwise"
)
def test_a_replaced_network_is_not_deleted_first_by_the_plugin(
    docker: Plugin, api: FakeDockerApi
) -> None:
    made = docker.create(NETWORK, A_NETWORK)
    changed = A_NETWORK | {"labels": [{"label": "owner", "value": "you"}]}
    found = docker.diff(made, changed)
    assert found.replaces
    assert not found.deletes_first
    docker.create(NETWORK, changed)
    assert [network["Name"] for network in api.networks.values()] == ["traced-dev"] * 2


# --- changes by hand ------------------------------------------------------------------------------


@proves("container removed by hand: seen by a refresh alone, then created again")
def test_a_removed_container_is_seen_by_a_refresh_alone(docker: Plugin, api: FakeDockerApi) -> None:
    made, inputs = stack(docker)[CONTAINER]
    api.containers.clear()
    assert docker.diff(made, inputs) == NO_CHANGE
    assert docker.refresh(made) is None
    assert docker.create(CONTAINER, inputs).id in api.containers


@proves("container removed by hand: seen by a refresh alone, then created again")
def test_a_removed_network_or_image_is_seen_by_a_refresh(
    docker: Plugin, api: FakeDockerApi
) -> None:
    made = stack(docker)
    api.networks.clear()
    api.images.clear()
    assert docker.refresh(made[NETWORK][0]) is None
    assert docker.refresh(made[IMAGE][0]) is None


@proves("container removed by hand: seen by a refresh alone, then created again")
def test_a_stopped_container_is_started_by_the_next_update(
    docker: Plugin, api: FakeDockerApi
) -> None:
    inputs = {key: value for key, value in A_CONTAINER.items() if key != "ports"}
    docker.create(NETWORK, A_NETWORK)
    made = docker.create(CONTAINER, inputs)
    api.stop(made.id, timeout=0)
    stopped = docker.refresh(made)
    assert stopped is not None
    found = docker.diff(stopped, inputs)
    assert (found.paths, found.replaces) == ({"mustRun": "UPDATE"}, False)
    assert docker.diff(docker.update(stopped, inputs), inputs) == NO_CHANGE
    assert api.containers[made.id]["State"]["Running"]


@proves("cluster deleted by hand: seen neither by `up` nor by a refresh")
def test_a_command_is_never_read_back(commands: Plugin, tmp_path: Path) -> None:
    inputs = a_command(f"touch {tmp_path}/cluster", delete=f"rm -f {tmp_path}/cluster")
    made = commands.create(COMMAND, inputs)
    (tmp_path / "cluster").unlink()
    assert commands.refresh(made) == made
    assert commands.diff(made, inputs) == NO_CHANGE


# --- destroy --------------------------------------------------------------------------------------


@proves("destroy after cluster and container were removed by hand: fine")
def test_what_is_gone_can_be_destroyed(
    docker: Plugin, api: FakeDockerApi, commands: Plugin, tmp_path: Path
) -> None:
    made = stack(docker)
    cluster = commands.create(COMMAND, a_command("true", delete=f"rm -f {tmp_path}/cluster"))
    api.containers.clear()
    api.networks.clear()
    for kind in (CONTAINER, NETWORK, IMAGE):
        docker.delete(made[kind][0])
    commands.delete(cluster)
    assert api.images, "other stacks use the image"


@proves("destroy after cluster and container were removed by hand: fine")
def test_a_destroy_stops_gracefully_and_leaves_nothing(docker: Plugin, api: FakeDockerApi) -> None:
    made = stack(docker)
    api.calls.clear()
    for kind in (CONTAINER, NETWORK):
        docker.delete(made[kind][0])
    assert api.calls == [
        "stop 5",
        "remove_container v=True force=True",
        "wait",
        "remove_network",
    ]
    assert not api.containers
    assert not api.networks


@proves("destroy while a foreign container is on the network: 30 s, then an error")
def test_a_network_in_use_is_given_up_after_30_seconds(
    docker: Plugin, api: FakeDockerApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock().drive(monkeypatch, docker_resource)
    network = stack(docker)[NETWORK][0]
    began = clock.now
    with pytest.raises(PluginError) as failed:
        docker.delete(network)
    assert str(failed.value) == (
        f"deleting {network.urn}: 1 error occurred:\n\t* timeout while waiting for state to become"
        " 'removed' (last state: 'pending', timeout: 30s)"
    )
    assert 30 <= clock.now - began < 32
    assert network.id in api.networks


@proves("destroy while a foreign container is on the network: 30 s, then an error")
def test_a_network_goes_once_it_is_free(
    docker: Plugin, api: FakeDockerApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock().drive(monkeypatch, docker_resource)
    clock.while_sleeping = api.containers.clear
    docker.delete(stack(docker)[NETWORK][0])
    assert not api.networks


# --- failures -------------------------------------------------------------------------------------


@proves(
    "port taken: the container stays as created, and in the state as failed; then it is replaced"
)
def test_a_taken_port_leaves_a_failed_container_that_the_next_up_replaces(
    docker: Plugin, api: FakeDockerApi
) -> None:
    docker.create(NETWORK, A_NETWORK)
    api.taken_ports.add(16686)
    with pytest.raises(PluginError) as failed:
        docker.create(CONTAINER, A_CONTAINER)
    assert failed.value.status == "UNKNOWN"
    said = str(failed.value)
    assert "1 error occurred:\n\t* Unable to start container: Error response from daemon:" in said
    assert "driver failed programming external connectivity" in said
    assert "address already in use" in said
    assert failed.value.left is not None
    identity, state = failed.value.left
    assert not api.containers[identity]["State"]["Running"]
    checked = docker.check(CONTAINER, A_CONTAINER)
    left = Made(f"urn:pulumi:dev::traced::{CONTAINER}::x", identity, checked, state)
    found = docker.diff(left, A_CONTAINER)
    assert found.paths == {"entrypoints": "ADD_REPLACE", "networkDatas": "ADD"}
    assert found.replaces
    assert found.deletes_first
    api.taken_ports.clear()
    docker.delete(left)
    assert docker.diff(docker.create(CONTAINER, A_CONTAINER), A_CONTAINER) == NO_CHANGE


@proves("image absent and no registry: an error at once")
def test_an_image_that_cannot_be_pulled_is_an_error_that_leaves_nothing(
    docker: Plugin, api: FakeDockerApi
) -> None:
    with pytest.raises(PluginError) as failed:
        docker.create(IMAGE, {"name": "collector:1", "keepLocally": True})
    said = "Unable to read Docker image into resource: unable to pull image collector:1: "
    assert said in str(failed.value)
    assert failed.value.left is None
    with pytest.raises(PluginError, match="Unable to create container with image sha256:7: "):
        docker.create(CONTAINER, A_CONTAINER | {"image": "sha256:7"})
    assert not api.containers


@proves("SIGINT during a command: it is killed at once, and nothing is in the state")
def test_a_cancelled_command_is_killed_and_leaves_no_state(
    commands: Plugin, tmp_path: Path
) -> None:
    mark = tmp_path / "running"

    def cancel_once_it_runs() -> None:
        while not mark.exists():
            time.sleep(0.01)
        commands.cancel()

    cancel = threading.Thread(target=cancel_once_it_runs)
    cancel.start()
    with pytest.raises(PluginError, match="signal: killed") as failed:
        commands.create(COMMAND, a_command(f"touch {mark}; exec sleep 40"))
    assert failed.value.left is None
    cancel.join()


@proves("SIGKILL of the engine during a command: the command finishes in the background")
def test_a_killed_engine_lets_the_command_finish_and_the_plugin_ends_after_it(
    tmp_path: Path,
) -> None:
    """The engine is a process that starts the plugin and dies; the test calls the plugin."""
    plugin = (
        "from lab.providers import command, server; server.ENGINE_POLL_SECONDS = 0.05;"
        "server.serve(command.make, [])"
    )
    engine = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {plugin!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", engine], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            running, go, done = (tmp_path / name for name in ("running", "go", "done"))
            create = f"touch {running}; while [ ! -e {go} ]; do sleep 0.05; done; touch {done}"
            call = threading.Thread(target=_ignoring_the_end, args=(Plugin(channel), create))
            call.start()
            _until(running.exists)
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(0.3)
            go.touch()
            _until(done.exists)
            call.join()
        # The plugin holds the pipe: its end is the end of the plugin.
        assert process.stdout.read() == ""


def _ignoring_the_end(plugin: Plugin, create: str) -> None:
    with contextlib.suppress(PluginError):  # the plugin's server may go first
        plugin.create(COMMAND, a_command(create))


def _until(happened: Callable[[], bool]) -> None:
    while not happened():
        time.sleep(0.01)


# --- the daemon's address -------------------------------------------------------------------------

HOST = "provider's host: read at configure, not in the state; a state that has it is used as it is"


@proves(HOST)
def test_the_address_is_that_of_the_environment_at_every_configuring(
    docker: Plugin, api: FakeDockerApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert api.address == "unix:///var/run/docker.sock"
    for address in ("unix:///first.sock", "unix:///second.sock"):
        monkeypatch.setenv("DOCKER_HOST", address)
        docker.configure({"version": "5.2.0"})
        assert api.address == address
        assert docker.check_config({"version": "5.2.0"}) == {"version": "5.2.0"}
    monkeypatch.setenv("DOCKER_HOST", "")
    docker.configure()
    assert api.address == "unix:///var/run/docker.sock"
    docker.configure({"host": "unix:///of-the-program.sock"})
    assert api.address == "unix:///of-the-program.sock"


@proves(HOST)
def test_a_host_of_the_state_is_no_change_where_it_is_that_of_the_environment(
    docker: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///lab.sock")
    with_host, without = {"version": "5.2.0", "host": "unix:///lab.sock"}, {"version": "5.2.0"}
    assert not docker.diff_config(with_host, without)
    assert not docker.diff_config(without, without)
    assert docker.diff_config({"host": "unix:///other.sock"}, without)
    assert docker.diff_config(without, {"version": "5.2.1"})


@proves(HOST)
def test_a_stack_that_an_older_stand_in_made_is_refreshed_without_a_diff(
    docker: Plugin, api: FakeDockerApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its provider has a `host`, and its containers know of their networks only the names."""
    made = stack(docker)
    container = made[CONTAINER][0]
    container.state["networkDatas"] = [{"networkName": "traced-dev"}]
    monkeypatch.setenv("DOCKER_HOST", "unix:///lab.sock")
    docker.configure({"version": "5.2.0", "host": "unix:///lab.sock"})
    assert api.address == "unix:///lab.sock"
    for old, inputs in made.values():
        found = docker.refresh(old)
        assert found is not None
        assert docker.diff(found, inputs) == NO_CHANGE


def as_of_the_real_plugin(made: Made) -> Made:
    """The same resource as the real plugin writes it: more outputs, and marks of defaults."""
    marked = [{"__defaults": [], **label} for label in LABELS]
    inputs = made.inputs | {"__defaults": ["restart", "mustRun"], "labels": marked}
    if "ports" in inputs:
        inputs["ports"] = [{"__defaults": ["protocol"], **port} for port in inputs["ports"]]
    more = {
        "__meta": '{"schema_version":"2"}',
        "attach": False,
        "bridge": "",
        "exitCode": 0,
        "init": False,
        "networkMode": "bridge",
        "runtime": "runc",
        "shmSize": 64,
        "stopTimeout": 0,
        "waitTimeout": 60,
        "ipamConfigs": [{"gateway": "172.18.0.1", "subnet": "172.18.0.0/16"}],
        "repoDigest": "jaeger@sha256:3",
    }
    return Made(made.urn, made.id, inputs, more | made.state)


@proves(HOST)
def test_a_stack_that_the_real_plugin_made_is_refreshed_and_destroyed(
    docker: Plugin, api: FakeDockerApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its provider has no `host`."""
    made = stack(docker)
    monkeypatch.setenv("DOCKER_HOST", "unix:///lab.sock")
    docker.configure({"version": "5.2.0"})
    assert api.address == "unix:///lab.sock"
    for kind in (CONTAINER, NETWORK, IMAGE):
        old, inputs = as_of_the_real_plugin(made[kind][0]), made[kind][1]
        found = docker.refresh(old)
        assert found is not None
        assert found.state == old.state, "what the stand-in does not cover stays in the state"
        assert docker.diff(found, inputs) == NO_CHANGE
        assert docker.diff(old, inputs) == NO_CHANGE
        docker.delete(found)
    assert not api.containers
    assert not api.networks


@proves("certificates of the environment are used with each address")
def test_certificates_come_from_the_program_or_the_environment(
    docker: Plugin, api: FakeDockerApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By reading (pulumi-docker 237b789 provider/image.go), tried with Docker's client for Go."""
    with_tls = {"host": "tcp://127.0.0.1:2376"}
    docker.configure(with_tls | {"certPath": "/of/the/program"})
    assert api.certificates == "/of/the/program"
    monkeypatch.setenv("DOCKER_CERT_PATH", "/of/the/shell")
    docker.configure(with_tls)
    assert api.certificates == "/of/the/shell"
    with pytest.raises(PluginError) as failed:
        docker.configure({"host": "unix:///lab.sock"})
    assert str(failed.value) == NO_DAEMON


# --- no daemon ------------------------------------------------------------------------------------


@proves("no daemon answers: every resource fails with the error of Configure, in previews too")
@pytest.mark.parametrize("config", [{}, {"host": "unix:///gone.sock"}])
def test_configure_fails_where_no_daemon_answers(config: Properties) -> None:
    """The engine then fails every resource of the plugin with Configure's error, by itself."""
    api = FakeDockerApi()
    api.down = True
    with serving(docker_types.make(None, api.connect)) as plugin:
        assert plugin.check_config(config) == config, "only Configure fails"
        with pytest.raises(PluginError) as failed:
            plugin.configure(config)
    assert (failed.value.status, str(failed.value)) == ("UNKNOWN", NO_DAEMON)


@proves("no daemon answers: every resource fails with the error of Configure, in previews too")
def test_the_plugins_process_fails_without_a_daemon(tmp_path: Path) -> None:
    """With Docker's SDK itself, on a socket that does not exist."""
    environment = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}
    with subprocess.Popen(
        [sys.executable, "-m", "lab.providers", "docker"],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        with (
            grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel,
            pytest.raises(PluginError) as failed,
        ):
            Plugin(channel).configure()
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    assert str(failed.value) == NO_DAEMON


@proves("no daemon answers: every resource fails with the error of Configure, in previews too")
def test_a_daemon_that_goes_away_later_is_named(docker: Plugin, api: FakeDockerApi) -> None:
    network = docker.create(NETWORK, A_NETWORK)
    api.down = True
    with pytest.raises(
        PluginError, match=r"Cannot connect to the Docker daemon at unix:///var/run/docker.sock"
    ):
        docker.refresh(network)


@proves("`docker context use` is not followed")
def test_the_context_of_dockers_configuration_is_not_read(
    docker: Plugin, api: FakeDockerApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "colima"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    docker.configure()
    assert api.address == "unix:///var/run/docker.sock"


@proves("`docker context use` is not followed")
def test_docker_context_which_the_real_plugin_follows_is_refused(
    docker: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "colima")
    with pytest.raises(PluginError, match="DOCKER_CONTEXT is set to 'colima'"):
        docker.configure()
