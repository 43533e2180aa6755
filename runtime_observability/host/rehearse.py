"""Sees a new cluster start before the old one is changed: run with ``python -m``.

Reads ``{"stack", "folder", "stateFolder", "spec", "digest", "files", "on"}`` on stdin and prints
``{"digest", "rehearsed", "seconds"}``. It starts nothing unless it is ``on``, this stack's cluster
stands and either was created from another configuration than ``digest``, or will restart with other
registries. Where the new configuration does not start it fails, so that Pulumi never comes to the
old cluster. At the end a cluster of another ``digest`` may be deleted, and one of this may not.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from runtime_observability.core import cluster_spec, documents, naming, rehearsal, transition
from runtime_observability.core.cluster_spec import ClusterSpec, Port
from runtime_observability.core.naming import Names
from runtime_observability.core.settings.node_extras import (
    is_read_only,
    split_node_volume,
)
from runtime_observability.host import (
    addresses,
    cluster_ready,
    docker,
    k3d,
    k3s_files,
    ports,
    runner,
    store,
    tools_image,
)
from runtime_observability.host.cluster_lock import locked
from runtime_observability.host.files import is_folder, write_private
from runtime_observability.host.k3d import NodeWatch
from runtime_observability.host.progress import log

_EXTRA_SECONDS = 60
"""Time for k3d itself, in addition to its timeout for the nodes."""
CURE = (
    "`pulumi config set rehearseReplacement false` replaces a cluster without a rehearsal, and its "
    "workloads are lost also where the new one does not start"
)
_MACHINE = re.compile(r"no space left on device|cannot connect to the docker daemon", re.IGNORECASE)
"""In errors that no configuration is the reason of."""
_NO_ADDRESSES = re.compile("address pool", re.IGNORECASE)


class RefusedError(runner.CommandError):
    """The new configuration does not start, or could not beside what runs on this machine."""


def sweep(names: Names) -> None:
    """Removes what a rehearsal made, finished or not. Raises CommandError if that fails."""
    values = {"REHEARSAL": names.rehearsal, "DIRECTORY": str(names.directory)}
    runner.run_script("sweep_rehearsal.sh", values).checked()


def what_follows(names: Names, spec: ClusterSpec, digest: str) -> str:
    """What happens to the standing cluster once ``spec`` was seen to start; empty: no risk.

    Of what a node reads again when it restarts, the registries alone are a text of the user's.
    """
    nodes = docker.ClusterNodes.of(docker.containers(), names.cluster, names.owner)
    created_from = nodes.created_from
    if created_from - {digest}:
        return "it is replaced now"
    record = store.load(names)
    if not created_from or not record or not spec.registries:
        return ""
    before = ClusterSpec.read(record.spec).registries
    return "its nodes restart now" if before != spec.registries else ""


def rehearse(
    names: Names,
    spec: ClusterSpec,
    files: Mapping[str, str],
    published: Collection[Port],
    lock: int,
) -> None:
    """Starts nodes of ``spec`` beside the cluster, waits until they are ready and removes them.

    They take ``published`` on 127.0.0.1; ``lock`` is the descriptor from ``locked``. Raises
    RefusedError, with the node's own reason, when they do not start.
    """
    folder = names.rehearsal_directory
    stand_ins = _stand_ins(spec, folder / "manifests")
    config = rehearsal.configuration(spec, names, published, stand_ins)
    nodes = rehearsal.nodes(config, names)
    watch = NodeWatch(nodes)
    try:
        for name, text in files.items():
            write_private(folder / names.node_directory.name / name, text)
        labels = names.labels | {naming.SPEC_LABEL: transition.identity(spec)}
        k3d.run(
            k3d.CREATE,
            stdin=documents.dump(cluster_spec.with_labels(config, labels)),
            watch=watch,
            tools_image=spec.tools_image,
            folder=folder,
            lock=lock,
            seconds=int(config["options"]["k3d"]["timeout"].removesuffix("s")) + _EXTRA_SECONDS,
        )
        kubeconfig = folder / names.kubeconfig.name
        write_private(kubeconfig, k3d.kubeconfig(names.rehearsal))
        cluster_ready.wait(kubeconfig, cluster_ready.ReadyCluster.of(spec, nodes), watch)
    except runner.CommandError as error:
        if reason := _of_the_machine(error):
            raise RefusedError(
                f"cluster {names.cluster} stays as it is, and whether the new configuration starts "
                f"is not known: {reason}\nmend that, then run `pulumi up` again"
            ) from None
        raise RefusedError(
            f"the new configuration of cluster {names.cluster} does not start, so the cluster "
            f"stays as it is: {error}\n{CURE}"
        ) from None
    finally:
        sweep(names)


def _stand_ins(spec: ClusterSpec, folder: Path) -> dict[str, str]:
    """Makes an empty file or folder below ``folder`` for each of the nodes' volumes that are kept
    apart, and returns what is mounted for each; empty: nothing.

    k3s writes manifests of its own and makes the folders for them, which the mode and the kind of a
    volume can prevent. A folder that it may write into is as good as the node's own.
    """
    made: dict[str, str] = {}
    for number, volume in enumerate(rehearsal.kept_apart(spec, k3s_files.arguments(spec))):
        source, rest = split_node_volume(volume)
        empty = folder / str(number)
        if not is_folder(source):
            write_private(empty, "")
        elif is_read_only(volume):
            empty.mkdir(mode=0o700, parents=True)
        else:
            made[volume] = ""
            continue
        made[volume] = f"{empty}:{rest}"
    return made


def _of_the_machine(error: runner.CommandError) -> str:
    """What is wrong with Docker or a disk, where that made a rehearsal fail; else empty."""
    if _NO_ADDRESSES.search(str(error)):
        return f"{error}\nDocker has no addresses left for another network: {docker.FREE_ADDRESSES}"
    if _MACHINE.search(str(error)):
        return str(error)
    try:
        docker.daemon()
    except runner.CommandError as gone:
        return f"{gone}\nthe rehearsal ended with: {error}"
    return ""


def refuse_what_is_not_shown(names: Names, spec: ClusterSpec) -> None:
    """Raises RefusedError where the rehearsal could pass and the cluster not start."""
    in_files = k3s_files.arguments(spec)
    for reason in rehearsal.not_shown(spec, names, addresses.subnets(names.network), in_files):
        raise RefusedError(
            f"cluster {names.cluster} stays as it is: its new configuration {reason}.\n{CURE}"
        )


def new_ports(names: Names, spec: ClusterSpec) -> list[Port]:
    """Those of the nodes' ports on 127.0.0.1 that no container of the stack has yet."""
    own = [container for container in docker.containers() if container.owner == names.owner]
    return [
        (port, protocol)
        for port, protocol in spec.host_ports
        if not any(port in container.host_ports(protocol) for container in own)
    ]


