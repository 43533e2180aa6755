"""One node: its options, its address, and its folders, which are those of k3s."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from .certificates import CA, certificate, key

DATA = Path("/var/lib/rancher/k3s")
AGENT = DATA / "agent"
SERVER = DATA / "server"
CONTAINERD_CONFIG = AGENT / "etc" / "containerd"
CNI_CONFIG = AGENT / "etc" / "cni" / "net.d"
COREDNS = SERVER / "manifests" / "coredns.yaml"
KUBECONFIG = Path("/etc/rancher/k3s/k3s.yaml")
POD_CIDR = "10.42.0.0/16"
SERVICE_CIDR = "10.43.0.0/16"
API_SERVICE_IP = "10.43.0.1"
CAP_SYS_RESOURCE = 24  # linux/capability.h


@dataclass(frozen=True)
class Options:
    """The arguments of `k3s server` or `k3s agent` that this stand-in supports."""

    role: str
    kubelet_arg: tuple[str, ...] = ()
    tls_san: tuple[str, ...] = ()
    kube_apiserver_arg: tuple[str, ...] = ()
    etcd_arg: tuple[str, ...] = ()
    cluster_init: bool = False
    """Whether other servers will join this one."""


@dataclass(frozen=True)
class Node:
    """One server or agent, and the URL of its API server."""

    options: Options
    server: str
    name: str
    ip: str
    joins: str = ""
    """URL of the server that this one joins; empty for the first server, and for an agent."""

    @classmethod
    def here(cls, options: Options, server: str, joins: str = "") -> Node:
        """Return the node in this container; its address may change with a restart."""
        name = socket.gethostname()
        return cls(options, server, name, socket.gethostbyname(name), joins)

    @property
    def is_server(self) -> bool:
        """Whether the control plane runs on it."""
        return self.options.role == "server"

    @property
    def is_one_of_several(self) -> bool:
        """Whether the cluster has other servers, or will have."""
        return self.options.cluster_init or bool(self.joins)

    def get(self, path: str, identity: str, timeout: float | None) -> http.client.HTTPResponse:
        """Send a GET to the API server with one of this node's client certificates."""
        context = ssl.create_default_context(cafile=CA)
        context.load_cert_chain(certificate(identity), key(identity))
        url = self.server + path
        response = urllib.request.urlopen(url, context=context, timeout=timeout)  # noqa: S310
        assert isinstance(response, http.client.HTTPResponse)  # noqa: S101
        return response


def kubernetes_version() -> tuple[int, int]:
    """Return the major and minor version of the kubelet in the image."""
    output = subprocess.check_output(["kubelet", "--version"], text=True)
    major, minor, _ = output.split()[-1].removeprefix("v").split(".", 2)
    return int(major), int(minor)


def lacks_sys_resource() -> bool:
    """Whether this node cannot lower an oom_score_adj (see the lab's runtime shim)."""
    status = Path("/proc/self/status").read_text()
    return not int(status.partition("CapBnd:")[2].split()[0], 16) >> CAP_SYS_RESOURCE & 1
