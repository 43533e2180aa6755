"""Waits until a cluster is ready, as long as it makes progress."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.settings.k3s_arguments import NO_NETWORK_PLUGIN
from runtime_observability.core.transition import named_by_docker
from runtime_observability.host import api_server, k3s_files
from runtime_observability.host.api_server import ApiServer
from runtime_observability.host.k3d import NodeWatch
from runtime_observability.host.progress import log

_STALLED_SECONDS = 120
"""A cluster in which nothing new was seen for this long does not become ready."""
_REPORT_SECONDS = 15
_NO_PLUGIN = tuple(NO_NETWORK_PLUGIN.split("="))
"""As k3s' own configuration file may say it."""
_NO_NETWORK_PLUGIN = "cni plugin not initialized"
"""In the kubelet's message for a node that lacks nothing but a CNI (containerd internal/cri)."""


@dataclass(frozen=True)
class ReadyCluster:
    """What a cluster is when it is ready."""

    nodes: Collection[str]
    """Names of its nodes in Docker."""
    network_plugin: bool = True
    """Whether the nodes have a CNI; without one, a node that lacks nothing else is ready."""
    named_by_docker: bool = True
    """Whether these are their names in Kubernetes too; if not, they are only counted."""
    restarted: Mapping[str, float] = field(default_factory=dict)
    """Unix time in seconds from which on a restarted node's own report counts."""

    @classmethod
    def of(
        cls,
        spec: ClusterSpec,
        nodes: Collection[str],
        restarted: Mapping[str, float] | None = None,
    ) -> ReadyCluster:
        """``nodes`` of a cluster of ``spec``."""
        has_plugin = spec.has_network_plugin and _NO_PLUGIN not in k3s_files.arguments(spec)
        return cls(nodes, has_plugin, named_by_docker(spec.config), restarted or {})


def wait(kubeconfig: Path, wanted: ReadyCluster, watch: NodeWatch) -> float:
    """Waits until the API server answers and the nodes are ready; returns the seconds taken.

    k3d does not wait for this: it returns once the API server runs, and kubelets start later.
    Raises CommandError, with each node's own reason, when a node has failed or nothing new happens.
    """
    begin = time.monotonic()
    seen: set[object] = set()
    progress = reported = begin
    api = ApiServer(kubeconfig)
    while True:
        try:
            states = _states(api.get("/api/v1/nodes")["items"])
            lacking = _lacking(wanted, states)
            if not lacking:
                return time.monotonic() - begin
            state: object = frozenset((node, found.key) for node, found in states.items())
        except api_server.FAILURES as error:
            lacking = {"the API server": api_server.reason(error)}
            state = type(error).__name__, getattr(error, "status", None)
        now = time.monotonic()
        if state not in seen:
            seen.add(state)
            progress = now
        said = "; ".join(f"{node}: {reason}" for node, reason in lacking.items())
        if failure := watch.check():
            raise watch.error(f"{failure} ({said})")
        if now - progress > _STALLED_SECONDS:
            raise watch.error(
                f"nothing new has happened for {_STALLED_SECONDS} s, and it is not ready: {said}"
            )
        if now - reported > _REPORT_SECONDS:
            reported = now
            log(f"waiting for {said}")
        time.sleep(0.25)


@dataclass(frozen=True)
class _State:
    """What a node says of itself in its condition Ready."""

    ready: bool = False
    reason: str = "it has not reported yet"
    message: str = ""
    reported: float = 0
    """Unix time in whole seconds."""

    @property
    def key(self) -> object:
        """What counts as news of it; a message can have a clock in it."""
        return self.ready, self.reason


def _states(nodes: list[Any]) -> dict[str, _State]:
    return {
        node["metadata"]["name"]: _state(node["status"].get("conditions", [])) for node in nodes
    }


def _state(conditions: list[dict[str, Any]]) -> _State:
    for condition in conditions:
        if condition["type"] == "Ready":
            heartbeat = condition.get("lastHeartbeatTime")
            return _State(
                condition["status"] == "True",
                condition.get("reason", ""),
                condition.get("message", ""),
                datetime.fromisoformat(heartbeat).timestamp() if heartbeat else 0,
            )
    return _State()


def _lacking(wanted: ReadyCluster, states: Mapping[str, _State]) -> dict[str, str]:
    """Why each node that is not ready is not."""

    def is_ready(state: _State) -> bool:
        return state.ready or (not wanted.network_plugin and _NO_NETWORK_PLUGIN in state.message)

    if not wanted.named_by_docker:
        ready, number = sum(map(is_ready, states.values())), len(wanted.nodes)
        return {} if ready >= number else {"the cluster": f"{ready} of {number} nodes are ready"}
    lacking = {}
    for name in wanted.nodes:
        state = states.get(name)
        if state is None:
            lacking[name] = "it has not joined"
        elif state.reported < int(wanted.restarted.get(name, 0)):
            lacking[name] = "it has not reported since its restart"
        elif not is_ready(state):
            lacking[name] = state.message or state.reason
    return lacking
