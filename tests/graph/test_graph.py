"""The graph: parents, order, replacements, and the restrictions of the containers."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import pytest
import yaml

from components import _commands
from runtime_observability.core import compatibility, documents, naming, support
from runtime_observability.core.naming import Names
from runtime_observability.core.node_image import UpstreamImage
from runtime_observability.core.observation import Observation, Record
from runtime_observability.core.transition import identity
from runtime_observability.host import runner
from tests.configuration import PROJECT, of_stack_file, parsed, spec_of
from tests.graph.program import (
    COMMAND,
    CONTAINER,
    DOCKER_PROVIDER,
    ENVIRONMENT,
    IMAGE,
    NETWORK,
    Resource,
    Run,
    run,
)

NAMES = Names("dev", PROJECT)
SERVER = NAMES.node("server", 0)
COMPONENTS = [
    "BackendsGuard",
    "TracedEnvironment",
    "StackGuard",
    "StackNetwork",
    "ConfigFiles",
    "NodeImage",
    "Jaeger",
    "Collector",
    "ClusterRehearsal",
    "ClusterGuard",
    "TracedCluster",
    "TraceProbe",
]


# --- shape ----------------------------------------------------------------------------------------


def test_these_are_the_components(default: Run) -> None:
    found = [
        resource.type.rpartition(":")[2] for resource in default.resources if not resource.custom
    ]
    assert sorted(found) == sorted(COMPONENTS)


def test_every_resource_belongs_to_a_component(any_run: Run) -> None:
    components = {resource.urn for resource in any_run.resources if not resource.custom}
    (environment,) = (resource for resource in any_run.resources if resource.name == ENVIRONMENT)
    assert "pulumi:pulumi:Stack" in environment.parent
    for resource in any_run.resources:
        if resource.type == DOCKER_PROVIDER:  # of all Docker's resources below the environment
            assert resource.parent == environment.urn
        elif resource.custom:
            assert resource.parent in components - {environment.urn}
        elif resource is not environment:
            assert resource.parent == environment.urn


def test_children_are_named_after_their_component(any_run: Run) -> None:
    by_urn = {resource.urn: resource for resource in any_run.resources}
    for resource in any_run.custom:
        assert resource.name.startswith(f"{by_urn[resource.parent].name}-")


def test_urns_are_unique(any_run: Run) -> None:
    urns = [resource.urn for resource in any_run.resources]
    assert len(urns) == len(set(urns))


def test_only_these_types_are_used(any_run: Run) -> None:
    assert {resource.type for resource in any_run.custom} == {COMMAND, CONTAINER, IMAGE, NETWORK}


def test_everything_is_deleted_before_its_replacement(any_run: Run) -> None:
    """Names, ports and clusters cannot exist twice. Images can: the next one comes first.

    With the rehearsal, were it deleted first, the cluster's guard would go.
    """
    kept = {resource.name for resource in any_run.custom if not resource.delete_before_replace}
    images = {resource.name for resource in any_run.of_type(IMAGE)}
    assert kept - images == {"rehearsal-run"}
    assert images <= kept


def test_an_orphan_is_in_the_way_of_no_name(default: Run) -> None:
    hooks = {
        resource.inputs["name"]: resource.before_create
        for resource in (*default.of_type(CONTAINER), *default.of_type(NETWORK))
    }
    assert {name: calls[0] for name, calls in hooks.items()} == {
        name: f"remove-orphaned-{name}"
        for name in ("traced-dev", "traced-dev-jaeger", "traced-dev-collector")
    }


def test_the_preview_tells_what_a_jaeger_with_traces_in_memory_loses(default: Run) -> None:
    hooks = {found.name: found.before_create for found in default.of_type(CONTAINER)}
    told = {name for name, calls in hooks.items() if "tell-the-loss-of-traced-dev-jaeger" in calls}
    assert told == {"jaeger-container"}


def test_a_container_frees_its_ports_before_it_is_created(any_run: Run) -> None:
    """Another one of the stack may have them, and be replaced later in the same up."""
    for container in any_run.of_type(CONTAINER):
        assert f"free-ports-of-{container.inputs['name']}" in container.before_create


def test_every_image_is_pulled_by_docker_first(any_run: Run) -> None:
    """The provider does not know the logins of the docker command."""
    for image in any_run.of_type(IMAGE):
        assert image.before_create == (f"pull-{ENVIRONMENT}-{image.name}",)


def test_the_first_resource_looks_for_another_name_in_the_state(any_run: Run) -> None:
    hooks = {resource.name: resource.before_update for resource in any_run.custom}
    stack = any_run["stack-sweep"].environment["STACK"]
    assert hooks.pop("stack-sweep") == (f"refuse-rename-to-{stack}",)
    cluster = any_run["stack-sweep"].environment["CLUSTER"]
    assert any_run["stack-sweep"].before_create == (f"find-the-state-of-{cluster}",)
    assert set(hooks.values()) == {()}


# --- order ----------------------------------------------------------------------------------------


def test_the_stack_guard_is_first_in_and_last_out(any_run: Run) -> None:
    """But for images, which are no stack's own: a destroy keeps them."""
    assert any_run.before("stack-sweep") == set()
    images = {"node-image-build", *(image.name for image in any_run.of_type(IMAGE))}
    for name in set(any_run.names) - images - {"stack-sweep"}:
        assert "stack-sweep" in any_run.before(name), name


