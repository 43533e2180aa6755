"""Sees a new cluster start before the old one is deleted: run with ``python -m``.

Reads ``{"stack", "folder", "stateFolder", "spec", "digest", "files"}`` on stdin and prints
``{"rehearsed", "seconds"}``. It does nothing unless this stack's cluster stands and was created
from another configuration than ``digest``. Where the new configuration does not start it fails, so
that Pulumi never comes to the old cluster's delete.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from runtime_observability.core import cluster_spec, documents, naming, rehearsal, transition
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.host import cluster_ready, docker, k3d, runner
from runtime_observability.host.cluster_lock import locked
from runtime_observability.host.files import write_private
from runtime_observability.host.k3d import NodeWatch
from runtime_observability.host.progress import log

_EXTRA_SECONDS = 60
"""Time for k3d itself, in addition to its timeout for the node."""
CURE = "`pulumi config set rehearseReplacement false` replaces a cluster without a rehearsal"


class RefusedError(runner.CommandError):
    """The new configuration does not start."""


def sweep(names: Names) -> None:
    """Removes what a rehearsal made, finished or not. Raises CommandError if that fails."""
    values = {"REHEARSAL": names.rehearsal, "DIRECTORY": str(names.directory)}
    runner.run_script("sweep_rehearsal.sh", values).checked()


def is_replacement(names: Names, digest: str) -> bool:
    """Whether a server of this stack's cluster exists that another configuration made."""
    return any(
        container.spec != digest
        for container in docker.containers()
        if (container.cluster, container.owner) == (names.cluster, names.owner)
        and container.role == "server"
    )


def rehearse(names: Names, spec: ClusterSpec, files: Mapping[str, str], lock: int) -> None:
    """Starts one server of ``spec`` beside the cluster, waits until it is ready and removes it.

    ``lock`` is the descriptor from ``locked``. Raises RefusedError, with the node's own reason,
    when it does not start, and CommandError when what an earlier rehearsal left cannot be removed.
    """
    node = f"k3d-{names.rehearsal}-server-0"
    folder = names.rehearsal_directory
    watch = NodeWatch([node])
    sweep(names)
    try:
        for name, text in files.items():
            write_private(folder / names.node_directory.name / name, text)
        config = rehearsal.configuration(spec, names)
        labels = names.labels | {naming.SPEC_LABEL: transition.identity(spec)}
        k3d.run(
            ["cluster", "create", "--config", "-"],
            stdin=documents.dump(cluster_spec.with_labels(config, labels)),
            watch=watch,
            tools_image=spec.tools_image,
            lock=lock,
            seconds=int(rehearsal.TIMEOUT.removesuffix("s")) + _EXTRA_SECONDS,
        )
        kubeconfig = folder / names.kubeconfig.name
        write_private(kubeconfig, k3d.kubeconfig(names.rehearsal))
        cluster_ready.wait(kubeconfig, cluster_ready.Wanted.of(spec, [node]), watch)
    except runner.CommandError as error:
        raise RefusedError(
            f"the new configuration of cluster {names.cluster} does not start, so the cluster "
            f"stays as it is: {error}\n{CURE}"
        ) from None
    finally:
        sweep(names)


def main() -> int:
    request = json.load(sys.stdin)
    names = Names(request["stack"], Path(request["folder"]), Path(request["stateFolder"]))
    begin = time.monotonic()
    rehearsed = False
    try:
        with locked(names) as lock:
            if is_replacement(names, request["digest"]):
                log(f"cluster {names.cluster}: the new configuration is started beside it first")
                rehearse(names, ClusterSpec.read(request["spec"]), request["files"], lock)
                rehearsed = True
                log(f"cluster {names.cluster}: the new configuration starts, so it is replaced now")
    except RefusedError as error:
        log(f"error: {error}")
        return 1
    except (runner.CommandError, OSError) as error:
        log(f"error: cluster {names.cluster} stays as it is, and no other one was tried: {error}")
        return 1
    print(json.dumps({"rehearsed": rehearsed, "seconds": round(time.monotonic() - begin, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
