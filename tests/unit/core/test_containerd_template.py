"""The containerd template for k3s 1.27.1: rendered as k3s does it, then read as TOML."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_observability.core import documents, naming
from tests.fakes import go_template

CRI = "io.containerd.grpc.v1.cri"
NODE: dict[str, Any] = {
    "Containerd": {"Opt": "/var/lib/rancher/k3s/agent/containerd"},
    "SELinux": False,
    "NoFlannel": False,
    "AgentConfig": {
        "PauseImage": "rancher/mirrored-pause:3.6",
        "Snapshotter": "overlayfs",
        "CNIBinDir": "/bin",
        "CNIConfDir": "/var/lib/rancher/k3s/agent/etc/cni/net.d",
    },
}
K3S: dict[str, Any] = {
    "NodeConfig": NODE,
    "DisableCgroup": False,
    "SystemdCgroup": False,
    "IsRunningInUserNS": False,
    "EnableUnprivileged": True,
    "PrivateRegistryConfig": None,
    "ExtraRuntimes": {},
    "Program": "k3s",
}
"""The template's data in k3s 1.27.1 (k3s commit 257fa2c54 pkg/agent/templates/templates.go)."""


def rendered(per_million: int = 1_000_000, **changes: Any) -> dict[str, Any]:
    """The ``plugins`` table, rendered with ``changes`` to the data."""
    text = go_template.render(documents.containerd_template(per_million), K3S | changes)
    document = tomllib.loads(text)
    assert document.keys() == {"version", "plugins"}
    assert document["version"] == 2
    plugins: dict[str, Any] = document["plugins"]
    return plugins


def registries(mirrors: dict[str, Any], configs: dict[str, Any] | None = None) -> dict[str, Any]:
    """The ``registry`` table; empty when there is none."""
    config = {"Mirrors": mirrors, "Configs": configs or {}}
    table: dict[str, Any] = rendered(PrivateRegistryConfig=config)[CRI].get("registry", {})
    return table


def test_containerd_is_told_where_to_export() -> None:
    plugins = rendered()
    assert plugins["io.containerd.tracing.processor.v1.otlp"] == {
        "endpoint": f"{naming.COLLECTOR_ALIAS}:4317",
        "protocol": "grpc",
        "insecure": True,
    }
    assert plugins["io.containerd.internal.v1.tracing"] == {
        "sampling_ratio": 1.0,
        "service_name": "containerd",
    }


@given(st.integers(min_value=0, max_value=1_000_000))
def test_any_sampling_is_a_number(per_million: int) -> None:
    ratio = rendered(per_million)["io.containerd.internal.v1.tracing"]["sampling_ratio"]
    assert ratio * 1_000_000 == pytest.approx(per_million)
    assert isinstance(ratio, float), "containerd does not accept an integer"


def test_what_a_k3d_node_needs_is_there() -> None:
    plugins = rendered()
    assert plugins["io.containerd.internal.v1.opt"] == {
        "path": "/var/lib/rancher/k3s/agent/containerd"
    }
    assert plugins[CRI] == {
        "stream_server_address": "127.0.0.1",
        "stream_server_port": "10010",
        "enable_selinux": False,
        "enable_unprivileged_ports": True,
        "enable_unprivileged_icmp": True,
        "disable_cgroup": False,
        "disable_apparmor": False,
        "restrict_oom_score_adj": False,
        "sandbox_image": "rancher/mirrored-pause:3.6",
        "containerd": {
            "snapshotter": "overlayfs",
            "disable_snapshot_annotations": True,
            "runtimes": {
                "runc": {
                    "runtime_type": "io.containerd.runc.v2",
                    "options": {"SystemdCgroup": False},
                }
            },
        },
        "cni": {"bin_dir": "/bin", "conf_dir": "/var/lib/rancher/k3s/agent/etc/cni/net.d"},
    }


def test_a_cluster_network_of_ones_own_is_left_alone() -> None:
    """With --flannel-backend=none k3s sets no CNI folders, and containerd's defaults apply."""
    assert "cni" not in rendered(NodeConfig=NODE | {"NoFlannel": True})[CRI]


def test_other_runtimes_on_the_node_are_found() -> None:
    extra = {"nvidia": {"RuntimeType": "io.containerd.runc.v2", "BinaryName": "/usr/bin/nvidia"}}
    runtimes = rendered(ExtraRuntimes=extra)[CRI]["containerd"]["runtimes"]
    assert runtimes["nvidia"] == {
        "runtime_type": "io.containerd.runc.v2",
        "options": {"BinaryName": "/usr/bin/nvidia"},
    }


def test_mirrors_are_handed_on() -> None:
    mirror = {"Endpoints": ["http://one:5000", "http://two:5000"], "Rewrites": {}}
    rewriting = {"Endpoints": [], "Rewrites": {"^rancher/(.*)": "mirror/$1"}}
    assert registries({"docker.io": mirror, "quay.io": rewriting}) == {
        "mirrors": {
            "docker.io": {"endpoint": ["http://one:5000", "http://two:5000"]},
            "quay.io": {"endpoint": [], "rewrite": {"^rancher/(.*)": "mirror/$1"}},
        }
    }


def test_credentials_are_handed_on() -> None:
    nobody = {"Username": "", "Password": "", "Auth": "", "IdentityToken": ""}
    auth = nobody | {"Username": "ada", "Password": 'a"\\b'}
    tls = {"CAFile": "/ca.pem", "CertFile": "", "KeyFile": "", "InsecureSkipVerify": True}
    configs = {"a:5000": {"Auth": auth, "TLS": None}, "b:5000": {"Auth": None, "TLS": tls}}
    assert registries({}, configs) == {
        "configs": {
            "a:5000": {
                "auth": {"username": "ada", "password": 'a"\\b', "auth": "", "identitytoken": ""}
            },
            "b:5000": {
                "tls": {
                    "ca_file": "/ca.pem",
                    "cert_file": "",
                    "key_file": "",
                    "insecure_skip_verify": True,
                }
            },
        }
    }


def test_no_registries_are_no_registries() -> None:
    assert "registry" not in rendered()[CRI]
    assert registries({}) == {}