@pytest.mark.parametrize(
    ("name", "waits_for"),
    [
        ("jaeger-container", {"network-network", "jaeger-image"}),
        ("collector-container", {"network-network", "collector-image"}),
        (
            "cluster-guard-sweep",
            {
                "network-detach",
                "files-apiserver-tracing.yaml",
                "files-kubelet-tracing.yaml",
            },
        ),
        ("cluster-ensure", {"cluster-guard-sweep", "jaeger-image", "collector-image"}),
        ("probe-run", {"cluster-ensure", "jaeger-ready", "collector-ready"}),
    ],
)
def test_what_waits_for_what(any_run: Run, name: str, waits_for: set[str]) -> None:
    assert waits_for <= any_run.before(name)


def test_the_nodes_boot_beside_jaeger_and_the_collector(any_run: Run) -> None:
    containers = {"jaeger-container", "collector-container"}
    assert containers.isdisjoint(any_run.before("cluster-ensure"))
    assert containers.isdisjoint(any_run.before("cluster-guard-sweep"))
    assert {"jaeger-container", "cluster-guard-sweep"}.isdisjoint(
        any_run.before("collector-container")
    )


def test_a_port_that_one_takes_from_another_puts_them_in_order() -> None:
    settings = parsed()
    spec = spec_of(NAMES, settings)
    record = Record(1, True, identity(spec), spec.document, (SERVER,))
    before = Observation(
        generation=1,
        record=record,
        held_ports={
            SERVER: frozenset({settings.kube_api_port}),
            NAMES.collector: frozenset({settings.otlp_grpc_port}),
        },
    )
    grpc, api = settings.otlp_grpc_port, settings.kube_api_port
    unmoved = run(observed=before)
    assert "collector-container" not in unmoved.before("cluster-ensure")
    cluster_takes = run({"kubeApiPort": grpc, "otlpGrpcPort": 20_000}, observed=before)
    assert {"collector-ready", "jaeger-ready"} <= cluster_takes.before("cluster-ensure")
    collector_takes = run({"otlpGrpcPort": api, "kubeApiPort": 20_000}, observed=before)
    assert "cluster-guard-sweep" in collector_takes.before("collector-container")
    assert "collector-container" not in collector_takes.before("cluster-ensure")
    swapped = run({"otlpGrpcPort": api, "kubeApiPort": grpc}, observed=before)
    assert "cluster-guard-sweep" in swapped.before("collector-container")
    assert "collector-ready" in swapped.before("cluster-ensure")


def test_servers_that_have_addresses_start_after_those_that_could_take_them() -> None:
    spec = spec_of(NAMES, parsed(servers=3))
    record = Record(1, True, identity(spec), spec.document, (SERVER,))
    for addresses, in_order in (({}, False), ({SERVER: "172.20.0.4"}, True)):
        observed = Observation(generation=1, record=replace(record, addresses=addresses))
        before = run({"servers": 3}, observed=observed).before("cluster-ensure")
        assert ({"collector-ready", "jaeger-ready"} <= before) is in_order


