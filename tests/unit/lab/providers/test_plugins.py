"""What the stand-ins do with each option, and what they tell the engine, over gRPC."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from docker.errors import APIError
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from lab.providers import VERSIONS, command, docker_resource, docker_specs
from lab.providers.wire import Properties
from tests.fakes.clock import Clock
from tests.fakes.docker_api import FakeDockerApi
from tests.fakes.plugin import NO_CHANGE, Made, Plugin, PluginError, serving

NETWORK = "docker:index/network:Network"
IMAGE = "docker:index/remoteImage:RemoteImage"
CONTAINER = "docker:index/container:Container"
COMMAND = "command:local:Command"
A_CONTAINER: Properties = {"name": "c", "image": "sha256:2", "memory": 512, "memorySwap": 512}


def test_a_plugin_is_of_its_version(docker: Plugin) -> None:
    assert docker.version == VERSIONS["docker"]
    with serving(command.make(None)) as plugin:
        assert plugin.version == VERSIONS["command"]


# --- networks and images --------------------------------------------------------------------------


def test_a_network_has_the_driver_and_the_labels_of_the_program(
    docker: Plugin, api: FakeDockerApi
) -> None:
    labels = [{"label": "a", "value": "1"}]
    made = docker.create(NETWORK, {"name": "n", "driver": "macvlan", "labels": labels})
    assert made.state["driver"] == "macvlan"
    assert api.networks[made.id] == {"Name": "n", "Driver": "macvlan", "Labels": {"a": "1"}}
    assert docker.create(NETWORK, {"name": "n"}).state["driver"] == "bridge"


def test_another_error_of_a_networks_removal_ends_it_at_once(
    docker: Plugin, api: FakeDockerApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock().drive(monkeypatch, docker_resource)
    made = docker.create(NETWORK, {"name": "n"})

    def refuse(identity: str) -> None:
        raise APIError("403 Client Error", explanation="n is a pre-defined network")

    monkeypatch.setattr(api, "remove_network", refuse)
    began = clock.now
    with pytest.raises(PluginError, match="Error response from daemon: n is a pre-defined network"):
        docker.delete(made)
    assert clock.now == began


def test_an_image_that_a_pull_did_not_bring_is_an_error(
    docker: Plugin, api: FakeDockerApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "pull", lambda name: "")
    with pytest.raises(PluginError, match="unable to find or pull image a:1"):
        docker.create(IMAGE, {"name": "a:1", "keepLocally": True})


def test_a_request_may_take_as_long_as_a_pull_and_a_look_a_minute(
    docker: Plugin, api: FakeDockerApi
) -> None:
    docker.create(NETWORK, {"name": "n"})
    assert api.seconds == [60, 1200, 1200]


# --- containers -----------------------------------------------------------------------------------


def test_limits_and_restart_policy_change_in_place(docker: Plugin, api: FakeDockerApi) -> None:
    made = docker.create(CONTAINER, A_CONTAINER)
    changed = A_CONTAINER | {"memory": 600, "memorySwap": 700, "restart": "always"}
    found = docker.diff(made, changed)
    kinds = {"memory": "UPDATE", "memorySwap": "UPDATE", "restart": "UPDATE"}
    assert (found.paths, found.replaces, found.deletes_first) == (kinds, False, False)
    shown = docker.update(made, changed, preview=True).state
    assert shown == made.state | changed
    assert "update" not in api.calls
    updated = docker.update(made, changed)
    host = api.containers[made.id]["HostConfig"]
    assert (host["Memory"], host["MemorySwap"]) == (600 * 1024**2, 700 * 1024**2)
    assert host["RestartPolicy"] == {"Name": "always"}
    assert docker.diff(updated, changed) == NO_CHANGE


def test_an_update_of_what_only_the_plugin_knows_asks_docker_for_nothing(
    docker: Plugin, api: FakeDockerApi
) -> None:
    made = docker.create(CONTAINER, A_CONTAINER)
    api.calls.clear()
    made = docker.update(made, A_CONTAINER | {"destroyGraceSeconds": 9})
    assert api.calls == []
    assert made.state["destroyGraceSeconds"] == 9
    made.state["envs"] = ["PATH=/bin"]  # chosen by the daemon, and read by the real plugin
    made = docker.update(made, A_CONTAINER)
    assert "destroyGraceSeconds" not in made.state
    assert made.state["envs"] == ["PATH=/bin"]


def test_a_container_without_a_network_of_the_stack_stays_on_the_bridge(
    docker: Plugin, api: FakeDockerApi
) -> None:
    made = docker.create(CONTAINER, A_CONTAINER)
    assert made.state["networkDatas"] == [
        {
            "networkName": "bridge",
            "ipAddress": "172.18.0.2",
            "ipPrefixLength": 16,
            "gateway": "172.18.0.1",
            "globalIpv6Address": "",
            "globalIpv6PrefixLength": 0,
            "ipv6Gateway": "",
            "macAddress": "02:42:ac:12:00:02",
        }
    ]
    assert made.state["command"] == []


def test_a_container_that_was_never_on_the_bridge_joins_its_network(
    docker: Plugin, api: FakeDockerApi
) -> None:
    api.on_the_bridge = False
    docker.create(NETWORK, {"name": "n"})
    made = docker.create(CONTAINER, A_CONTAINER | {"networksAdvanced": [{"name": "n"}]})
    assert api.containers[made.id]["Networks"].keys() == {"n"}


def test_a_network_that_is_missing_is_named_and_leaves_a_failed_container(
    docker: Plugin, api: FakeDockerApi
) -> None:
    with pytest.raises(PluginError, match="Unable to connect to network 'n': ") as failed:
        docker.create(CONTAINER, A_CONTAINER | {"networksAdvanced": [{"name": "n"}]})
    assert failed.value.left is not None
    assert failed.value.left[0] in api.containers


def test_an_image_is_read_back_in_the_form_of_the_state(docker: Plugin) -> None:
    for image in ("jaeger:2", "sha256:2"):
        inputs = A_CONTAINER | {"image": image, "name": image.replace(":", "-")}
        made = docker.create(CONTAINER, inputs)
        assert made.state["image"] == image
        assert docker.diff(made, inputs) == NO_CHANGE


def test_no_restart_policy_is_read_as_no(docker: Plugin, api: FakeDockerApi) -> None:
    made = docker.create(CONTAINER, A_CONTAINER)
    api.containers[made.id]["HostConfig"]["RestartPolicy"] = {"Name": ""}
    read = docker.refresh(made)
    assert read is not None
    assert read.state["restart"] == "no"


def test_an_uploaded_file_has_the_time_of_its_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock().drive(monkeypatch, docker_specs)
    archive = docker_specs.upload_archive({"file": "/a", "content": "b"})
    assert archive[136:147] == b"%011o" % int(clock.now)


def test_the_inputs_of_a_refreshed_resource_are_what_was_read(
    docker: Plugin, api: FakeDockerApi
) -> None:
    made = docker.create(CONTAINER, A_CONTAINER)
    api.containers[made.id]["HostConfig"]["Memory"] = 100 * 1024**2
    read = docker.refresh(made)
    assert read is not None
    assert (read.inputs["memory"], read.state["memory"]) == (100, 100)
    assert read.inputs.keys() == made.inputs.keys()


def test_nothing_is_imported(docker: Plugin) -> None:
    unknown = Made(f"urn:pulumi:dev::traced::{NETWORK}::x", "some-id", {}, {})
    with pytest.raises(PluginError, match="cannot import or look up resources"):
        docker.refresh(unknown)


# --- commands -------------------------------------------------------------------------------------


class _Engine(engine_pb2_grpc.EngineServicer):
    def __init__(self) -> None:
        self.logged: list[tuple[str, str, bool, int]] = []

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802  gRPC's name
        self.logged.append((request.urn, request.message, request.ephemeral, request.severity))
        return Empty()


def test_a_commands_output_is_a_passing_line_at_its_resource() -> None:
    engine = _Engine()
    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with serving(command.make(f"127.0.0.1:{port}")) as plugin:
        inputs = {"create": "echo one >&2", "logging": "stderr", "addPreviousOutputInEnv": False}
        made = plugin.create(COMMAND, inputs)
    server.stop(grace=None)
    assert engine.logged == [(made.urn, "one", True, engine_pb2.INFO)]


def test_a_commands_timeout_is_that_of_the_request() -> None:
    with serving(command.make(None)) as plugin:
        inputs = {"create": "exec sleep 40", "addPreviousOutputInEnv": False}
        with pytest.raises(PluginError, match="signal: killed"):
            plugin.create(COMMAND, inputs, seconds=0.2)
