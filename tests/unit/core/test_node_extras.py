"""Variables and mounts of the user's own in every node."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from runtime_observability.core import transition
from runtime_observability.core.naming import Names
from runtime_observability.core.settings.parse import SettingsError
from tests.configuration import PROJECT, parsed, spec_of

NAMES = Names("dev", PROJECT)
PROXY = "http://proxy.example:3128"


def variables(role: str = "server", index: int = 0, **config: Any) -> dict[str, str]:
    spec = spec_of(NAMES, parsed(**config))
    entries = transition.of_node(spec.config, "envVar", role, index)
    return dict(entry.split("=", 1) for entry in entries)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"A B": "1"}, "the name of a variable has letters, digits and _"),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, "the stack sets OTEL_TRACES_SAMPLER itself"),
        ({"CONTAINERD_OTEL_SERVICE_NAME": "x"}, "the stack sets CONTAINERD_OTEL_SERVICE_NAME"),
        ({"K3S_NODE_NAME": "x"}, "all nodes would have that one name. Name each in k3sArgs"),
        ({"K3S_TOKEN": "x"}, "the stack sets K3S_TOKEN itself"),
        ({"K3S_TOKEN": "hush"}, "its value cannot be used: the stack sets K3S_TOKEN itself"),
        ({"K3S_AGENT_TOKEN": "hush"}, "the value of K3S_AGENT_TOKEN would be readable"),
        ({"AWS_SECRET_ACCESS_KEY": "hush"}, "name that in --etcd-s3-config-secret"),
        ({"PATH": "/bin"}, "the stack sets PATH itself"),
        ({"A": "1\n2"}, "A has a line break"),
        ({"A": "$HOME"}, "k3d expands a $"),
        ({"HTTPS_PROXY": "http://ada:hush@proxy"}, "HTTPS_PROXY has a login, which everybody"),
        ({"HTTPS_PROXY": "ada:hush@proxy:3128"}, "read. Use a proxy on this machine that logs in"),
        ({"all_proxy": "hush@proxy:3128"}, "all_proxy has a login, which everybody"),
        ({"CONTAINERD_HTTPS_PROXY": "hush@proxy"}, "CONTAINERD_HTTPS_PROXY has a login"),
        ({"HTTPS_PROXY": f" {PROXY}"}, "HTTPS_PROXY is no proxy: that is HOST[:PORT]"),
        ({"https_proxy": "http://[::1"}, "https_proxy is no proxy"),
        ({"HTTP_PROXY": "ftp://proxy.example"}, "HTTP_PROXY is no proxy"),
        ({"ALL_PROXY": "proxy.example:99999"}, "ALL_PROXY is no proxy"),
        ({"CONTAINERD_HTTP_PROXY": "http:proxy.example"}, "For instance http://proxy.example:3128"),
        ({"K3S_DATASTORE_ENDPOINT": "postgres://db/k3s?password=hush"},
         "readable in Pulumi's state and in `docker inspect`. Log in with a certificate"),
    ],
)  # fmt: skip
def test_what_nodes_cannot_get_is_refused(environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parsed(nodeEnvironment=environment)
    assert said in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    "proxy",
    ["", "proxy:3128", "proxy.example", "socks5h://[fd00::1]:1080", "HTTPS://proxy/", PROXY],
)
def test_nodes_get_a_proxy_in_each_form_that_go_takes(proxy: str) -> None:
    assert variables(nodeEnvironment={"HTTPS_PROXY": proxy})["HTTPS_PROXY"] == proxy


@pytest.mark.parametrize(("value", "shown"), [(2, "2"), (True, "true")])
def test_what_pulumi_config_set_has_made_of_a_text_is_told(value: Any, shown: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parsed(nodeEnvironment={"GOMAXPROCS": value})
    (problem,) = map(str, refused.value.problems)
    assert problem == (
        f"nodeEnvironment.GOMAXPROCS: {shown} cannot be used: it is not text. Write it in quotes, "
        "or use `pulumi config set --path --type string`"
    )


def test_every_node_has_the_users_variables_beside_its_own() -> None:
    config: dict[str, Any] = {"agents": 1, "nodeEnvironment": {"COMPANY": "acme"}}
    for role in ("server", "agent"):
        found = variables(role, **config)
        assert found["COMPANY"] == "acme"
        assert found["OTEL_RESOURCE_ATTRIBUTES"] == f"k8s.node.name=k3d-traced-dev-{role}-0"
        assert "NO_PROXY" not in found


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_not_used_for_the_cluster_itself(name: str) -> None:
    """The exporters too read the variables: their spans would go to the proxy."""
    found = variables(servers=3, nodeEnvironment={name: PROXY})
    assert found[name] == PROXY
    direct = found["NO_PROXY"].split(",")
    assert {"otel-collector", "k3d-traced-dev-server-0", "k3d-traced-dev-server-2"} <= set(direct)
    assert {"10.0.0.0/8", "172.16.0.0/12", ".svc", ".cluster.local", "localhost"} <= set(direct)


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_the_users_exceptions_come_first_and_once(name: str) -> None:
    own = {"HTTPS_PROXY": PROXY, name: ".acme.example, localhost"}
    found = variables(nodeEnvironment=own)
    assert found["NO_PROXY"].startswith(".acme.example,localhost,127.0.0.1,127.0.0.0/8,")
    assert found["NO_PROXY"].split(",").count("localhost") == 1
    assert "no_proxy" not in found


@pytest.mark.parametrize(
    ("environment", "begins"),
    [
        ({"CONTAINERD_HTTPS_PROXY": PROXY}, "localhost,"),
        (
            {"CONTAINERD_https_proxy": PROXY, "no_proxy": ".acme.example"},
            ".acme.example,localhost,",
        ),
        ({"CONTAINERD_HTTP_PROXY": PROXY, "CONTAINERD_no_proxy": "a.example"}, "a.example,"),
        ({"HTTPS_PROXY": PROXY, "CONTAINERD_NO_PROXY": "a.example"}, "a.example,localhost,"),
    ],
)
def test_containerds_own_proxy_is_not_used_for_its_spans(
    environment: dict[str, str], begins: str
) -> None:
    """k3s gives it these in the place of the node's: its spans went to the proxy."""
    found = variables(nodeEnvironment=environment)
    assert found["CONTAINERD_NO_PROXY"].startswith(begins)
    assert {"otel-collector", "k3d-traced-dev-server-0"} < set(
        found["CONTAINERD_NO_PROXY"].split(",")
    )
    assert "CONTAINERD_no_proxy" not in found