def refuse_ports_taken_meanwhile(names: Names, wanted: Collection[Port]) -> None:
    """Raises RefusedError: preflight saw them free, before the rehearsal took and left them."""
    for port, protocol in wanted:
        if not ports.is_free(port, protocol):
            raise RefusedError(
                f"port {port} on 127.0.0.1 was taken meanwhile by another program, so cluster "
                f"{names.cluster} stays as it is: free the port or choose another, then run "
                "`pulumi up` again"
            )


def main() -> int:
    request = json.load(sys.stdin)
    names = Names(request["stack"], Path(request["folder"]), Path(request["stateFolder"]))
    spec = ClusterSpec.read(request["spec"])
    begin = time.monotonic()
    rehearsed = False
    try:
        with locked(names) as lock:
            follows = what_follows(names, spec, request["digest"])
            if follows:
                tools_image.provide(spec.tools_image)
            if follows and request["on"]:
                sweep(names)  # what an interrupted one left has ports, too
                refuse_what_is_not_shown(names, spec)
                wanted = new_ports(names, spec)
                refuse_ports_taken_meanwhile(names, wanted)
                log(f"cluster {names.cluster}: the new configuration is started beside it first")
                rehearse(names, spec, request["files"], wanted, lock)
                refuse_ports_taken_meanwhile(names, wanted)
                rehearsed = True
                log(f"cluster {names.cluster}: the new configuration starts, so {follows}")
            write_private(names.kept, f"{request['digest']}\n")
    except RefusedError as error:
        log(f"error: {error}")
        return 1
    except (runner.CommandError, OSError) as error:
        log(f"error: cluster {names.cluster} stays as it is, and no other one was tried: {error}")
        return 1
    seconds = round(time.monotonic() - begin, 1)
    print(json.dumps({"digest": request["digest"], "rehearsed": rehearsed, "seconds": seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
