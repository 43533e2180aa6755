"""Brings the stack's cluster from any state to the wanted one: run with ``python -m``.

Reads ``{"stack", "folder", "stateFolder", "spec", "digest"}`` on stdin, reports its progress on
stderr and prints ``{"instance", "seconds"}``. It can be killed and run again at any point. It
deletes nothing but what was never complete: a cluster that does not come back is left as it is.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from runtime_observability.core import node_cures, transition
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import NODE_IMAGE, Names
from runtime_observability.core.node_image import CURE
from runtime_observability.core.observation import Record
from runtime_observability.host import api_server, docker, k3d, node_volumes, runner, store
from runtime_observability.host.cluster_lock import LockError, locked
from runtime_observability.host.convergence import Convergence, wanted_nodes
from runtime_observability.host.node_files import FilesError
from runtime_observability.host.node_kubectl import AgentsError

_KEEPS_THE_CLUSTER = (AgentsError, LockError, FilesError, k3d.CurableError, OSError)
"""After these, no command is told that makes the cluster anew: it works, or something cures it."""


def begin(names: Names, spec: ClusterSpec, digest: str, generation: int) -> Record:
    """What is known of the cluster when a run begins."""
    record = Record(
        generation,
        False,
        digest,
        spec.document,
        wanted_nodes(names, spec),
        daemon=docker.daemon().id,
        docker_host=os.environ.get("DOCKER_HOST", ""),
    )
    before = store.load(names)
    if before is None or before.digest != digest:
        return record
    record = replace(record, draining=before.draining, adding=before.adding)
    # A release without this knowledge created its nodes from the files that its record names.
    content = before.content or dict.fromkeys(
        before.nodes, transition.content(ClusterSpec.read(before.spec))
    )
    return replace(
        record,
        never_complete=before.never_complete,
        content=content,
        addresses=before.addresses,
    )


def _standing(names: Names) -> list[docker.Owned]:
    """The nodes of the stack's own cluster; none where Docker cannot tell."""
    try:
        nodes = docker.ClusterNodes.of(docker.containers(), names.cluster, names.owner)
    except runner.CommandError:
        return []
    return [] if nodes.foreign else [*nodes.owned]


def _cures(names: Names, nodes: list[docker.Owned], error: str) -> list[str]:
    """What to do with a cluster that does not become ready, what costs least first.

    Without k3d's drain, which `docker restart` would begin and which deletes bare pods.
    """
    if cure := node_cures.other_kind(error):
        return [cure]
    running = sorted(
        node.name for node in nodes if node.role == "server" and node.state == "running"
    )
    start = f"`docker kill {' '.join(running)}`, then" if running else "correct that, then run"
    return [
        f"to start it again, with every object: {start} `pulumi up`",
        f"to create it anew, without its workloads: `k3d cluster delete {names.cluster}`, then "
        "`pulumi up`",
    ]


def main() -> int:
    request = json.load(sys.stdin)
    names = Names(request["stack"], Path(request["folder"]), Path(request["stateFolder"]))
    spec = ClusterSpec.read(request["spec"])
    started = time.monotonic()
    try:
        with locked(names) as lock:
            record = begin(names, spec, request["digest"], int(os.environ["GENERATION"]))
            instance = Convergence(names, spec, record, lock).run()
            node_volumes.note(names, record.nodes)
    except (runner.CommandError, api_server.UnusableKubeconfigError, OSError) as error:
        print(f"error: cluster {names.cluster}: {error}", file=sys.stderr)
        if not isinstance(error, _KEEPS_THE_CLUSTER) and (nodes := _standing(names)):
            print(*_cures(names, nodes, str(error)), sep="\n", file=sys.stderr)
        if spec.image.startswith(f"{NODE_IMAGE}:"):
            print(f"if the upstream containerd is the cause: {CURE}", file=sys.stderr)
        return 1
    print(json.dumps({"instance": instance, "seconds": round(time.monotonic() - started, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