def test_the_old_cluster_stands_until_the_new_image_is_there(default: Run, lab: Run) -> None:
    for name in ("cluster-guard-sweep", "files-kubelet-tracing.yaml"):
        assert "node-image-image" in lab.before(name)
    image = lab["node-image-image"].inputs
    assert image["name"] == lab["cluster-ensure"].stdin["spec"]["k3d"]["image"]
    assert image["keepLocally"], "other stacks use it too"
    assert "node-image-build" in default.before("cluster-guard-sweep")
    built = default["node-image-build"].stdin
    upstream = UpstreamImage(**built)
    assert upstream.tag == default["cluster-ensure"].stdin["spec"]["k3d"]["image"]
    assert upstream.base == f"docker.io/rancher/k3s:v{support.DEFAULT_K3S}"


def test_the_article_and_the_lab_build_no_image(lab: Run) -> None:
    for stack in (lab, run(of_stack_file("article"))):
        assert "node-image-build" not in stack.names


def test_jaeger_v1_is_configured_by_its_environment() -> None:
    container = run({"jaegerVersion": "1.45.0"})["jaeger-container"].inputs
    assert "command" not in container
    assert not container.get("uploads")
    assert "COLLECTOR_OTLP_ENABLED=true" in container["envs"]
    assert any(variable.startswith("GOMEMLIMIT=") for variable in container["envs"])


def test_all_nodes_start_after_every_file_is_written(any_run: Run) -> None:
    written = {
        resource.environment["FILE"] for resource in any_run.custom if "FILE" in env(resource)
    }
    stdin = any_run["cluster-ensure"].stdin
    assert (
        written
        == stdin["spec"]["files"].keys()
        == {
            documents.APISERVER_FILE,
            documents.KUBELET_FILE,
        }
    )


def env(resource: Resource) -> dict[str, Any]:
    found: dict[str, Any] = resource.inputs.get("environment", {})
    return found


def test_what_keeps_the_cluster_goes_in_a_destroy_and_stays_in_a_replacement(
    any_run: Run,
) -> None:
    """The engine replaces what has a property of a replaced resource; a destroy begins with what
    depends on a resource in any way."""
    keep, guard = any_run["cluster-guard-keep"], any_run["cluster-guard-sweep"]
    hold = any_run["cluster-guard-hold"]
    assert hold.urn in keep.dependencies
    assert guard.urn in hold.dependencies
    assert not any(guard.urn in urns for urns in keep.property_dependencies.values())
    assert "cluster-guard-keep" in any_run.before("cluster-ensure")


def test_jaeger_stays_where_a_network_is_not_replaced(any_run: Run) -> None:
    """What refuses is deleted before the containers in any order of the state, and in a destroy
    after the note."""
    keep, hold = any_run["backends-guard-keep"], any_run["backends-guard-hold"]
    release = any_run["backends-guard-release"]
    assert {"jaeger-container", "collector-container"} <= any_run.before("backends-guard-hold")
    assert any_run["network-network"].urn in hold.property_dependencies["triggers"]
    assert hold.urn in release.dependencies
    assert release.urn in keep.dependencies, "a run killed while it is made leaves a note for good"
    assert deletes(release) == deletes(keep)
    replaced = {any_run[name].urn for name in ("network-network", "backends-guard-hold")}
    for stays in (keep, release):
        assert all(replaced.isdisjoint(urns) for urns in stays.property_dependencies.values())


