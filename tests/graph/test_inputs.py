"""Every input of every resource of a developer's stack, one table for each kind of resource."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components import _commands, _orphans
from runtime_observability.core import compatibility, documents, support
from runtime_observability.core.naming import SPEC_LABEL, Names
from runtime_observability.core.observation import Observation, Record
from runtime_observability.core.transition import content, identity
from tests.configuration import PROJECT, parsed, spec_of
from tests.graph.program import COMMAND, CONTAINER, ENVIRONMENT, IMAGE, NETWORK, Run, run

NAMES = Names("dev", PROJECT)
DAEMON = {"DOCKER_HOST": "unix:///docker.sock"}
NETWORK_ID = f"id-of-{ENVIRONMENT}-network-network"


@pytest.fixture(scope="module")
def stack() -> Run:
    """The default stack."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", DAEMON["DOCKER_HOST"])
        return run()


def inputs(stack: Run, kind: str) -> dict[str, dict[str, Any]]:
    """The inputs of all resources of ``kind``; not what Commands read on stdin."""
    return {
        resource.name: {key: value for key, value in resource.inputs.items() if key != "stdin"}
        for resource in stack.of_type(kind)
    }


# --- networks, images and containers --------------------------------------------------------------


def labels(**more: str) -> list[dict[str, str]]:
    """Labels as the provider takes them: the owner's, then ``more`` by the last part of the key."""
    added = {f"runtime-observability.{key}": value for key, value in more.items()}
    return [{"label": key, "value": value} for key, value in (NAMES.labels | added).items()]


def test_the_network_is_a_bridge_of_its_owner(stack: Run) -> None:
    assert inputs(stack, NETWORK) == {
        "network-network": {"name": "traced-dev", "driver": "bridge", "labels": labels()}
    }


def test_these_images_are_pulled_and_stay(stack: Run) -> None:
    assert inputs(stack, IMAGE) == {
        f"{backend}-image": {"name": image, "keepLocally": True}
        for backend, image in (
            ("jaeger", f"docker.io/jaegertracing/jaeger:{support.DEFAULT_JAEGER}"),
            ("collector", f"docker.io/otel/opentelemetry-collector:{support.DEFAULT_COLLECTOR}"),
        )
    }


IN_EVERY_CONTAINER = {
    "labels": labels(network=NETWORK_ID),
    "user": "10001",
    "capabilities": {"drops": ["ALL"]},
    "securityOpts": ["no-new-privileges:true"],
    "restart": "unless-stopped",
    "logDriver": "json-file",
    "logOpts": {"max-size": "10m", "max-file": "2"},
    "destroyGraceSeconds": 5,
}


def published(*ports: int) -> list[dict[str, Any]]:
    return [{"internal": port, "external": port, "ip": "127.0.0.1"} for port in ports]


IN_ONE_CONTAINER = {
    "jaeger-container": {
        "name": "traced-dev-jaeger",
        "command": ["--config", "/etc/jaeger/config.yaml"],
        "envs": ["GOMEMLIMIT=819MiB"],
        "networksAdvanced": [{"name": "traced-dev", "aliases": ["jaeger"]}],
        "ports": published(16686),
        "memory": 1024,
        "memorySwap": 1024,
    },
    "collector-container": {
        "name": "traced-dev-collector",
        "command": ["--config", "/etc/otelcol/config.yaml"],
        "envs": ["GOMEMLIMIT=204MiB"],
        "networksAdvanced": [{"name": "traced-dev", "aliases": ["otel-collector"]}],
        "ports": published(4317, 4318, 8888, 13133),
        "memory": 256,
        "memorySwap": 256,
    },
}


@pytest.mark.parametrize("container", IN_ONE_CONTAINER)
def test_a_container_has_these_inputs_and_no_other(stack: Run, container: str) -> None:
    found = dict(stack[container].inputs)
    (upload,) = found.pop("uploads")
    assert upload.keys() == {"file", "content"}
    assert upload["file"] == found["command"][1]
    assert found.pop("image").startswith("sha256:")
    spec = [label for label in found["labels"] if label["label"] == SPEC_LABEL]
    assert len(spec) == (container == "jaeger-container"), "whose change costs the traces in it"
    found["labels"] = [label for label in found["labels"] if label not in spec]
    assert found == IN_EVERY_CONTAINER | IN_ONE_CONTAINER[container]


def test_swap_is_limited_where_the_daemon_can_limit_it() -> None:
    """Docker discards the limit elsewhere: it would be read back as unlimited, and as a change."""
    unlimited = run(observed=Observation(generation=7, limits_swap=False))
    swap = {container.inputs["memorySwap"] for container in unlimited.of_type(CONTAINER)}
    assert swap == {-1}


