"""The stand-in docker plugin, without engine and daemon: refused inputs, and changes."""

from __future__ import annotations

from typing import Any

import pytest

from lab.providers import docker_specs as specs
from lab.providers import properties, wire
from lab.providers.server import diff_response
from lab.providers.wire import UNKNOWN, Properties

CONTAINER: Properties = {
    "name": "traced-dev-jaeger",
    "image": "sha256:1",
    "command": ["--config", "/etc/jaeger/config.yaml"],
    "envs": ["GOMEMLIMIT=400MiB"],
    "labels": [{"label": "owner", "value": "me"}, {"label": "stack", "value": "dev"}],
    "networksAdvanced": [{"name": "traced-dev", "aliases": ["jaeger"]}],
    "ports": [{"internal": 16686, "external": 16686, "ip": "127.0.0.1"}],
    "uploads": [{"file": "/etc/jaeger/config.yaml", "content": "a: 1"}],
    "user": "10001",
    "capabilities": {"drops": ["ALL"]},
    "securityOpts": ["no-new-privileges:true"],
    "memory": 512,
    "memorySwap": 512,
    "logDriver": "json-file",
    "logOpts": {"max-size": "10m"},
    "destroyGraceSeconds": 5,
}


def inspection(*, running: bool = True, **host: Any) -> Properties:
    """Return what Docker reports of CONTAINER, as far as the plugin reads it."""
    return {
        "Name": "/traced-dev-jaeger",
        "Image": "sha256:1",
        "State": {"Running": running},
        "Config": {
            "Image": "sha256:1",
            "Cmd": ["--config", "/etc/jaeger/config.yaml"],
            "Entrypoint": ["/jaeger"],
            "User": "10001",
            "Labels": {"owner": "me", "stack": "dev", "of-the-image": "1"},
            "Env": ["GOMEMLIMIT=400MiB", "PATH=/bin"],
        },
        "HostConfig": {
            "SecurityOpt": ["no-new-privileges:true"],
            "Memory": 512 * 1024**2,
            "MemorySwap": 512 * 1024**2,
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
            "CapAdd": None,
            "CapDrop": ["ALL"],
            **host,
        },
        "NetworkSettings": {
            "Ports": {"16686/tcp": [{"HostIp": "127.0.0.1", "HostPort": "16686"}], "4317/tcp": None}
            if running
            else {},
            "Networks": {"traced-dev": {"IPAddress": "10.0.0.2"}},
        },
    }


def inputs(**changed: Any) -> Properties:
    return properties.with_defaults(specs.CONTAINER, {**CONTAINER, **changed})


def state(before: Properties | None = None, **inspected: Any) -> Properties:
    known = inputs() if before is None else before
    return properties.settled(
        specs.CONTAINER, known, specs.observed(inspection(**inspected), known)
    )


def diff(old: Properties, new: Properties) -> properties.Changes:
    return properties.diff(specs.CONTAINER, old, new)


def failures(**changed: Any) -> dict[str, str]:
    return dict(properties.check(specs.CONTAINER, {**CONTAINER, **changed}))


def test_a_covered_container_is_accepted() -> None:
    assert failures() == {}


def test_a_property_that_is_not_covered_is_refused_by_name_and_the_covered_ones_are_named() -> None:
    refused = failures(gpus="all", networksAdvanced=[{"name": "n", "gwPriority": 1}])
    assert refused.keys() == {"gpus", "networksAdvanced[0].gwPriority"}
    assert "'gpus'" in refused["gpus"]
    assert "networksAdvanced" in refused["gpus"]


