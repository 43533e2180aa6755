"""Whose the objects in Docker and the stack's own folder are. Read-only."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from runtime_observability.core.naming import NODE_FOLDER, Names
from runtime_observability.core.observation import Record
from runtime_observability.core.problem import Problem
from runtime_observability.host import store
from runtime_observability.host.docker import ClusterNodes, Daemon, Owned
from runtime_observability.host.files import is_folder, take_back

FOLDER = "project folder"
"""The key of the problem with a folder that was moved or copied."""


def refuse_a_claimed_folder(names: Names) -> list[Problem]:
    """Why the stack's own folder is another Pulumi stack's; empty if it is free or this one's.

    Two organizations, projects or users can have a stack of one name in one project folder. A claim
    from another project folder came with a copy and claims nothing here.
    """
    try:
        claim = _read_claim(names)
    except PermissionError:
        if not is_folder(names.directory):  # the folder above is closed, and `disk` tells that
            return []
        return [
            Problem(
                "stack name",
                f"{names.directory} belongs to another user of this machine",
                "a stack's files are for the user who created it",
                f"run {taking} if a run with sudo made it, else choose another stack name"
                if (taking := take_back(names.directory))
                else "choose another stack name",
            )
        ]
    holder = claim.get("pulumiStack", "")
    if claim.get("folder") != str(names.folder) or holder in ("", names.pulumi_stack):
        return []
    return [
        Problem(
            "stack name",
            f"{names.directory} belongs to the Pulumi stack {holder}",
            f"{names.pulumi_stack} would take that stack's containers and cluster for its own",
            f"choose another stack name, or run `pulumi destroy --stack {holder}`"
            f"{_where_pulumi_takes_it(holder, names.pulumi_stack)} first; remove "
            f"{names.claim_file} if that is only an earlier name of this stack",
        )
    ]


def _where_pulumi_takes_it(holder: str, stack: str) -> str:
    """Pulumi refuses another project's stack in a folder whose Pulumi.yaml has this one's name:
    "provided project name doesn't match Pulumi.yaml" (seen with v3.259.0)."""
    same_project = holder.split("/")[1:-1] == stack.split("/")[1:-1]
    return "" if same_project else " in a folder that has no Pulumi.yaml, nor one above it,"


def _is_another(engine: Daemon, record: Record) -> bool:
    """Whether the stack was made in another daemon; False where that is not known."""
    return bool(record.daemon and engine.id and record.daemon != engine.id)


def advise_on_another_daemon(
    names: Names, record: Record, engine: Daemon, found: Sequence[Owned]
) -> list[str]:
    """A warning where none of the stack is in this daemon, and another had it: that may have been
    at the same address, as where two programs for Docker take turns, or one had its data elsewhere.

    ``found`` are the containers and networks. Some daemons have another id at each start.
    """
    if not _is_another(engine, record) or any(each.owner == names.owner for each in found):
        return []
    return [
        f"nothing of stack {names.stack} is in this Docker, and another had it: Docker was reset, "
        "keeps its data elsewhere now, or another answers at its address. Up makes all anew here, "
        "and Pulumi forgets what that one has: if it still exists, go back to it first"
    ]


def refuse_another_daemon(
    names: Names, record: Record, engine: Daemon, address: str
) -> list[Problem]:
    """Why a stack that is in another daemon stays there: its cluster would be forgotten.

    Two addresses can be of one daemon, and a daemon that was reset at its address has lost the
    stack. ``address`` is that of ``engine``.
    """
    if not _is_another(engine, record) or record.docker_host in ("", address):
        return []
    return [
        Problem(
            "Docker",
            f"stack {names.stack} is in the daemon at {record.docker_host}, and this is another, "
            f"{address}",
            "its cluster would stay there, forgotten",
            f"run with DOCKER_HOST={record.docker_host}, and `pulumi destroy` there first to move "
            f"the stack; remove {names.record} if that daemon is gone with "
            "everything in it",
        )
    ]


def refuse_objects_of_others(
    names: Names,
    containers: Sequence[Owned],
    networks: Sequence[Owned],
    further: Sequence[str] = (),
) -> list[Problem]:
    """Names are unique in a daemon: what another owner holds is neither used nor removed.

    ``further``: the containers that the stack wants beside Jaeger and the collector. k3d fails
    where one has the name of a node, and then removes it with what it has made.
    """
    strangers = [
        stranger
        for stranger in (
            *_holding_a_name(names, containers, networks, further),
            *_of_a_like_name(names, containers, networks),
        )
        if stranger.owner != names.owner
    ]
    origin = _origin(names)
    left_there = [
        stranger for stranger in strangers if origin is not None and stranger.folder == str(origin)
    ]
    problems = [_taken(stranger) for stranger in strangers if stranger not in left_there]
    if origin is not None and left_there:
        problems.append(_moved_or_copied(names, origin, left_there[0]))
    return problems


def advise_on_added_nodes(names: Names, containers: Sequence[Owned]) -> list[str]:
    """A warning for each node that somebody added to the stack's cluster."""
    added = ClusterNodes.of(containers, names.cluster, names.owner).added
    return [
        f"node {node.name} of cluster {names.cluster} is not this stack's and is left as it is; it "
        f"goes with the cluster, and `k3d node delete {node.name}` removes it alone"
        for node in added
    ]