def test_ports_are_in_the_containers_order_whatever_the_machines() -> None:
    """The provider reads them back in that order: any other would show as a change."""
    swapped = run({"otlpGrpcPort": 30002, "otlpHttpPort": 30001, "collectorHealthPort": 30000})
    ports = swapped["collector-container"].inputs["ports"]
    assert [(port["internal"], port["external"]) for port in ports] == [
        (4317, 30002),
        (4318, 30001),
        (8888, 8888),
        (13133, 30000),
    ]


def test_only_an_orphan_of_the_stacks_owner_goes_before_a_create(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hooked: list[tuple[str, ...]] = []
    for kind in ("no_container", "no_network"):
        made = getattr(_orphans, kind)

        def recording(*about: str, made: Any = made) -> Any:
            hooked.append(about)
            return made(*about)

        monkeypatch.setattr(_orphans, kind, recording)
    containers = [
        (NAMES.jaeger, NAMES.owner, str(NAMES.directory / "jaeger.id")),
        (NAMES.collector, NAMES.owner, ""),
    ]
    run()
    assert sorted(hooked) == sorted([*containers, (NAMES.network, NAMES.owner, NAMES.cluster)])
    hooked.clear()
    spec = spec_of(NAMES, parsed())
    begun = Record(1, False, identity(spec), spec.document, (), never_complete=True)
    run(observed=Observation(generation=1, record=begun))
    assert (NAMES.network, NAMES.owner, "") in hooked, "what was never complete has no workloads"


# --- commands -------------------------------------------------------------------------------------

LOGGED = {"addPreviousOutputInEnv": False, "logging": "stderr"}
NO_CLUSTER = """\
unset -f docker; nodes=$(docker ps -aq --filter "label=k3d.cluster=$CLUSTER") && [ -z "$nodes" ]\
 && printf '{"digest": "%s"}' "$DIGEST"\
"""
CLUSTER = {
    "OWNER": NAMES.owner,
    "CLUSTER": "traced-dev",
    "DIRECTORY": str(NAMES.directory),
}
CLAIM = json.dumps(
    {"folder": str(PROJECT), "pulumiStack": "organization/runtime-observability/dev"}
)


def python(
    module: str, triggers: list[Any], before: str = "", **environment: str
) -> dict[str, Any]:
    return LOGGED | {
        "create": f'{before}exec "$PYTHON" -m {module}',
        "dir": str(PROJECT),
        "environment": {"PYTHON": _commands.interpreter(), **environment, **DAEMON},
        "triggers": triggers,
    }


def guard(
    scripts: list[str], triggers: list[Any], environment: dict[str, str], create: str = ""
) -> dict[str, Any]:
    made = {"CREATE": _commands.in_turn([create])} if create else {}
    deleted = {"DELETE": _commands.in_turn(scripts)}
    return LOGGED | {
        "create": 'eval "$CREATE"' if create else "true",
        "delete": 'eval "$DELETE"',
        "environment": environment | made | deleted | DAEMON,
        "triggers": triggers,
    }


def file(name: str) -> dict[str, Any]:
    folder = str(NAMES.node_directory)
    environment = {"DIRECTORY": folder, "FILE": name, "GENERATION": "7"}
    return guard(["remove_file.sh"], [f"{folder}/{name}"], environment, "write_file.sh")


def test_a_command_has_these_inputs_and_no_other(stack: Run) -> None:
    host = "runtime_observability.host"
    containers = {
        backend: f"id-of-{ENVIRONMENT}-{backend}-container" for backend in ("jaeger", "collector")
    }
    assert inputs(stack, COMMAND) == {
        "stack-sweep": guard(
            ["refuse_alone.sh", "sweep_rehearsal.sh", "sweep_cluster.sh", "sweep_stack.sh"],
            [],
            {"NETWORK": "", "DIGEST": "", "KEPT_ELSEWHERE": ""}
            | CLUSTER
            | {
                "STACK": "dev",
                "REHEARSAL": NAMES.rehearsal,
                "CLAIM": CLAIM,
                "KEPT_VOLUMES": f"{NAMES.traces} {NAMES.open_search_traces}",
            },
            "claim_stack.sh",
        ),
        "network-detach": guard(
            ["refuse_alone.sh", "detach_network.sh"],
            [NETWORK_ID],
            {"OWNER": NAMES.owner, "NETWORK": "traced-dev"},
        ),
        "node-image-build": python(f"{host}.build_node_image", [], GENERATION="7"),
        "files-apiserver-tracing.yaml": file("apiserver-tracing.yaml"),
        "files-kubelet-tracing.yaml": file("kubelet-tracing.yaml"),
        "jaeger-ready": python(f"{host}.readiness", [containers["jaeger"]]),
        "collector-ready": python(f"{host}.readiness", [containers["collector"]]),
        "rehearsal-run": python(
            f"{host}.rehearse",
            [],
            'if eval "$UNLESS"; then exit 0; fi; ',
            UNLESS=NO_CLUSTER,
            CLUSTER="traced-dev",
            DIGEST=identity(spec_of(NAMES, parsed())),
        ),
        "cluster-guard-sweep": guard(
            ["refuse_kept.sh", "sweep_cluster.sh"],
            [identity(spec_of(NAMES, parsed())), "traced-dev"],
            CLUSTER | {"DIGEST": identity(spec_of(NAMES, parsed()))},
        ),
        "cluster-guard-hold": guard(
            ["refuse_connected.sh"],
            [NETWORK_ID],
            CLUSTER | {"NETWORK": NETWORK_ID, "NOTE": "cluster.kept"},
        ),
        "cluster-guard-keep": guard(
            ["release_cluster.sh"],
            [],
            {
                "DIRECTORY": str(NAMES.directory),
                "DIGEST": identity(spec_of(NAMES, parsed())),
                "GENERATION": "7",
                "NOTE": "cluster.kept",
            },
            "keep_cluster.sh",
        ),
        "backends-guard-hold": guard(
            ["refuse_connected.sh"],
            [NETWORK_ID],
            CLUSTER | {"NETWORK": NETWORK_ID, "NOTE": "backends.kept"},
        ),
        "backends-guard-release": guard(
            ["release_cluster.sh"],
            [],
            {"DIRECTORY": str(NAMES.directory), "NOTE": "backends.kept"},
        ),
        "backends-guard-keep": guard(
            ["release_cluster.sh"],
            [],
            {
                "DIRECTORY": str(NAMES.directory),
                "DIGEST": "",
                "GENERATION": "7",
                "NOTE": "backends.kept",
            },
            "keep_cluster.sh",
        ),
        "cluster-ensure": python(
            f"{host}.ensure", [f"id-of-{ENVIRONMENT}-cluster-guard-sweep"], GENERATION="7"
        ),
        "probe-run": python(
            "ktrace.pipeline.probe",
            [*containers.values(), "container-id-of-server-0", 7],
            CONTENT=content(spec_of(NAMES, parsed())),
        ),
    }


def test_a_command_reads_these_documents(stack: Run) -> None:
    spec = spec_of(NAMES, parsed())
    folder = str(NAMES.directory)
    found = {
        name: stack[name].stdin
        for name in (
            "jaeger-ready",
            "collector-ready",
            "rehearsal-run",
            "cluster-ensure",
            "probe-run",
        )
    }
    assert found == {
        "jaeger-ready": {
            "container": "traced-dev-jaeger",
            "url": "http://127.0.0.1:16686/api/services",
            "note": f"{folder}/jaeger.id",
            "seconds": 60,
        },
        "collector-ready": {
            "container": "traced-dev-collector",
            "url": "http://127.0.0.1:13133/",
            "seconds": 60,
        },
        "cluster-ensure": {
            "stack": "dev",
            "folder": str(PROJECT),
            "stateFolder": str(NAMES.state_folder),
            "spec": spec.document,
            "digest": identity(spec),
        },
        "rehearsal-run": {
            "stack": "dev",
            "folder": str(PROJECT),
            "stateFolder": str(NAMES.state_folder),
            "spec": spec.document,
            "digest": identity(spec),
            "files": documents.node_files(parsed(), cgroup_v1=False),
            "on": True,
        },
        "probe-run": {
            "jaegerUrl": "http://127.0.0.1:16686",
            "kubeconfig": f"{folder}/kubeconfig",
            "image": compatibility.SANDBOX_IMAGE.at(support.DEFAULT_K3S),
            "seconds": 60,
            "demanded": ["apiserver", "kubelet", "containerd"],
            "expected": [],
            "k3sVersion": f"v{support.DEFAULT_K3S}",
            "report": f"{folder}/probe.json",
            "metricsUrl": "",
            "destinations": [],
            "stack": {},
        },
    }


def test_the_order_of_a_spec_in_python_is_no_change_of_the_cluster(stack: Run) -> None:
    """Pulumi compares the text: it must be the same in whatever order the values are computed."""
    text = stack["cluster-ensure"].inputs["stdin"]
    assert text == json.dumps(json.loads(text), sort_keys=True)
