"""Names that ``k3sArgs`` give nodes: k3s lets no second node of a name join a cluster.

Nodes with the same arguments are rehearsed in one of them, which never meets the other.
"""

from __future__ import annotations

from runtime_observability.core.problem import Problem
from runtime_observability.core.settings.k3s_arguments import selects, split_k3s_argument
from runtime_observability.core.settings.model import Settings

_NAME, _UNIQUE = "--node-name=", "--with-node-id"


def refuse(settings: Settings) -> list[Problem]:
    counts = {"server": settings.servers, "agent": settings.agents}
    given: dict[str, list[tuple[int, str, str]]] = {}
    for role, count in counts.items():
        for index in range(count):
            if found := _name(settings, role, index):
                number, name = found  # k3s makes its letters small
                given.setdefault(name.lower(), []).append((number, name, f"{role}:{index}"))
    problems = []
    for same in given.values():
        number, name, first = same[0]
        if len(same) > 1:
            nodes = ", ".join(node for _, _, node in same)
            problems.append(
                Problem(
                    f"k3sArgs.{number}",
                    f"{_NAME}{name} would be the name of {len(same)} nodes: {nodes}",
                    "k3s lets no second node of a name join",
                    f"name each, for instance {_NAME}NAME@{first}",
                )
            )
    return problems


def _name(settings: Settings, role: str, index: int) -> tuple[int, str] | None:
    """The name of a node, with the number of the argument that gives it; None: one of its own."""
    found = None
    for number, text in enumerate(settings.k3s_args):
        argument, filters = split_k3s_argument(text)
        if not any(selects(node_filter, role, index) for node_filter in filters):
            continue
        if argument in (_UNIQUE, f"{_UNIQUE}=true"):
            return None
        if argument.startswith(_NAME):
            found = number, argument.removeprefix(_NAME)
    return found
