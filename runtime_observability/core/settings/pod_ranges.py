"""Ranges of pods' addresses in ``k3sArgs``: Kubernetes gives each node a part of them, and a node
for which none is left is Ready and starts no pod. A rehearsal has fewer nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Network

from runtime_observability.core.problem import Problem
from runtime_observability.core.settings.k3s_arguments import NO_NETWORK_PLUGIN, split_k3s_argument
from runtime_observability.core.settings.model import Settings

_RANGE = "--cluster-cidr="
_OF_A_NODE = 24
"""Kubernetes' default (kubernetes cmd/kube-controller-manager/app/core.go)."""
_MASK = re.compile(
    r"--kube-controller-manager-arg=(?:--)?node-cidr-mask-size(?:-ipv4)?=(\d{1,2})", re.ASCII
)


def refuse(settings: Settings) -> list[Problem]:
    """Of a network plugin of the user's nobody knows whether it takes these ranges."""
    arguments = [split_k3s_argument(text)[0] for text in settings.k3s_args]
    if NO_NETWORK_PLUGIN in arguments:
        return []
    nodes = settings.servers + settings.agents
    masks = [int(found[1]) for found in map(_MASK.fullmatch, arguments) if found]
    mask = masks[-1] if masks else _OF_A_NODE
    return [
        Problem(
            f"k3sArgs.{number}",
            f"{found} has room for {room} of {nodes} nodes",
            f"Kubernetes gives each node a /{mask} of it",
            "choose a larger range",
        )
        for number, text in enumerate(arguments)
        if text.startswith(_RANGE)
        for found in _ranges(text.removeprefix(_RANGE))
        if (room := 2 ** (mask - found.prefixlen) if mask >= found.prefixlen else 0) < nodes
    ]


def _ranges(value: str) -> Iterator[IPv4Network]:
    """Of what is none k3s itself tells."""
    for text in value.split(","):
        try:
            yield IPv4Network(text.strip(), strict=False)
        except ValueError:
            continue
