"""What has nodes start again, by what their logs say. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

_NO_INOTIFY = re.compile(r"(inotify|fsnotify).*too many open files")
_INOTIFY_CURE = (
    "this machine allows too few inotify instances for its nodes: "
    "`sudo sysctl -w fs.inotify.max_user_instances=512` allows more, and `ktrace doctor` shows the "
    "limit"
)
_NO_LOGS = "logging driver does not support reading"
"""What Docker says where it keeps none (moby v28.5.2 daemon/logger/logger.go)."""
_NO_LOGS_CURE = (
    "Docker keeps no logs of its containers, and k3d waits for a line in each node's log: set "
    '`"log-driver": "json-file"` or "local" in Docker\'s `daemon.json`, restart Docker, then run '
    "`pulumi up` again"
)
_NO_ADDRESS = "no available IPv4 addresses on this network's address pools"
"""What Docker says where a network has none for another container (seen with 20.10.24)."""
_NO_ADDRESS_CURE = (
    "Docker gave the stack's network too few addresses for its containers, of which k3d starts one "
    "more while it works: set fewer `agents`, then run `pulumi up` again; or let "
    "`default-address-pools` in Docker's `daemon.json` have a smaller `size`, such as 24, restart "
    "Docker, and run `pulumi destroy`, which costs the workloads, and `pulumi up`"
)
_BY_WEBHOOK = re.compile(
    r"(?:update lease|ensure lease|node status|status for node|register node)"
    r'.*(?:failed calling|admission) webhook \\*"(?P<webhook>[^"\\]+)'
)
"""What a node's kubelet writes of the node is refused."""
_WEBHOOK_CURE = (
    "this webhook refuses what nodes write of themselves: set its failurePolicy to Ignore or "
    "delete its configuration, of which `kubectl get validatingwebhookconfigurations,"
    "mutatingwebhookconfigurations` lists all, then run `pulumi up` again"
)
_ROTATED = "encrypted with different token"
"""A server's datastore has the key of another token (k3s pkg/cluster/storage.go)."""
_ROTATED_CURE = (
    "the cluster has another token than its nodes were made with, as after `k3s token rotate`, and "
    "is whole. Write `token: NEW` into /etc/rancher/k3s/config.yaml of each node, with what its "
    "first server has in /var/lib/rancher/k3s/server/token (`docker exec` and `docker cp` reach "
    "both), and `docker restart` it; then run `pulumi up` again"
)
_REMOVED = "this node has been removed from the cluster"
"""A server's etcd is no member of the cluster any more (k3s pkg/daemons/executor/etcd.go)."""
_MOUNT = re.compile(
    r"(?:\bmount (?P<by_docker>/[^:\n]+):/"
    r'|\berror mounting \\*"(?P<by_runc>/[^"\\\n]+)\\*" to rootfs)'
    r".*?\bnot a directory\b",
    re.DOTALL,
)
"""Docker, and what starts containers for it, of a file over a folder, or the other way round."""
_START = "Starting k3s "
"""What k3s logs first: Docker keeps the logs of all starts."""


def cures(logs: Mapping[str, str], servers: Sequence[str]) -> Iterator[str]:
    """``logs``: those of nodes, of their containerd and of k3d, by name; ``servers``: those of the
    nodes that are servers, the first one first."""
    now = {name: log.rpartition(_START)[2] for name, log in logs.items()}
    refusals = map(_BY_WEBHOOK.search, logs.values())
    for webhook in sorted({refusal["webhook"] for refusal in refusals if refusal}):
        yield f"{webhook}: {_WEBHOOK_CURE}"
    if any(_ROTATED in log for log in now.values()):
        yield _ROTATED_CURE
    if servers[1:] and _REMOVED in now[servers[0]]:
        yield rejoin(servers)
    if any(map(_NO_INOTIFY.search, logs.values())):
        yield _INOTIFY_CURE
    if any(_NO_LOGS in log for log in logs.values()):
        yield _NO_LOGS_CURE
    if any(_NO_ADDRESS in log for log in logs.values()):
        yield _NO_ADDRESS_CURE


def rejoin(servers: Sequence[str]) -> str:
    """How the first of several ``servers`` joins the others, where Kubernetes has its Node no more.

    With the Node k3s removes a server from etcd, and it joins again when it starts; but the first
    one, which is told no other, begins a cluster (k3s pkg/etcd/etcd.go, Start).
    """
    first, second, *_ = servers
    return (
        f"the other servers have the cluster, and {first} is none of it any more, as after "
        f"`kubectl delete node`. Restarted as it is, it would begin an empty one: write "
        f"`server: https://{second}:6443` into its /etc/rancher/k3s/config.yaml (`docker exec`), "
        "`docker restart` it, then run `pulumi up` again"
    )


def other_kind(error: str) -> str:
    """What to do where ``error`` says that a node cannot mount what it was created with; else
    empty. Docker makes a folder of a file that is gone when it starts a container."""
    found = _MOUNT.search(error)
    if not found:
        return ""
    source = found["by_docker"] or found["by_runc"]
    return (
        f"{source} was a file when the nodes were created and is a folder now, or the other way "
        "round: Docker makes an empty folder of a file that is gone. Put it back as it was, then "
        "run `pulumi up` again: the cluster is whole"
    )
