"""What to do with the stack's cluster, decided from its containers alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from runtime_observability.host import runner
from runtime_observability.host.docker import Owned


class Action(Enum):
    CREATE = "create"
    START = "start"
    ADOPT = "adopt"
    RECREATE = "recreate"


@dataclass(frozen=True)
class Decision:
    """What to do with the cluster, and the reason to log."""

    action: Action
    reason: str


def decide(
    found: Sequence[Owned],
    wanted: Sequence[str],
    digest: str,
    *,
    servers: int,
    begun: Collection[str] = (),
    torn: Collection[str] = (),
) -> Decision:
    """What to do with the cluster. Raises CommandError where only a person may decide.

    ``found`` are all containers with k3d's label of the cluster, without nodes of others;
    ``wanted`` the names of the nodes that it should have, of which the first ``servers`` are
    servers; ``digest`` identifies the configuration that they are created from; ``begun``: the
    nodes of a creation that is not known to have ever been complete. If all of them were started,
    somebody may use them, and what else is wanted can be added. ``torn`` are those of them that
    Docker did not finish.
    """
    if not found:
        return Decision(Action.CREATE, "it does not exist")
    there = {node.name: node for node in found if node.role in ("server", "agent")}
    if not any(name in there for name in wanted[:servers]):
        others = [node.name for node in there.values() if node.role == "server"]
        if others and not begun:  # `docker rename`, of the very cluster with all it has
            raise runner.CommandError(
                f"{wanted[0]} is missing, and {', '.join(others)} is a server of it: if that was "
                f"renamed, run `docker rename {others[0]} {wanted[0]}`. It is left as it is"
            )
        return Decision(Action.RECREATE, "it has no server")
    problems = [f"{name} is missing" for name in wanted[:servers] if name not in there]
    problems += [
        f"{name} was created from another configuration: `pulumi up` without --target and "
        "--exclude replaces it, unless Pulumi's state is older than the cluster"
        for name, node in there.items()
        if node.spec != digest
    ]
    if begun:
        problems += [
            f"{name} never started"
            for name in begun
            if name not in there or there[name].state == "created"
        ]
        problems += [f"Docker was killed while it created {name}" for name in torn]
        if problems:
            return Decision(Action.RECREATE, f"it was never complete: {problems[-1]}")
    elif problems:
        raise runner.CommandError(f"{'; '.join(problems)}. It is left as it is")
    stopped = [name for name in wanted if name in there and there[name].state != "running"]
    if stopped:
        return Decision(Action.START, f"these nodes are stopped: {', '.join(stopped)}")
    return Decision(Action.ADOPT, "all its nodes are running")