@pytest.mark.parametrize(
    ("name", "key", "sources"),
    [
        # Replacing a network replaces everything that is attached to it (pulumi v3.259.0
        # pkg/resource/deploy/step_generator.go follows properties, not depends_on).
        ("network-detach", "triggers", {"network-network"}),
        ("jaeger-container", "networksAdvanced", {"network-network"}),
        ("collector-container", "networksAdvanced", {"network-network"}),
        # The nodes are connected to another network instead.
        ("cluster-guard-sweep", "triggers", {"rehearsal-run"}),
        ("cluster-guard-hold", "triggers", {"network-network"}),
        ("cluster-ensure", "triggers", {"cluster-guard-sweep"}),
        # A new container must become ready, and be traced, again.
        ("jaeger-ready", "triggers", {"jaeger-container"}),
        ("collector-ready", "triggers", {"collector-container"}),
        ("probe-run", "triggers", {"jaeger-container", "collector-container", "cluster-ensure"}),
    ],
)
def test_what_is_replaced_with_what(default: Run, name: str, key: str, sources: set[str]) -> None:
    urns = default[name].property_dependencies[key]
    assert {resource.name for resource in default.resources if resource.urn in urns} == sources


def test_the_cluster_is_replaced_for_its_spec_alone(default: Run) -> None:
    digest, guard = identity(spec_of(NAMES, parsed())), f"{ENVIRONMENT}-cluster-guard-sweep"
    assert default["cluster-guard-sweep"].inputs["triggers"] == [digest, NAMES.cluster]
    assert default["cluster-guard-sweep"].ignore_changes == ("triggers[1]",)
    assert default["cluster-ensure"].inputs["triggers"] == [f"id-of-{guard}"]


# --- commands -------------------------------------------------------------------------------------


def deletes(command: Resource) -> str:
    """The scripts that its delete runs."""
    return command.environment.get("DELETE", "")


def test_guards_make_nothing_and_others_delete_nothing(any_run: Run) -> None:
    guards: dict[str, str | None] = {
        "stack-sweep": _commands.in_turn(["claim_stack.sh"]),
        "network-detach": None,
        "cluster-guard-sweep": None,
        "cluster-guard-hold": None,
        "cluster-guard-keep": _commands.in_turn(["keep_cluster.sh"]),
        "backends-guard-hold": None,
        "backends-guard-release": None,
        "backends-guard-keep": _commands.in_turn(["keep_cluster.sh"]),
    }
    for command in any_run.of_type(COMMAND):
        if command.name in guards:
            assert command.environment.get("CREATE") == guards[command.name]
            assert (command.inputs["create"] == "true") is (guards[command.name] is None)
            assert deletes(command)
        elif not command.name.startswith("files-"):
            assert "delete" not in command.inputs, command.name


def test_an_error_quotes_no_script(any_run: Run) -> None:
    """Of a Command that fails Pulumi shows the text first, and then its reason."""
    for command in any_run.of_type(COMMAND):
        for key in ("create", "delete"):
            assert len(command.inputs.get(key, "")) < 100


def test_a_delete_asks_no_more_than_docker(any_run: Run) -> None:
    """It must run without this checkout, its Python and k3d."""
    for command in any_run.of_type(COMMAND):
        if "delete" in command.inputs:
            assert "dir" not in command.inputs
            assert "PYTHON" not in command.environment
            assert "python" not in deletes(command)
            assert str(PROJECT) not in deletes(command)


def test_values_are_in_the_environment_and_not_in_the_text(default: Run, lab: Run) -> None:
    """Two stacks have the same scripts: names and paths are never written into them."""
    for command in default.of_type(COMMAND):
        if command.name not in lab.names:
            continue
        other = lab[command.name]
        assert command.inputs["create"] == other.inputs["create"]
        assert command.environment.get("CREATE") == other.environment.get("CREATE")
        assert deletes(command) == deletes(other)


def test_a_delete_has_every_value_that_it_asks_for(any_run: Run) -> None:
    for command in any_run.of_type(COMMAND):
        for name in ("OWNER", "STACK", "CLUSTER", "NETWORK", "DIRECTORY", "FILE"):
            if f"${name}" in deletes(command):
                assert command.environment[name], f"{name} of {command.name}"


def test_no_output_of_an_earlier_run_is_passed_on(any_run: Run) -> None:
    for command in any_run.of_type(COMMAND):
        assert command.inputs["addPreviousOutputInEnv"] is False