def _holding_a_name(
    names: Names,
    containers: Sequence[Owned],
    networks: Sequence[Owned],
    further: Sequence[str],
) -> list[Owned]:
    wanted = (names.jaeger, names.collector, *further)
    return [
        *(
            container
            for container in containers
            if container.name in wanted and container.cluster != names.cluster
        ),
        *ClusterNodes.of(containers, names.cluster, names.owner).foreign,
        *(network for network in networks if network.name == names.network),
    ]


def _of_a_like_name(
    names: Names, containers: Sequence[Owned], networks: Sequence[Owned]
) -> list[Owned]:
    """For a stack that has nothing yet: ``traced-a-jaeger`` is the network of stack a-jaeger and
    the container of stack a, and most docker commands take either for such a name."""
    if is_there(names.directory) or any(
        found.owner == names.owner for found in (*containers, *networks)
    ):
        return []
    return [
        *(container for container in containers if container.name == names.network),
        *(network for network in networks if network.name in (names.jaeger, names.collector)),
    ]


def _taken(stranger: Owned) -> Problem:
    seen = f"{stranger.name} is taken by {stranger.whose}"
    if not stranger.folder or is_there(Path(stranger.folder)):
        return Problem("stack name", seen, cure="destroy that first, or choose another stack name")
    return Problem(
        "stack name",
        seen,
        "that folder is gone",
        f"run `pulumi destroy --stack {shlex.quote(stranger.stack)}`, which works without it, or "
        "choose another stack name",
    )


def _moved_or_copied(names: Names, origin: Path, left: Owned) -> Problem:
    here, there = shlex.quote(str(names.folder)), shlex.quote(str(origin))
    # Docker makes a mount's source again where it is gone: a folder alone is no project.
    if is_there(origin / "Pulumi.yaml"):
        return Problem(
            FOLDER,
            f"it is a copy of {origin}, where stack {left.stack} has {left.name}",
            "this folder's Pulumi stack is that folder's, so `pulumi destroy` here would remove it",
            f"go on in that folder, `cd {there}`, or give this one a stack of its own: "
            "`pulumi stack init NAME`",
        )
    destroy = f"run `pulumi destroy --stack {shlex.quote(left.stack)}` and then `pulumi up`"
    can_go_back = not is_there(origin) and is_there(origin.parent)
    return Problem(
        FOLDER,
        f"it was moved here from {origin}, where stack {left.stack} made {left.name}",
        "the nodes still mount files below the old path",
        f"move it back to keep the cluster: `mv {here} {there}`; or {destroy}"
        if can_go_back
        else destroy,
    )


def _origin(names: Names) -> Path | None:
    """The other project folder that the files in the stack's own folder are of."""
    try:
        claimed = _read_claim(names).get("folder", "")
    except PermissionError:
        return None
    folder = Path(claimed) if claimed else _recorded_folder(names)
    return None if folder == names.folder else folder


def _recorded_folder(names: Names) -> Path | None:
    """Where the nodes' files were when the cluster was made; releases before the claim have no
    other record of it."""
    record = store.load(names)
    below = f"/{names.node_directory.relative_to(names.state_folder.parent)}"
    try:
        volumes = [entry["volume"] for entry in record.spec["k3d"]["volumes"]] if record else []
    except (LookupError, TypeError):
        return None
    for volume in volumes:
        source, _, target = volume.partition(":")
        if target.startswith(NODE_FOLDER) and source.endswith(below):
            return Path(source.removesuffix(below))
    return None


def _read_claim(names: Names) -> dict[str, str]:
    """The claim on the stack's own folder; empty where there is none that can be read.

    Raises PermissionError in a folder of another user.
    """
    try:
        claim = json.loads(names.claim_file.read_text(encoding="utf-8"))
    except PermissionError:
        raise
    except (OSError, ValueError):
        return {}
    return {key: str(value) for key, value in claim.items()} if isinstance(claim, dict) else {}


def is_there(path: Path) -> bool:
    """Whether ``path`` exists; what this user may not see does."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True
