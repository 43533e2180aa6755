"""What exists after `up`: everything in the configuration, and nothing else."""

from __future__ import annotations

import json
import stat

from tests.live.stack import Stack


def test_up_starts_jaeger_the_collector_and_one_node(standing: Stack) -> None:
    assert set(standing.ids()) == {standing.jaeger, standing.collector, standing.server}
    assert all(standing.docker.running(name) for name in standing.ids())


def test_every_component_is_in_the_state(standing: Stack) -> None:
    types = sorted(
        resource["type"].rpartition(":")[2]
        for resource in standing.state.values()
        if resource["type"].startswith("runtime-observability:")
    )
    assert types == [
        "BackendsGuard",
        "ClusterGuard",
        "ClusterRehearsal",
        "Collector",
        "ConfigFiles",
        "Jaeger",
        "NodeImage",
        "StackGuard",
        "StackNetwork",
        "TracedCluster",
        "TracedEnvironment",
    ]


def test_all_is_on_the_stack_s_own_network_and_bears_its_owner(standing: Stack) -> None:
    owners = set()
    for name in standing.ids():
        container = standing.docker.inspect(name)
        assert list(container["NetworkSettings"]["Networks"]) == [standing.cluster]
        labels = container["Config"]["Labels"]
        assert labels["runtime-observability.stack"] == standing.name
        assert labels["runtime-observability.folder"] == str(standing.folder)
        owners.add(labels["runtime-observability.owner"])
    owner = standing.docker.inspect(standing.cluster)["Labels"]["runtime-observability.owner"]
    assert owners == {owner}


def test_the_stack_s_ports_are_open_on_127_0_0_1_and_no_others_anywhere(standing: Stack) -> None:
    published = {
        (binding["HostIp"], int(binding["HostPort"]))
        for name in standing.ids()
        for bindings in standing.docker.inspect(name)["NetworkSettings"]["Ports"].values()
        for binding in bindings or []
    }
    assert published == {("127.0.0.1", port) for port in standing.ports.values()}


def test_jaeger_and_the_collector_run_without_rights_and_within_limits(standing: Stack) -> None:
    for name in (standing.jaeger, standing.collector):
        container = standing.docker.inspect(name)
        host = container["HostConfig"]
        assert container["Config"]["User"] not in ("", "0", "root")
        assert host["CapDrop"] == ["ALL"]
        assert any("no-new-privileges" in option for option in host["SecurityOpt"])
        assert host["Memory"] > 0


def test_nodes_read_the_stack_s_files_from_a_folder_mounted_read_only(standing: Stack) -> None:
    (mount,) = (
        mount
        for mount in standing.docker.inspect(standing.server)["Mounts"]
        if mount["Destination"] == "/etc/runtime-observability"
    )
    assert mount["Source"] == str(standing.directory / "node")
    assert not mount["RW"]


def test_the_kubeconfig_is_the_user_s_alone_and_opens_the_cluster(standing: Stack) -> None:
    mode = (standing.directory / "kubeconfig").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    (node,) = json.loads(standing.kubectl("get", "nodes", "-o", "json"))["items"]
    assert node["metadata"]["name"] == standing.server
    conditions = {entry["type"]: entry["status"] for entry in node["status"]["conditions"]}
    assert conditions["Ready"] == "True"


def test_outputs_say_where_everything_is(standing: Stack) -> None:
    outputs = standing.outputs
    ports = standing.ports
    assert outputs["jaegerUrl"] == f"http://127.0.0.1:{ports['jaegerUiPort']}"
    assert outputs["otlpGrpcEndpoint"] == f"http://127.0.0.1:{ports['otlpGrpcPort']}"
    assert outputs["otlpHttpEndpoint"] == f"http://127.0.0.1:{ports['otlpHttpPort']}"
    assert outputs["otlpEndpointInCluster"] == "http://otel-collector:4317"
    assert outputs["kubeconfig"] == str(standing.directory / "kubeconfig")
    assert outputs["clusterName"] == standing.cluster
    assert outputs["links"]


def test_no_secret_of_the_cluster_is_in_the_state(standing: Stack) -> None:
    exported = standing.pulumi("stack", "export").stdout
    kubeconfig = standing.kubectl("config", "view", "--raw", "-o", "json")
    user = json.loads(kubeconfig)["users"][0]["user"]
    environment = standing.docker.inspect(standing.server)["Config"]["Env"]
    (token,) = (line.partition("=")[2] for line in environment if line.startswith("K3S_TOKEN="))
    assert user["client-key-data"] not in exported
    assert token not in exported


def test_a_second_up_changes_nothing(standing: Stack) -> None:
    before = standing.ids()
    standing.expect_no_changes()
    run = standing.up()
    assert standing.ids() == before
    assert not {"created", "updated", "replaced", "deleted"} & set(run.stdout.split())
    standing.expect_no_changes()


def test_a_plan_of_a_new_stack_makes_it(absent: Stack) -> None:
    absent.up_as_planned()
    assert set(absent.ids()) == {absent.jaeger, absent.collector, absent.server}
    absent.expect_no_changes()