def test_deletes_ask_the_daemon_of_the_create(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///elsewhere.sock")
    elsewhere = run()
    for name in ("stack-sweep", "network-detach", "cluster-guard-sweep", "cluster-ensure"):
        assert elsewhere[name].environment["DOCKER_HOST"] == "unix:///elsewhere.sock"


def test_without_docker_host_the_state_names_the_daemon_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A destroy in a shell with another DOCKER_HOST runs these deletes."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    commands = [
        command for command in run().of_type(COMMAND) if not command.name.startswith("files-")
    ]
    assert {command.environment["DOCKER_HOST"] for command in commands} == {
        f"unix://{os.path.realpath('/var/run/docker.sock')}"
    }


# --- containers -----------------------------------------------------------------------------------


def test_containers_are_locked_down(any_run: Run) -> None:
    containers = any_run.of_type(CONTAINER)
    assert len(containers) == 2
    for container in containers:
        inputs = container.inputs
        assert inputs["user"] not in ("", "0", "root")
        assert inputs["capabilities"] == {"drops": ["ALL"]}
        assert inputs["securityOpts"] == ["no-new-privileges:true"]
        assert inputs["memory"] >= 64
        assert inputs["logOpts"]["max-size"]
        assert not {"privileged", "volumes", "mounts", "networkMode", "devices"} & inputs.keys()


def test_a_process_stays_within_its_containers_memory(any_run: Run) -> None:
    for container in any_run.of_type(CONTAINER):
        (limit,) = (
            variable for variable in container.inputs["envs"] if variable.startswith("GOMEMLIMIT=")
        )
        mebibytes = int(limit.removeprefix("GOMEMLIMIT=").removesuffix("MiB"))
        assert 0 < mebibytes < container.inputs["memory"]


def test_nothing_listens_beyond_127_0_0_1(any_run: Run) -> None:
    for container in any_run.of_type(CONTAINER):
        assert {port["ip"] for port in container.inputs["ports"]} == {"127.0.0.1"}
    spec = any_run["cluster-ensure"].stdin["spec"]["k3d"]
    assert (spec["kubeAPI"]["host"], spec["kubeAPI"]["hostIP"]) == ("127.0.0.1", "127.0.0.1")
    assert all(port["port"].startswith("127.0.0.1:") for port in spec["ports"])


def test_ports_are_in_the_order_in_which_they_are_read_back(any_run: Run) -> None:
    """terraform-provider-docker v4.5.0 docker_container_structures.go: by the container's port."""
    for container in any_run.of_type(CONTAINER):
        inside = [port["internal"] for port in container.inputs["ports"]]
        assert inside == sorted(inside)


def test_every_port_of_the_settings_is_published_once(default: Run) -> None:
    published = {
        port["external"]: port["internal"]
        for container in default.of_type(CONTAINER)
        for port in container.inputs["ports"]
    }
    settings = parsed()
    assert published == {
        settings.jaeger_ui_port: 16686,
        settings.otlp_grpc_port: 4317,
        settings.otlp_http_port: 4318,
        settings.collector_health_port: 13133,
        settings.collector_metrics_port: 8888,
    }


def test_published_ports_are_those_that_the_configuration_opens(default: Run) -> None:
    for name in ("jaeger-container", "collector-container"):
        inputs = default[name].inputs
        (upload,) = inputs["uploads"]
        assert inputs["command"] == ["--config", upload["file"]]
        configured = upload["content"]
        yaml.safe_load(configured)
        for port in inputs["ports"]:
            number = int(port["internal"])
            assert f"0.0.0.0:{number}" in configured or f"port: {number}" in configured


def test_the_wait_asks_a_port_that_is_published(default: Run) -> None:
    for backend in ("jaeger", "collector"):
        wait = default[f"{backend}-ready"].stdin
        published = [
            int(port["external"]) for port in default[f"{backend}-container"].inputs["ports"]
        ]
        assert any(wait["url"].startswith(f"http://127.0.0.1:{port}/") for port in published)
        assert wait["container"] == default[f"{backend}-container"].inputs["name"]


