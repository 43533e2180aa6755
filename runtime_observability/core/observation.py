"""What was found on the machine, as values: the look itself is ``host.preflight``'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from runtime_observability.core.problem import Problem


def gone(node: str) -> str:
    """The drift of a ``node`` whose container is missing."""
    return f"node {node} is gone"


def unknown(node: str) -> str:
    """The drift of a ``node`` that Kubernetes does not have, as after `kubectl delete node`."""
    return f"node {node} runs, and the API server does not know it"


def unready(cluster: str) -> str:
    """How the drift of a ``cluster`` begins whose API server does not answer, or is not ready."""
    return f"the API server of cluster {cluster} "


@dataclass(frozen=True)
class Record:
    """What ensure last made of a stack's cluster.

    ``complete`` is False from the moment ensure begins until it has succeeded.
    """

    generation: int
    complete: bool
    digest: str
    """Of the spec that the nodes were created from; each has it as a label."""
    spec: dict[str, Any]
    nodes: tuple[str, ...]
    """Container names of all nodes."""
    never_complete: bool = False
    """Whether the cluster is being created and has never been complete: nothing runs in it."""
    content: dict[str, str] = field(default_factory=dict)
    """By node: which content of its files (core.transition) it has started with; absent: that of
    ``spec``; empty: not known, because its start was interrupted."""
    draining: str = ""
    """The agent that is being drained, which takes no pods; empty: none."""
    adding: list[str] = field(default_factory=list)
    """The agents that are being made, of which it is not known whether Docker finished them."""
    daemon: str = ""
    """The id of the Docker daemon; empty in the records of the first releases."""
    docker_host: str = ""
    """That daemon's address when the record was written."""
    addresses: dict[str, str] = field(default_factory=dict)
    """Of the servers on the stack's network, by node, where there are several
    (host.addresses); empty in the records of earlier releases."""


GENERATION_LATER = -1
"""In a preview, a generation that is the time of the run: an up of its plan has another."""


@dataclass(frozen=True)
class Observation:
    """``generation`` goes into the environment of the file and cluster Commands.

    It stays while everything is as ensure left it, so nothing runs; it rises with the first
    ``drift``.
    """

    problems: tuple[Problem, ...] = ()
    drift: tuple[str, ...] = ()
    generation: int = 0
    cgroup_v1: bool = False
    limits_swap: bool = True
    """Whether the daemon can limit swap (host.docker.Daemon)."""
    architecture: str = "amd64"
    memory_mib: int = 0
    """Of the daemon's machine; 0 where that is not known."""
    reached_as: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Names and addresses on its networks, by the container's name; nothing where none is asked."""
    record: Record | None = field(default=None, repr=False)
    """Of the cluster that stands, or of one that is gone; None where that is not known."""
    created_from: frozenset[str] = frozenset()
    """Which specs the standing servers were created from, by their digests."""
    held_ports: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """The host's ports that the stack's own containers hold, by the container's name."""
    made: Mapping[str, str] = field(default_factory=dict)
    """By the name of a container or network of the stack: the value of its MADE_LABEL.

    That of the object while it is as Pulumi made it, else one that no object has had, so that
    Pulumi makes another: MADE_LATER in a preview. An object of a release that had no such label is
    not in it.
    """
    trace_store: str = ""
    """The store of the Jaeger that is there; empty: there is none."""
    jaeger_spec: str = ""
    """The SPEC_LABEL of that Jaeger; empty where it keeps traces elsewhere than in its memory, and
    where a release without the label made it."""
    trace_store_servers: tuple[str, ...] = ()
    """Where that store is; empty where it is part of the stack, and where that is not known."""
    notices: tuple[str, ...] = ()
    """What a user should know; none of it stops a run."""
    today: date | None = None
    """The day of the look; None where the result must be the same on every day."""
