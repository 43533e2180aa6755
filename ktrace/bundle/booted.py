"""What ``ktrace boot`` gathered of a cluster's boot, as a bundle keeps it, and the boot again.

Docker, the nodes' logs and Pulumi are not asked again. Spans are in the bundle besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ktrace.boot.build import build
from ktrace.boot.model import Boot, Mark, NodeStart
from ktrace.bundle import typed


def facts(boot: Boot) -> dict[str, Any]:
    """``boot`` as JSON has it; times in UTC, to the microsecond."""
    return {
        "cluster": boot.cluster,
        "ready": boot.ready,
        "nodes": [
            {
                "name": node.name,
                "created": node.created.isoformat(),
                "started": node.started.isoformat(),
                "again": node.again,
                "inBoot": node.in_boot,
            }
            for node in boot.nodes
        ],
        "marks": [
            {
                "at": line.mark.at.isoformat(),
                "what": line.mark.what,
                "source": line.mark.source,
                "node": line.mark.node,
            }
            for line in boot.lines
        ],
        "missing": list(boot.missing),
        "notes": list(boot.notes),
    }


def boot(facts: Mapping[str, Any]) -> Boot:
    """The boot that ``facts`` are of; UsageError if they are not what ``facts`` returns."""
    with typed.reading("boot"):
        ready = facts["ready"]
        return build(
            typed.text(facts["cluster"]),
            [_node(node) for node in typed.items(facts["nodes"])],
            [_mark(mark) for mark in typed.items(facts["marks"])],
            ready=None if ready is None else typed.flag(ready),
            missing=[typed.text(reason) for reason in typed.items(facts["missing"])],
            notes=[typed.text(note) for note in typed.items(facts["notes"])],
        )


def _node(found: Mapping[str, Any]) -> NodeStart:
    return NodeStart(
        typed.text(found["name"]),
        typed.moment(found["created"]),
        typed.moment(found["started"]),
        typed.flag(found["again"]),
        typed.flag(found["inBoot"]),
    )


def _mark(found: Mapping[str, Any]) -> Mark:
    return Mark(
        typed.moment(found["at"]),
        typed.text(found["what"]),
        typed.text(found["source"]),
        typed.text(found["node"]),
    )
