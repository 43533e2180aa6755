"""The server's own part: etcd, the API server, the controllers, and the output that k3d reads."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from . import etcd
from .certificates import (
    CA,
    TLS,
    certificate,
    certify,
    key,
    make_kubeconfig,
    make_serving,
    write_private,
)
from .node import API_SERVICE_IP, COREDNS, KUBECONFIG, POD_CIDR, SERVICE_CIDR, Node
from .processes import Components, listens, log, merged

API_PORT = 6443
ISSUER = "https://kubernetes.default.svc.cluster.local"
API_NAMES = (
    "kubernetes", "kubernetes.default", "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local", "localhost", "127.0.0.1", API_SERVICE_IP,
)  # fmt: skip
COREDNS_MANIFEST = """\
# Written for k3d, which adds its host records here. This stand-in for k3s runs no CoreDNS.
apiVersion: v1
kind: ConfigMap
metadata:
  name: coredns
  namespace: kube-system
data:
  NodeHosts: ""
"""


def start(node: Node, components: Components) -> None:
    """Start etcd and the API server, and the controllers once the API server is ready."""
    make_kubeconfig("admin", "system:admin", "system:masters", node.server)
    etcd.start(node, components)
    make_serving("kube-apiserver", "/CN=kube-apiserver",
                 [*API_NAMES, node.name, node.ip, *node.options.tls_san])  # fmt: skip
    certify("auth-proxy", "/CN=system:auth-proxy", ("extendedKeyUsage=clientAuth",))
    components.start("kube-apiserver", merged(api_server_arguments(node),
                                              node.options.kube_apiserver_arg))  # fmt: skip
    controllers: dict[str, dict[str, str]] = {
        "kube-controller-manager": {
            "service-account-private-key-file": key("service-account"), "root-ca-file": CA,
            "cluster-signing-cert-file": CA, "cluster-signing-key-file": key("ca"),
            "allocate-node-cidrs": "true", "cluster-cidr": POD_CIDR,
            "service-cluster-ip-range": SERVICE_CIDR, "use-service-account-credentials": "true",
        },
        "kube-scheduler": {},
    }  # fmt: skip
    kubeconfigs = {
        name: make_kubeconfig(name, f"system:{name}", f"system:{name}", node.server)
        for name in controllers
    }
    components.wait_until(lambda: is_ready(node))
    for name, path in kubeconfigs.items():
        components.start(name, merged({
            "kubeconfig": path, "authorization-kubeconfig": path,
            "authentication-kubeconfig": path, "bind-address": "127.0.0.1",
            "leader-elect": str(node.is_one_of_several).lower(), "profiling": "false",
            **controllers[name],
        }, ()))  # fmt: skip


def api_server_arguments(node: Node) -> dict[str, str]:
    """Return k3s' defaults (pkg/daemons/control/server.go), with one CA instead of its three."""
    return {
        "etcd-servers": etcd.LOCAL, "etcd-cafile": CA,
        "etcd-certfile": certificate("admin"), "etcd-keyfile": key("admin"),
        "tls-cert-file": certificate("kube-apiserver"),
        "tls-private-key-file": key("kube-apiserver"),
        "secure-port": str(API_PORT), "advertise-address": node.ip,
        "client-ca-file": CA, "anonymous-auth": "false", "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction", "allow-privileged": "true",
        "kubelet-certificate-authority": CA,
        "kubelet-client-certificate": certificate("admin"), "kubelet-client-key": key("admin"),
        "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
        "requestheader-client-ca-file": CA, "requestheader-allowed-names": "system:auth-proxy",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": certificate("auth-proxy"),
        "proxy-client-key-file": key("auth-proxy"),
        "service-account-signing-key-file": key("service-account"),
        "service-account-key-file": key("service-account"),
        "service-account-issuer": ISSUER, "api-audiences": f"{ISSUER},k3s",
        "service-cluster-ip-range": SERVICE_CIDR, "profiling": "false",
    }  # fmt: skip


def is_ready(node: Node) -> bool:
    """Whether the API server listens and reports that it is ready."""
    with contextlib.suppress(OSError):
        return listens(API_PORT) and node.get("/readyz", "admin", timeout=5).status == 200
    return False


def announce() -> None:
    """Write the kubeconfig and CoreDNS manifest that k3d reads, and log what k3d waits for."""
    output = Path(os.environ.get("K3S_KUBECONFIG_OUTPUT", str(KUBECONFIG)))
    for folder in (output.parent, KUBECONFIG.parent, COREDNS.parent):
        folder.mkdir(parents=True, exist_ok=True)
    write_private(output, (TLS / "admin.kubeconfig").read_text())
    if output != KUBECONFIG:
        KUBECONFIG.unlink(missing_ok=True)
        KUBECONFIG.symlink_to(output)
    log("info", "k3s is up and running")
    if not COREDNS.exists():
        COREDNS.write_text(COREDNS_MANIFEST)
    log("info", "Cluster dns configmap has been set successfully")