def test_an_output_cannot_be_given() -> None:
    assert "networkDatas" in failures(networkDatas=[])


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ({"memory": "512"}, "memory"),
        ({"memory": True}, "memory"),
        ({"envs": "A=1"}, "envs"),
        ({"ports": [{"external": 1}]}, "ports[0].internal"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(changed: Properties, refused: str) -> None:
    assert list(failures(**changed)) == [refused]


def test_a_missing_required_property_is_refused() -> None:
    assert [name for name, _reason in properties.check(specs.CONTAINER, {"name": "x"})] == ["image"]


def test_an_image_is_covered_as_one_that_stays() -> None:
    def refused(**given: Any) -> list[str]:
        return [name for name, _ in properties.check(specs.REMOTE_IMAGE, {"name": "a:1", **given})]

    assert refused(keepLocally=True) == []
    assert refused() == refused(keepLocally=False) == ["keepLocally"]


def test_unknown_inputs_pass_the_check_and_show_as_a_replacement() -> None:
    new = inputs(image=UNKNOWN)
    assert failures(image=UNKNOWN, ports=UNKNOWN, envs=[UNKNOWN]) == {}
    assert diff(state(), new) == {"image": ("UPDATE", True)}


def test_defaults_are_those_of_the_real_plugin() -> None:
    filled = inputs()
    assert filled["mustRun"] is True
    assert filled["restart"] == "no"
    assert filled["ports"][0]["protocol"] == "tcp"


def test_what_was_just_created_has_no_change_to_make() -> None:
    assert diff(state(), inputs()) == {}


def test_a_refresh_of_what_did_not_change_changes_neither_state_nor_order() -> None:
    known = inputs(capabilities={"drops": ["B", "A"]})
    first = state(known, CapDrop=["A", "B"])
    assert first["capabilities"] == {"drops": ["B", "A"]}
    assert state(first, CapDrop=["A", "B"]) == first


def test_labels_environment_and_networks_are_not_read_back() -> None:
    read = state()
    assert read["labels"] == CONTAINER["labels"]
    assert read["envs"] == CONTAINER["envs"]
    assert read["networksAdvanced"] == CONTAINER["networksAdvanced"]


@pytest.mark.parametrize(
    ("changed", "path", "change", "replaces"),
    [
        ({"image": "sha256:2"}, "image", "UPDATE", True),
        (
            {"uploads": [{"file": "/etc/jaeger/config.yaml", "content": "a: 2"}]},
            "uploads[0].content",
            "UPDATE",
            True,
        ),
        ({"labels": CONTAINER["labels"][:1]}, "labels[0]", "DELETE", True),
        ({"logOpts": {"max-size": "20m"}}, 'logOpts["max-size"]', "UPDATE", True),
        ({"memory": 600}, "memory", "UPDATE", False),
        ({"restart": "always"}, "restart", "UPDATE", False),
        ({"destroyGraceSeconds": 9}, "destroyGraceSeconds", "UPDATE", False),
        ({"envs": ["GOMEMLIMIT=1MiB"]}, "envs[0]", "UPDATE", True),
    ],
)
def test_a_change_replaces_only_where_the_real_plugin_replaces(
    changed: Properties, path: str, change: properties.Change, replaces: bool
) -> None:
    assert diff(state(), inputs(**changed)) == {path: (change, replaces)}


def test_the_order_of_a_set_is_no_change_and_that_of_a_list_is() -> None:
    assert diff(state(), inputs(labels=CONTAINER["labels"][::-1])) == {}
    assert diff(state(), inputs(command=CONTAINER["command"][::-1])) != {}


def test_an_omitted_property_that_docker_chose_is_no_change() -> None:
    without = inputs()
    del without["command"], without["user"]
    assert diff(state(), without) == {}


def test_memory_alone_never_settles_as_docker_chooses_the_swap() -> None:
    alone = inputs()
    del alone["memorySwap"]
    read = state(alone, MemorySwap=1024 * 1024**2)
    assert diff(read, alone) == {"memorySwap": ("DELETE", False)}


def test_a_create_that_failed_is_replaced_for_what_it_never_read() -> None:
    left = inputs()  # a failed create keeps its inputs as its state
    assert diff(left, inputs()) == {
        "entrypoints": ("ADD", True),
        "networkDatas": ("ADD", False),
    }


def test_a_stopped_container_must_run_again_and_its_ports_are_gone() -> None:
    read = state(state(), running=False)
    assert read["mustRun"] is False
    assert diff(read, inputs()) == {"mustRun": ("UPDATE", False), "ports[0]": ("ADD", True)}


def test_a_container_that_may_stand_still_keeps_its_ports_when_stopped() -> None:
    known = inputs(mustRun=False)
    assert diff(state(known, running=False), known) == {}


def test_ports_are_read_in_the_order_of_the_containers_ports() -> None:
    container = inspection()
    container["NetworkSettings"]["Ports"] = {
        "8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": "1"}],
        "4317/tcp": [{"HostIp": "127.0.0.1", "HostPort": "2"}],
    }
    read = specs.observed(container, inputs())
    assert [port["internal"] for port in read["ports"]] == [4317, 8888]


