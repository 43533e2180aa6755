"""Ports on 127.0.0.1 that a stack wants and something else holds: who that is, and the cure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime_observability.core.naming import Names
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings.model import MOST_PORT_OFFSET, PORT_DEFAULTS
from runtime_observability.core.wanted import Wanted
from runtime_observability.host import ports
from runtime_observability.host.docker import Owned

_RESTARTING = "restarting"
"""What Docker calls a container that ended and that it starts again after a pause."""


def refuse(names: Names, wanted: Wanted, containers: Sequence[Owned]) -> list[Problem]:
    """``containers`` are all that Docker has; those of the stack itself hold what they want."""
    return [
        problem
        for protocol, ports_by_key in (("tcp", wanted.host_ports), ("udp", wanted.host_udp_ports))
        for problem in _refuse(names, ports_by_key, containers, wanted.port_offset, protocol)
    ]


def _refuse(
    names: Names,
    ports_by_key: Mapping[str, int],
    containers: Sequence[Owned],
    port_offset: int,
    protocol: str,
) -> list[Problem]:
    holders = {
        port: container for container in containers for port in container.host_ports(protocol)
    }
    own_restarts = any(
        container.owner == names.owner and container.state == _RESTARTING
        for container in containers
    )
    problems = []
    for key, port in ports_by_key.items():
        holder = holders.get(port)
        if holder and holder.owner == names.owner:
            continue
        if holder is None and ports.is_free(port, protocol):
            continue
        if holder is None and ports.is_published_by_docker(port, protocol):
            if own_restarts:  # it has run for a moment since Docker was asked
                continue
            problems.append(_left_to_docker(key, port))
            continue
        who = f"container {holder.whose}" if holder else "another program on this machine"
        problems.append(
            Problem(
                key,
                f"port {port} on 127.0.0.1 is held by {who}",
                cure=_other_port(key, port, port_offset) + _former_name(names, holder, containers),
            )
        )
    return problems


def _left_to_docker(key: str, port: int) -> Problem:
    return Problem(
        key,
        f"port {port} on 127.0.0.1 is held by Docker, though no container has it",
        "a Docker that was killed can leave that to the next one",
        "run this again; if it says the same, restart Docker: `sudo systemctl restart docker`",
    )


def _other_port(key: str, port: int, port_offset: int) -> str:
    """How to give ``key`` another port: portOffset moves those at their defaults, no others."""
    if key not in PORT_DEFAULTS:
        return "publish it on another HOSTPORT"
    if port != PORT_DEFAULTS[key] + port_offset:
        return f"choose another: `pulumi config set {key} {_next(port, 1, 65535)}`"
    return (
        "choose other ports for this stack: "
        f"`pulumi config set portOffset {_next(port_offset, 100, MOST_PORT_OFFSET)}` moves every "
        "port that has its default"
    )


def _next(number: int, step: int, most: int) -> int:
    return number + step if number + step <= most else number - step


def _former_name(names: Names, holder: Owned | None, containers: Sequence[Owned]) -> str:
    """The cure for a stack that was renamed: what it made still has the name from before.

    Another stack of the folder can be a neighbour too, and nothing in Docker tells the two apart.
    """
    if holder is None or holder.folder != str(names.folder):
        return ""
    if names.owner in {container.owner for container in containers}:
        return ""
    return (
        f"; or, if this stack is {holder.stack} renamed, give it back its name: "
        f"`pulumi stack rename {holder.stack}`"
    )
