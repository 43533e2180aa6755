"""What a change of the configuration does to a standing cluster."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from runtime_observability.core import rehearsal, spec_changes, transition
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.settings.k3s_arguments import selects
from runtime_observability.core.transition import Transition
from tests import configuration
from tests.configuration import PROJECT, parsed

NAMES = Names("dev", PROJECT)


def spec_of(**settings: Any) -> ClusterSpec:
    return configuration.spec_of(NAMES, parsed(**settings))


REPLACED, RESTARTED = Transition(replaces=True), Transition(restarts=True)
MIRROR = {"registries": {"config": "mirrors: {}\n"}}
IN_USE = {"registries": {"use": ["mirror:5000"]}}
AGENT_ONLY = {"agents": 1, "k3sArgs": ["--node-label=a=b@agent:*"]}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, Transition()),
        ({}, {"k3sVersion": "v1.34.3-k3s1"}, REPLACED),
        ({}, {"servers": 3}, REPLACED),
        ({}, {"containerdTracing": "image"}, REPLACED),
        ({}, {"containerdTracing": "off"}, REPLACED),
        ({}, {"containerdBinary": __file__}, REPLACED),
        ({"servers": 3}, {"servers": 3, "etcdTracing": True}, REPLACED),
        ({}, {"kubeApiPort": 6551}, REPLACED),
        ({}, {"k3sImage": "mine:1"}, REPLACED),
        ({}, {"k3sArgs": ["--disable=traefik"]}, REPLACED),
        ({}, {"publishedPorts": ["8080:80"]}, REPLACED),
        ({}, IN_USE, REPLACED),
        (IN_USE, {"registries": IN_USE["registries"] | MIRROR["registries"]}, REPLACED),
        ({}, {"agents": 2}, Transition(agents=2)),
        ({"agents": 3}, {"agents": 1}, Transition(agents=-2)),
        ({}, {"apiserverSamplingPerMillion": 1}, RESTARTED),
        ({}, {"nodeSamplingPerMillion": 1}, RESTARTED),
        ({}, MIRROR, RESTARTED),
        (MIRROR, {}, RESTARTED),
        ({}, {"agents": 1, "nodeSamplingPerMillion": 1}, Transition(restarts=True, agents=1)),
        ({}, {"agents": 1, "kubeApiPort": 6551}, REPLACED),
        ({}, AGENT_ONLY, Transition(agents=1)),
        ({"agents": 1}, AGENT_ONLY, REPLACED),
        (AGENT_ONLY, {}, Transition(agents=-1)),
        ({"agents": 1}, AGENT_ONLY | {"agents": 2}, REPLACED),
        (
            {"agents": 1},
            {"agents": 2, "k3sArgs": ["--node-label=a=b@agent:1"]},
            Transition(agents=1),
        ),
        (
            {"servers": 3, "etcdTracing": True},
            {"servers": 3, "etcdTracing": True, "apiserverSamplingPerMillion": 1},
            REPLACED,
        ),
        (
            {"k3sArgs": ["--with-node-id@all"]},
            {"k3sArgs": ["--with-node-id@all"], "agents": 1},
            REPLACED,
        ),
        ({"k3sVersion": "v1.27.1-k3s1"}, {"k3sVersion": "v1.27.1-k3s1", "agents": 1},
         Transition(agents=1)),
        ({"k3sVersion": "v1.27.1-k3s1"},
         {"k3sVersion": "v1.27.1-k3s1", "nodeSamplingPerMillion": 1}, RESTARTED),
        ({"k3dToolsImage": "mine:1"}, {}, Transition()),
    ],
)  # fmt: skip
def test_each_change_is_made_in_the_way_that_costs_least(
    before: dict[str, Any], after: dict[str, Any], expected: Transition
) -> None:
    one, other = spec_of(**before), spec_of(**after)
    assert transition.transition(one, other) == expected
    if expected.replaces:
        assert transition.identity(one) != transition.identity(other)
    if expected != Transition():
        lines = spec_changes.changes(one.document, other.document)
        assert {line.partition(":")[0] for line in lines} <= before.keys() | after.keys()


@pytest.mark.parametrize(
    "change",
    [{"agents": 10}, {"nodeSamplingPerMillion": 1}, {"apiserverSamplingPerMillion": 1}, MIRROR],
    ids=lambda change: next(iter(change)),
)
def test_a_cluster_is_known_by_what_does_not_change_in_place(change: dict[str, Any]) -> None:
    """So that a cluster whose record is lost is not taken for another one."""
    assert transition.identity(spec_of()) == transition.identity(spec_of(**change))


def test_what_an_earlier_release_recorded_is_the_same_cluster() -> None:
    """Without agents it filtered for servers alone."""
    earlier = copy.deepcopy(spec_of(nodeSamplingPerMillion=2).document)
    for entries in (
        earlier["k3d"]["volumes"], earlier["k3d"]["env"],
        earlier["k3d"]["options"]["k3s"]["extraArgs"],
    ):  # fmt: skip
        for entry in entries:
            entry["nodeFilters"] = [text for text in entry["nodeFilters"] if text != "agent:*"]
    assert transition.transition(ClusterSpec.read(earlier), spec_of()) == RESTARTED
    assert transition.transition(ClusterSpec.read(earlier), spec_of(agents=1)).agents == 1


@pytest.mark.parametrize(
    ("node_filter", "selected"),
    [
        ("all", ["server:0", "server:1", "agent:0", "agent:1", "agent:2"]),
        ("server:*", ["server:0", "server:1"]),
        ("servers:*", ["server:0", "server:1"]),
        ("agent:1", ["agent:1"]),
        ("agents:0,2", ["agent:0", "agent:2"]),
        ("agent:1-2", ["agent:1", "agent:2"]),
        ("agent:1-", ["agent:1", "agent:2"]),
        ("agent:-1", ["agent:0", "agent:1"]),
        ("agent:-", ["agent:0", "agent:1", "agent:2"]),
        ("server:0:direct", []),
    ],
)
def test_a_filter_selects_as_k3ds_does(node_filter: str, selected: list[str]) -> None:
    nodes = [("server", 0), ("server", 1), ("agent", 0), ("agent", 1), ("agent", 2)]
    assert [
        f"{role}:{index}" for role, index in nodes if selects(node_filter, role, index)
    ] == selected


@pytest.mark.parametrize(
    ("settings", "has_etcd"),
    [
        ({}, False),
        ({"servers": 3}, True),
        ({"servers": 3, "k3sArgs": ["--datastore-endpoint=sqlite://@server:*"]}, True),
        ({"servers": 3, "k3sArgs": ["--datastore-endpoint=https://etcd:2379@server:*"]}, False),
        ({"servers": 3, "nodeEnvironment": {"K3S_DATASTORE_ENDPOINT": "nats://nats"}}, False),
    ],
)
def test_several_servers_have_an_etcd_unless_their_datastore_is_elsewhere(
    settings: dict[str, Any], has_etcd: bool
) -> None:
    assert spec_of(**settings).has_etcd is has_etcd


# --- the rehearsal's configuration ----------------------------------------------------------------


def test_one_server_is_rehearsed_that_disturbs_nothing() -> None:
    spec = spec_of(
        servers=3, agents=2, publishedPorts=["8080:80"], registries={"use": ["mirror:5000"]}
    )  # fmt: skip
    config = rehearsal.configuration(spec, NAMES)
    assert (config["servers"], config["agents"], config["ports"]) == (1, 0, [])
    assert "network" not in config
    assert config["kubeAPI"] == {"host": "127.0.0.1", "hostIP": "127.0.0.1"}
    assert (config["image"], config["registries"]) == (spec.image, spec.config["registries"])
    entries = [*config["volumes"], *config["env"], *config["options"]["k3s"]["extraArgs"]]
    assert all(entry["nodeFilters"] == ["server:0"] for entry in entries)
    arguments = [entry["arg"] for entry in config["options"]["k3s"]["extraArgs"]]
    assert arguments == [*transition.of_node(spec.config, "arg", "server", 0), "--cluster-init"]
    variables = [entry["envVar"] for entry in config["env"]]
    assert variables == transition.of_node(spec.config, "envVar", "server", 0)
    assert config["options"]["k3d"]["timeout"] == "180s"
    assert rehearsal.nodes(config, NAMES) == [f"k3d-{NAMES.rehearsal}-server-0"]


def test_a_node_for_each_list_of_arguments_is_rehearsed() -> None:
    """The first server may start where an agent, or another server, does not."""
    spec = spec_of(
        servers=3, agents=4,
        k3sArgs=["--tls-san=b@server:1-2", "--node-ip=c@agent:1-2", "--node-label=d=e@agent:3"],
    )  # fmt: skip
    config = rehearsal.configuration(spec, NAMES)
    assert (config["servers"], config["agents"]) == (2, 2)
    for place, (role, index) in {
        "server:0": ("server", 0), "server:1": ("server", 1),
        "agent:0": ("agent", 1), "agent:1": ("agent", 3),
    }.items():  # fmt: skip
        new_role, new_index = place.split(":")
        for key in ("arg", "envVar"):
            rehearsed = transition.of_node(config, key, new_role, int(new_index))
            assert rehearsed == transition.of_node(spec.config, key, role, index)
        assert transition.of_node(config, "volume", new_role, int(new_index))
    arguments = [entry["arg"] for entry in config["options"]["k3s"]["extraArgs"]]
    assert "--cluster-init" not in arguments, "k3d adds it for two servers"
    assert config["options"]["k3d"]["timeout"] == "360s"
    named = [
        f"k3d-{NAMES.rehearsal}-{node}" for node in ("server-0", "server-1", "agent-0", "agent-1")
    ]
    assert rehearsal.nodes(config, NAMES) == named


@pytest.mark.parametrize(
    "of_nodes",
    [
        {"k3sArgs": ["--etcd-arg=listen-peer-urls=https://127.0.0.1:2380@server:*"]},
        {"k3sArgs": ["--token-file=/docs/token@server:*"], "nodeVolumes": ["docs:/docs"]},
        {"nodeEnvironment": {"K3S_LB_SERVER_PORT": "10250"}},
        {"nodeVolumes": ["docs:/etc/rancher/k3s/config.yaml.d"]},
    ],
)
@pytest.mark.parametrize(("servers", "agents"), [(1, 0), (1, 1), (1, 4), (3, 0), (5, 2)])
def test_another_server_and_an_agent_are_seen_to_join(
    of_nodes: dict[str, Any], servers: int, agents: int
) -> None:
    """The first server starts with each of these."""
    spec = spec_of(servers=servers, agents=agents, **of_nodes)
    config = rehearsal.configuration(spec, NAMES)
    assert (config["servers"], config["agents"]) == (min(servers, 2), min(agents, 1))
    for role in ("server", "agent"):
        for key in ("arg", "envVar", "volume"):
            for index in range(config[f"{role}s"]):
                assert transition.of_node(config, key, role, index)


def test_no_node_joins_twice_in_a_rehearsal() -> None:
    """One that has arguments of its own shows that others join, too."""
    spec = spec_of(servers=3, agents=3, k3sArgs=["--node-label=a=b@server:0;agent:2"])
    config = rehearsal.configuration(spec, NAMES)
    assert (config["servers"], config["agents"]) == (2, 1)
    labels = transition.of_node(config, "arg", "agent", 0)
    assert "--node-label=a=b" in labels


def test_its_nodes_join_without_the_proxy() -> None:
    """They reach their own server by its name, as the cluster's nodes reach theirs."""
    proxy = {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": ".acme.example"}
    spec = spec_of(agents=1, nodeEnvironment=proxy, k3sArgs=["--node-label=a=b@agent:*"])
    config = rehearsal.configuration(spec, NAMES)
    for role in ("server", "agent"):
        (direct,) = (
            text.removeprefix("NO_PROXY=").split(",")
            for text in transition.of_node(config, "envVar", role, 0)
            if text.startswith("NO_PROXY=")
        )
        assert direct[0] == ".acme.example"
        assert f"k3d-{NAMES.rehearsal}-server-0" in direct
        assert NAMES.node("server", 0) not in direct


def test_its_files_are_its_own() -> None:
    """The standing nodes read theirs when they restart."""
    config = rehearsal.configuration(spec_of(k3sVersion="v1.27.1-k3s1"), NAMES)
    folder = NAMES.rehearsal_directory / "node"
    sources = [entry["volume"].partition(":")[0] for entry in config["volumes"]]
    assert sources == [str(folder), f"{folder}/containerd-1.27.toml.tmpl"]


def test_where_a_folder_is_mounted_stays() -> None:
    """Also one that has the same path in the nodes as on this machine."""
    folder = str(NAMES.node_directory)
    config = rehearsal.configuration(spec_of(nodeVolumes=[f"{folder}:{folder}"]), NAMES)
    rehearsed = NAMES.rehearsal_directory / NAMES.node_directory.name
    assert f"{rehearsed}:{folder}" in [entry["volume"] for entry in config["volumes"]]


@pytest.mark.parametrize(
    ("target", "settings", "left_out"),
    [
        ("/var/lib/rancher/k3s/server/manifests", {}, True),
        ("/var/lib/rancher/k3s/server/manifests/own:ro", {}, True),
        ("/var/lib/rancher/k3s/agent/pod-manifests", {}, True),
        ("/var/lib/rancher/k3s/agent/images", {}, False),
        ("/data/server/manifests", {"k3sArgs": ["--data-dir=/data@server:*"]}, True),
        ("/data/agent/pod-manifests", {"nodeEnvironment": {"K3S_DATA_DIR": "/data"}}, True),
        ("/data/server/manifests", {}, False),
        ("/own", {"k3sArgs": ["--kubelet-arg=pod-manifest-path=/own/pods@server:*"]}, True),
        ("/own", {"k3sArgs": ["--kubelet-arg=--pod-manifest-path=/own@server:*"]}, True),
        ("/own", {}, False),
        ("/own", {"k3sArgs": ["--kubelet-arg=root-dir=/own@server:*"]}, True),
        ("/own/pods", {"k3sArgs": ["--kubelet-arg=--root_dir=/own@server:*"]}, True),
        ("/own/other", {"k3sArgs": ["--kubelet-arg=root-dir=/own@server:*"]}, False),
        ("/var/lib/kubelet/device-plugins", {}, True),
        ("/var/lib/kubelet/config.json", {}, False),
        ("/var/log", {}, True),
        ("/var/log/pods", {}, True),
        ("/var/log/audit", {}, False),
    ],
)
def test_a_rehearsal_shares_no_workload_with_the_standing_cluster(
    target: str, settings: dict[str, Any], left_out: bool
) -> None:
    """One of the user's would write into the data of the one that runs, and a kubelet would remove
    the data and the logs of pods that are not its own."""
    spec = spec_of(nodeVolumes=[f"files:{target}"], **settings)
    own = f"{PROJECT / 'files'}:{target}"
    assert own in transition.of_node(spec.config, "volume", "server", 0)
    rehearsed = transition.of_node(rehearsal.configuration(spec, NAMES), "volume", "server", 0)
    assert (own not in rehearsed) is left_out
    assert rehearsed, "the stack's own files are mounted in any case"
    assert rehearsal.kept_apart(spec) == ([own] if left_out else [])


def test_what_stands_in_for_the_users_manifests_is_mounted_in_their_place() -> None:
    spec = spec_of(nodeVolumes=["files:/var/lib/rancher/k3s/server/manifests:ro", "docs:/docs"])
    (own,) = rehearsal.kept_apart(spec)
    instead = "/empty:/var/lib/rancher/k3s/server/manifests:ro"
    config = rehearsal.configuration(spec, NAMES, stand_ins={own: instead})
    volumes = transition.of_node(config, "volume", "server", 0)
    assert volumes[1:] == [instead, f"{PROJECT / 'docs'}:/docs"]


def test_a_single_server_is_rehearsed_on_sqlite() -> None:
    arguments = rehearsal.configuration(spec_of(), NAMES)["options"]["k3s"]["extraArgs"]
    assert "--cluster-init" not in [entry["arg"] for entry in arguments]


def test_no_stack_has_the_rehearsals_name() -> None:
    """k3d's limit is 32 characters."""
    assert len(NAMES.rehearsal) <= 32
    assert not NAMES.rehearsal.startswith("traced-")
    assert NAMES.rehearsal != Names("other", PROJECT).rehearsal