@pytest.mark.parametrize(
    "config",
    [
        {"nodeEnvironment": {"HTTPS_PROXY": PROXY, "CONTAINERD_HTTPS_PROXY": PROXY}},
        {"nodeEnvironment": {"CONTAINERD_NO_PROXY": "a.example"}},
        {"nodeEnvironment": {"CONTAINERD_HTTPS_PROXY": PROXY}, "containerdTracing": "off"},
    ],
)
def test_containerd_keeps_its_own_exceptions_where_no_span_needs_more(
    config: dict[str, Any],
) -> None:
    """Another variable is another cluster."""
    given = config["nodeEnvironment"].get("CONTAINERD_NO_PROXY")
    assert variables(**config).get("CONTAINERD_NO_PROXY") == given


def test_more_agents_do_not_change_the_nodes_that_stand() -> None:
    own = {"nodeEnvironment": {"HTTPS_PROXY": PROXY}, "nodeVolumes": ["a:/a"]}
    before, after = (spec_of(NAMES, parsed(**own, agents=number)) for number in (0, 2))
    assert transition.transition(before, after) == transition.Transition(agents=2)


@pytest.mark.parametrize(
    ("volume", "mounted"),
    [
        ("certificates/ca.pem:/etc/ssl/certs/ca.pem:ro",
         f"{PROJECT}/certificates/ca.pem:/etc/ssl/certs/ca.pem:ro"),
        ("/srv/images:/var/lib/rancher/k3s/agent/images",
         "/srv/images:/var/lib/rancher/k3s/agent/images"),
    ],
)  # fmt: skip
def test_a_volume_is_in_every_node(volume: str, mounted: str) -> None:
    spec = spec_of(NAMES, parsed(agents=1, nodeVolumes=[volume]))
    for role in ("server", "agent"):
        assert mounted in transition.of_node(spec.config, "volume", role, 0)


@pytest.mark.parametrize("change", [{"nodeEnvironment": {"A": "1"}}, {"nodeVolumes": ["a:/a"]}])
def test_a_change_replaces_the_cluster(change: dict[str, Any]) -> None:
    before, after = spec_of(NAMES, parsed()), spec_of(NAMES, parsed(**change))
    assert transition.transition(before, after).replaces


DATA = "/var/lib/rancher/k3s"


@pytest.mark.parametrize(
    ("target", "refused"),
    [
        ("/var", True),
        ("/var/lib/rancher", True),
        (f"{DATA}/server", True),
        (f"{DATA}/./agent/", True),
        (f"{DATA}/server/db/snapshots", True),
        (f"{DATA}/server/tls", True),
        (f"{DATA}/server/tls/root-ca.pem", False),
        (f"{DATA}/server/manifests", False),
        (f"{DATA}/agent/images", False),
        (f"{DATA}/storage", False),
        ("/var/log", False),
    ],
)
def test_no_two_nodes_share_the_data_of_a_cluster(target: str, refused: bool) -> None:
    """A rehearsal has the volumes of the cluster that stands, and would write into its data."""
    with pytest.raises(SettingsError, match="no two nodes") if refused else nullcontext():
        parsed(nodeVolumes=[f"files:{target}"])


def test_a_registries_file_of_the_users_own_is_the_nodes_only_one() -> None:
    """k3d would write its own into a folder of the user's."""
    for target in ("/etc/rancher/k3s/registries.yaml:ro", "/etc/rancher/k3s", "/etc/rancher/"):
        own: dict[str, Any] = {"nodeVolumes": [f"files:{target}"]}
        for registries in ({"config": "mirrors: {}"}, {"use": ["k3d-own:5000"]}):
            with pytest.raises(SettingsError, match="k3d would write its own there"):
                parsed(**own, registries=registries)
        mirrored = parsed(**own, registryMirror="registry.example/hub")
        assert "registries" not in spec_of(NAMES, mirrored).config
    beside = parsed(nodeVolumes=["files:/etc/rancher/k3s/more"], registryMirror="registry.example")
    assert "registries" in spec_of(NAMES, beside).config