def test_nodes_find_the_collector_by_its_alias(default: Run) -> None:
    (network,) = default["collector-container"].inputs["networksAdvanced"]
    assert network == {"name": "traced-dev", "aliases": [naming.COLLECTOR_ALIAS]}
    assert default["cluster-ensure"].stdin["spec"]["k3d"]["network"] == "traced-dev"
    for file in (documents.APISERVER_FILE, documents.KUBELET_FILE):
        assert (
            f"endpoint: {naming.COLLECTOR_ALIAS}:4317" in default[f"files-{file}"].inputs["stdin"]
        )


def test_all_that_docker_holds_carries_its_owner(default: Run) -> None:
    for resource in [*default.of_type(CONTAINER), *default.of_type(NETWORK)]:
        labels = {label["label"]: label["value"] for label in resource.inputs["labels"]}
        assert labels.items() >= NAMES.labels.items()


def test_a_container_is_another_on_another_network_of_the_same_name(default: Run) -> None:
    """The provider does not read a container's networks back (terraform-provider-docker v4.5.0)."""
    for container in default.of_type(CONTAINER):
        labels = {label["label"]: label["value"] for label in container.inputs["labels"]}
        assert labels[naming.NETWORK_LABEL] == f"id-of-{ENVIRONMENT}-network-network"


def test_images_stay_for_other_stacks(any_run: Run) -> None:
    for image in any_run.of_type(IMAGE):
        assert image.inputs["keepLocally"] is True
        assert ":" in image.inputs["name"]


def test_a_guard_takes_no_value_from_the_shell_of_an_up(any_run: Run) -> None:
    """With a NETWORK in it, the guard of all took itself for that of a network, which nothing is
    on, and removed a cluster that it has to refuse to remove."""
    for command in any_run.of_type(COMMAND):
        texts = [command.environment.get(name, "") for name in ("CREATE", "DELETE")]
        read = {name for text in texts for name in runner.unset(text)}
        assert read <= command.environment.keys()
    assert any_run["stack-sweep"].environment["NETWORK"] == ""
    assert any_run["stack-sweep"].environment["DIGEST"] == ""


# --- secrets and exports --------------------------------------------------------------------------

MARK = "4dabf18193072939515e22adb298388d"
"""The key of a secret on the wire (pulumi 3.272.0 runtime/rpc.py)."""


def test_no_secret_enters_the_state(any_run: Run) -> None:
    everything = json.dumps([dict(resource.inputs) for resource in any_run.resources])
    assert MARK not in everything
    for sign in ("PRIVATE KEY", "client-key-data", "K3S_TOKEN", "token"):
        assert sign not in everything
    assert MARK not in json.dumps(any_run.exports)


SECRET = {
    "k3sArgs": ["--node-label=note=hush-hush"],
    "registries": {"config": "mirrors: {hush-hush.example: {endpoint: [https://a.example]}}"},
}


@pytest.mark.parametrize("key", SECRET)
def test_a_secret_of_the_configuration_stays_one(key: str, default: Run) -> None:
    secret = run({key: SECRET[key]}, secret_keys=[key])
    assert secret.error is None
    ensure = secret["cluster-ensure"]
    assert ensure.inputs["stdin"][MARK], "the engine keeps it encrypted"
    assert "hush-hush" in ensure.inputs["stdin"]["value"]
    for resource in secret.resources:
        readable = {name: value for name, value in resource.inputs.items() if name != "stdin"}
        assert "hush-hush" not in json.dumps(readable), resource.name
        assert MARK not in json.dumps(readable), resource.name
    for command in secret.of_type(COMMAND):
        if "stdin" in command.inputs:
            assert MARK in command.inputs["stdin"], command.name
    assert secret.exports == default.exports


def test_no_plan_shows_the_text_of_registries() -> None:
    """`pulumi preview --diff` shows the stdin of a Command that changes."""
    stdin = run({"registries": SECRET["registries"]})["cluster-ensure"].inputs["stdin"]
    assert stdin[MARK]
    assert MARK not in run({"registries": {"use": ["a:5000"]}})["cluster-ensure"].inputs["stdin"]


