"""The components of every node: containerd, the kubelet and kube-proxy."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from . import registries
from .certificates import CA, certificate, key, make_kubeconfig, make_serving
from .node import (
    AGENT,
    CNI_CONFIG,
    CONTAINERD_CONFIG,
    POD_CIDR,
    Node,
    kubernetes_version,
    lacks_sys_resource,
)
from .processes import Components, FatalError, log, merged, run

CONTAINERD_SOCKET = "/run/k3s/containerd/containerd.sock"
KUBELET_CONFIG = AGENT / "etc" / "kubelet.conf.d"
STATIC_PODS = AGENT / "pod-manifests"
CONTAINERD_PREFIX = "CONTAINERD_"


def start(node: Node, components: Components) -> None:
    """Start all three, each of them once the one before it is ready."""
    start_containerd(components)
    start_kubelet(node, components)
    kubeconfig = make_kubeconfig("kube-proxy", "system:kube-proxy", "system:node-proxier",
                                 node.server)  # fmt: skip
    # Like k3s (pkg/daemons/agent/agent_linux.go): the host's conntrack settings are not changed.
    components.start("kube-proxy", merged({
        "proxy-mode": "iptables", "kubeconfig": kubeconfig, "cluster-cidr": POD_CIDR,
        "healthz-bind-address": "127.0.0.1", "hostname-override": node.name,
        "conntrack-max-per-core": "0", "conntrack-tcp-timeout-established": "0s",
        "conntrack-tcp-timeout-close-wait": "0s",
    }, ()))  # fmt: skip


def containerd_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the node's variables, overridden by those for containerd without their prefix."""
    shared, own = {}, {}
    for name, value in environment.items():
        if name.startswith(CONTAINERD_PREFIX):
            own[name.removeprefix(CONTAINERD_PREFIX)] = value
        else:
            shared[name] = value
    return {**shared, **own}


def containerd_config() -> str:
    """Return containerd's configuration; k3s makes a similar one from its template."""
    return f"""version = 3
root = "{AGENT}/containerd"
state = "/run/k3s/containerd"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = "{registries.HOSTS}"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "docker.io/rancher/mirrored-pause:3.6"
[plugins.'io.containerd.cri.v1.runtime']
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  restrict_oom_score_adj = {str(lacks_sys_resource()).lower()}
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "{CNI_CONFIG}"
"""


def start_containerd(components: Components) -> None:
    """Start containerd and load the image archives of this node."""
    for folder in (CONTAINERD_CONFIG, CNI_CONFIG, AGENT / "containerd"):
        folder.mkdir(parents=True, exist_ok=True)
    config = CONTAINERD_CONFIG / "config.toml"
    config.write_text(containerd_config())
    registries.write()
    level = os.environ.get("CONTAINERD_LOG_LEVEL", "info")
    components.start(
        "containerd",
        [f"--config={config}", f"--log-level={level}"],
        containerd_environment(os.environ),
        AGENT / "containerd" / "containerd.log",
    )
    components.wait_until(lambda: run("ctr", "version", check=False))
    log("info", "containerd is now running")
    for archive in sorted((AGENT / "images").glob("*.tar")):
        run("ctr", "images", "import", "--local", str(archive))


def take_config(arguments: Iterable[str], target: Path) -> list[str]:
    """Copy the file of a `config` argument to `target`, a drop-in; return the other arguments."""
    others = []
    for argument in arguments:
        name, _, value = argument.removeprefix("--").partition("=")
        if name == "config-dir":
            raise FatalError("kubelet-arg config-dir is not supported by this stand-in for k3s")
        if name != "config":
            others.append(argument)
            continue
        try:
            target.write_bytes(Path(value).read_bytes())
        except OSError as error:
            raise FatalError(f'copy config "{value}" to {target}: {error.strerror}') from error
    return others


def start_kubelet(node: Node, components: Components) -> None:
    """Start the kubelet with k3s' drop-in file, the user's drop-ins and the user's arguments."""
    user = f"system:node:{node.name}"
    kubeconfig = make_kubeconfig("kubelet", user, "system:nodes", node.server)
    make_serving("kubelet-serving", f"/O=system:nodes/CN={user}", [node.name, node.ip, "127.0.0.1"])
    defaults = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "authentication": {"x509": {"clientCAFile": CA}},
        "clusterDomain": "cluster.local", "failSwapOn": False, "serializeImagePulls": False,
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "evictionHard": {"imagefs.available": "5%", "nodefs.available": "5%"},
        "evictionMinimumReclaim": {"imagefs.available": "10%", "nodefs.available": "10%"},
        # Never, unlike k3s: where the lab is needed, no node can pull an image again.
        "imageGCHighThresholdPercent": 100,
        "staticPodPath": str(STATIC_PODS),
        "tlsCertFile": certificate("kubelet-serving"), "tlsPrivateKeyFile": key("kubelet-serving"),
    }  # fmt: skip
    if lacks_sys_resource():  # otherwise the kubelet exits: it cannot set its OOM score
        defaults["featureGates"] = {"KubeletInUserNamespace": True}
    STATIC_PODS.mkdir(parents=True, exist_ok=True)
    KUBELET_CONFIG.mkdir(parents=True, exist_ok=True)
    (KUBELET_CONFIG / "00-k3s-defaults.conf").write_text(json.dumps(defaults, indent=1))
    # From 1.37 on, cAdvisor's containerd client and its flags are removed.
    cadvisor = {} if kubernetes_version() >= (1, 37) else {"containerd": CONTAINERD_SOCKET}
    extra = take_config(node.options.kubelet_arg, KUBELET_CONFIG / "10-cli-config.conf")
    components.start("kubelet", merged({
        "config-dir": str(KUBELET_CONFIG), "kubeconfig": kubeconfig, "read-only-port": "0",
        "hostname-override": node.name, "node-ip": node.ip, **cadvisor,
        "cert-dir": "/var/lib/kubelet/pki",
    }, extra))  # fmt: skip
