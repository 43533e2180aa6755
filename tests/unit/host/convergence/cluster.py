"""What tests of ensure make, run and look at."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.core.transition import content, identity
from runtime_observability.host import api_drift, api_server, convergence, ensure, store
from runtime_observability.host.cluster_lock import locked
from runtime_observability.host.convergence import Convergence
from runtime_observability.host.http import httpx
from tests import configuration
from tests.configuration import parsed
from tests.fakes.daemon import FakeDaemon


def spec_of(names: Names, **settings: Any) -> ClusterSpec:
    return configuration.spec_of(names, parsed(**settings))


waits: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
"""The nodes of each wait, and those of them that were restarted."""


def run(names: Names, spec: ClusterSpec) -> str:
    with locked(names) as lock:
        record = ensure.begin(names, spec, identity(spec), 7)
        return Convergence(names, spec, record, lock).run()


def remember(names: Names, spec: ClusterSpec, **changes: Any) -> None:
    """Writes down what an earlier run left: a complete cluster, or with ``changes`` another."""
    wanted = convergence.wanted_nodes(names, spec)
    complete = Record(
        6, True, identity(spec), spec.document, wanted,
        content=dict.fromkeys(wanted, content(spec)),
    )  # fmt: skip
    store.save(names, replace(complete, **changes))


def nodes(daemon: FakeDaemon, names: Names, spec: str, **values: Any) -> None:
    daemon.network(names.network)
    daemon.node(names, "server", spec=spec, **values)
    daemon.node(names, "agent", spec=spec, **values)


def standing(daemon: FakeDaemon, names: Names, spec: ClusterSpec, **life: str) -> None:
    """A complete cluster, as an earlier run left it."""
    nodes(daemon, names, identity(spec), **life)
    remember(names, spec)


def now() -> str:
    """As Docker tells a time."""
    return datetime.now(UTC).isoformat()


def changes(daemon: FakeDaemon) -> list[str]:
    """What changed the cluster: the verb of each `k3d cluster`, "remove" for each `docker rm`."""
    verbs = []
    for call in daemon.executables.calls:
        match call.argv:
            case ("k3d", "cluster", verb, *_):
                verbs.append(verb)
            case ("docker", "rm", *_):
                verbs.append("remove")
            case ("docker", "kill" | "create" | "unpause" as verb, *_, _):
                verbs.append(f"docker {verb}")
            case ("docker", "network", "connect" | "disconnect" as verb, *_):
                verbs.append(f"network {verb}")
            case ("docker", "exec", *_, "--dry-run=server"):
                continue
            case ("docker", "exec", _, "kubectl", verb, *_) if verb != "get":
                verbs.append(f"kubectl {verb}")
    return verbs


@dataclass(frozen=True)
class Answering:
    """An API server that answers /readyz with one status, and knows ``nodes``."""

    code: int
    nodes: tuple[str, ...] | None = None
    ready: Mapping[str, list[str]] = field(default_factory=dict)
    """Of nodes: the status of their condition Ready in each look, the last one from then on."""

    def to_ensure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api_drift, "ApiServer", lambda _: contextlib.nullcontext(self))

    def status(self, path: str) -> int:
        assert path == "/readyz"
        return self.code

    def get(self, path: str) -> dict[str, Any]:
        assert path == "/api/v1/nodes"
        if self.nodes is None:
            raise api_server.ApiError(httpx.Response(503))
        return {"items": [self._node(name) for name in self.nodes]}

    def _node(self, name: str) -> dict[str, Any]:
        statuses = self.ready.get(name, ["True"])
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        conditions = [{"type": "Ready", "status": status}]
        return {"metadata": {"name": name}, "status": {"conditions": conditions}}


REGISTRIES = "/etc/rancher/k3s/registries.yaml"


def node(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """As the API server lists it."""
    return {"metadata": {"name": name, "labels": labels}}


def volume(name: str, nodes: list[str], **spec: Any) -> dict[str, Any]:
    """As local-path makes it, which comes with k3s."""
    rule = {"key": "kubernetes.io/hostname", "operator": "In", "values": nodes}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}}
    return {"metadata": {"name": name}, "spec": {"nodeAffinity": affinity, **spec}}


def command(names: Names, spec: ClusterSpec, monkeypatch: pytest.MonkeyPatch) -> int:
    request = {
        "stack": names.stack,
        "folder": str(names.folder),
        "stateFolder": str(names.state_folder),
        "spec": spec.document,
        "digest": identity(spec),
    }
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
    monkeypatch.setenv("GENERATION", "7")
    return ensure.main()