def test_a_port_that_docker_chose_is_read_and_is_no_change() -> None:
    known = inputs(ports=[{"internal": 16686, "ip": "127.0.0.1"}])
    read = state(known)
    assert read["ports"][0]["external"] == 16686
    assert diff(read, known) == {}


def test_a_named_volume_is_mounted_as_the_real_plugin_mounts_it() -> None:
    mounted = inputs(volumes=[{"volumeName": "traces", "containerPath": "/data"}])
    request = specs.create_request(mounted)
    assert request["Volumes"] == {"/data": {}}
    assert request["HostConfig"]["Binds"] == ["traces:/data:rw"]
    assert diff(state(mounted), mounted) == {}, "it is never read back"
    assert diff(state(mounted), inputs()) == {"volumes": ("DELETE", True)}


def test_the_create_request_is_what_docker_expects() -> None:
    assert specs.create_request(inputs(capabilities={"adds": ["CAP_CHOWN"], "drops": ["ALL"]})) == {
        "Image": "sha256:1",
        "Labels": {"owner": "me", "stack": "dev"},
        "Cmd": CONTAINER["command"],
        "User": "10001",
        "Env": ["GOMEMLIMIT=400MiB"],
        "ExposedPorts": {"16686/tcp": {}},
        "HostConfig": {
            "Init": False,
            "NetworkMode": "bridge",
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
            "RestartPolicy": {"Name": "no"},
            "CapAdd": ["CAP_CHOWN"],
            "CapDrop": ["ALL"],
            "PortBindings": {"16686/tcp": [{"HostIp": "127.0.0.1", "HostPort": "16686"}]},
            "SecurityOpt": ["no-new-privileges:true"],
            "Memory": 512 * 1024**2,
            "MemorySwap": 512 * 1024**2,
        },
    }
    assert specs.create_request(inputs(memorySwap=-1))["HostConfig"]["MemorySwap"] == -1


def test_the_engine_is_told_what_replaces_and_that_it_is_deleted_first() -> None:
    response = diff_response(
        {"uploads[0].content": ("UPDATE", True), "memory": ("ADD", False)}, True
    )
    assert list(response.replaces) == ["uploads"]
    assert list(response.diffs) == ["memory", "uploads"]
    assert response.deleteBeforeReplace
    kinds = {path: change.kind for path, change in response.detailedDiff.items()}
    assert kinds == {"uploads[0].content": 5, "memory": 0}
    assert not diff_response({"memory": ("UPDATE", False)}, True).deleteBeforeReplace


def test_every_input_of_a_network_replaces_it() -> None:
    old = {"name": "n", "labels": [{"label": "a", "value": "1"}], "driver": "bridge"}
    new = {"name": "m", "labels": [{"label": "a", "value": "2"}]}
    assert properties.diff(specs.NETWORK, old, new) == {
        "name": ("UPDATE", True),
        "labels[0].value": ("UPDATE", True),
    }


def test_another_name_is_another_image() -> None:
    old = {"name": "a:1", "keepLocally": True, "imageId": "sha256:1"}
    new = {"name": "a:2", "keepLocally": True}
    assert properties.diff(specs.REMOTE_IMAGE, old, new) == {"name": ("UPDATE", True)}


def test_properties_survive_the_wire() -> None:
    bag = {"a": [1, {"b": UNKNOWN, "c": ""}], "d": True, "e": {"f": 1.5}, "g": []}
    assert wire.read(wire.write({**bag, "null": None})) == bag
