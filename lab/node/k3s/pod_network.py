"""The pod network: a bridge on every node, and routes between the nodes."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from .node import CNI_CONFIG, POD_CIDR, Node
from .processes import FatalError, run


def configure(cidr: str) -> None:
    """Configure containerd's network for this node's pods; a node without it is not Ready."""
    rule = ("POSTROUTING", "-s", POD_CIDR, "!", "-d", POD_CIDR, "-j", "MASQUERADE")
    if not run("iptables", "-w", "-t", "nat", "-C", *rule, check=False):
        run("iptables", "-w", "-t", "nat", "-A", *rule)
    bridge = {
        "type": "bridge", "bridge": "cni0", "isDefaultGateway": True, "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": cidr}]]},
    }  # fmt: skip
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    new = CNI_CONFIG / ".new"
    new.write_text(json.dumps({"cniVersion": "1.0.0", "name": "cbr0", "plugins": plugins}))
    new.rename(CNI_CONFIG / "10-bridge.conflist")


def follow_nodes(node: Node) -> None:
    """Keep this node's pod network and its routes to other nodes, like flannel; never returns."""
    routes: dict[str, str] = {}
    while True:
        # However the watch ends, the next one begins with the whole list of nodes.
        with contextlib.suppress(OSError, ValueError, FatalError):
            for line in node.get("/api/v1/nodes?watch=1", "kube-proxy", timeout=None):
                event = json.loads(line)
                apply(node, routes, event["object"], gone=event["type"] == "DELETED")
        time.sleep(1)


def apply(node: Node, routes: dict[str, str], other: dict[str, Any], *, gone: bool) -> None:
    """Apply one event of a node; `routes` holds what is configured, an address for every CIDR."""
    cidr = other.get("spec", {}).get("podCIDR")
    addresses = other.get("status", {}).get("addresses", [])
    ip = next((entry["address"] for entry in addresses if entry["type"] == "InternalIP"), None)
    if gone and cidr in routes:
        run("ip", "route", "delete", cidr, check=False)
        del routes[cidr]
    elif cidr and ip and not gone and routes.get(cidr) != ip:
        if other["metadata"]["name"] != node.name:
            run("ip", "route", "replace", cidr, "via", ip)
        else:
            configure(cidr)
            if node.is_server:  # the cloud controller of k3s gives it this role
                roles = ("control-plane", "etcd") if node.is_one_of_several else ("control-plane",)
                labels = (f"node-role.kubernetes.io/{role}=true" for role in roles)
                run("kubectl", "label", "--overwrite", "node", node.name, *labels)
        routes[cidr] = ip