def test_without_a_secret_nothing_is_one() -> None:
    plain = run({"k3sArgs": SECRET["k3sArgs"]})
    assert "hush-hush" in plain["cluster-ensure"].inputs["stdin"]


@pytest.mark.parametrize(
    "broken",
    [
        ["--node-label=a=hush-hush@hush-hush"],
        ["hush-hush"],
        ["--hush-hush hush-hush"],
        "hush-hush",
    ],
)
def test_no_problem_repeats_a_secret(broken: Any) -> None:
    refused = run({"k3sArgs": json.dumps(broken)}, secret_keys=["k3sArgs"])
    assert "k3sArgs" in str(refused.error)
    assert "its secret value" in str(refused.error)
    assert "hush" not in str(refused.error)


def test_no_warning_repeats_a_secret() -> None:
    image = "hush.example/jaeger:1.2.3"
    (said,) = run({"jaegerImage": image}, secret_keys=["jaegerImage"]).warnings()
    assert said.startswith("jaegerImage is [secret], but it gets the configuration of")


def test_a_secret_that_is_no_json_is_not_repeated() -> None:
    refused = run({"k3sArgs": "[hush"}, secret_keys=["k3sArgs"])
    assert "k3sArgs: its secret value is not a list" in str(refused.error)
    assert "hush" not in str(refused.error)


EXPORTS = {
    "jaegerUrl": "http://127.0.0.1:16686",
    "otlpGrpcEndpoint": "http://127.0.0.1:4317",
    "otlpHttpEndpoint": "http://127.0.0.1:4318",
    "otlpEndpointInCluster": "http://otel-collector:4317",
    "kubeconfig": str(PROJECT / ".stacks/dev/kubeconfig"),
    "clusterName": "traced-dev",
    "resourceAttributes": {
        "runtime_observability.stack": "organization/runtime-observability/dev",
        "runtime_observability.owner": NAMES.owner,
        "k8s.cluster.name": "traced-dev",
        "deployment.environment.name": "dev",
    },
}


def test_what_is_exported(default: Run) -> None:
    links = default.exports["links"]
    assert all(link.startswith("http://127.0.0.1:16686/search?") for link in links.values())
    assert {key: default.exports[key] for key in EXPORTS} == EXPORTS
    assert default.exports.keys() - EXPORTS.keys() == {
        "links",
        "tracedComponents",
        "timeToFirstTraceSeconds",
        "firstTraceUrl",
    }
    assert default.exports["tracedComponents"] == ["apiserver", "kubelet"]
    assert default.exports["timeToFirstTraceSeconds"] == 0.9


def test_a_choice_of_traces_is_exported() -> None:
    assert str(run({"tracing": "starts"}).exports["tracing"]).startswith("starts: pod starts")


def test_requests_to_etcd_are_linked_where_etcd_is_traced(default: Run) -> None:
    three = run({"servers": 3, "etcdTracing": True}).exports["links"]
    assert three.keys() - default.exports["links"].keys() == {"slowEtcdRequests"}


def test_exported_addresses_follow_the_ports() -> None:
    moved = run({"portOffset": 100}).exports
    assert moved["jaegerUrl"] == "http://127.0.0.1:16786"
    assert moved["otlpGrpcEndpoint"] == "http://127.0.0.1:4417"
    assert moved["links"]["podStarts"].startswith("http://127.0.0.1:16786/")
    assert moved["otlpEndpointInCluster"] == EXPORTS["otlpEndpointInCluster"]


# --- the project ----------------------------------------------------------------------------------


def test_the_project_asks_for_what_the_design_needs() -> None:
    project = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())
    assert project["name"] == naming.PROJECT
    assert "options" not in project, "a refresh more than doubles an up with nothing to do"
    assert project["runtime"]["options"] == {"toolchain": "pip", "virtualenv": ".venv"}
    assert project["requiredPulumiVersion"] == f">={compatibility.OLDEST_PULUMI}"
    assert "backend" not in project, "a user who is logged in stays so"


def test_stack_files_hold_no_secret() -> None:
    for path in PROJECT.glob("Pulumi.*.yaml"):
        assert "secure:" not in path.read_text()
