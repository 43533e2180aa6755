"""What ``ktrace verify`` found, as a bundle keeps it, and the verdict again.

Nothing is probed again. What a container has logged is left out: no one knows what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from ktrace.addresses import without_login
from ktrace.bundle import typed
from ktrace.pipeline.collector_metrics import Counters, Destination
from ktrace.pipeline.coverage import Coverage
from ktrace.pipeline.hops import BrokenHop
from ktrace.pipeline.synthetic_span import Synthetic
from ktrace.pipeline.verification import Verification

_WAY = ("sent", "failed", "dropped")
"""What the collector counts of each way out."""


def facts(verified: Verification, at: float, absent: str) -> dict[str, Any]:
    """``verified`` as JSON has it, but for what is lost, which is in the settings.

    ``at`` is when it was judged, a Unix time in seconds; ``absent`` what is told besides.
    """
    synthetic = verified.synthetic
    return {
        "at": at,
        "components": [_component(part) for part in verified.parts],
        "synthetic": synthetic
        and asdict(replace(synthetic, evidence=without_login(synthetic.evidence))),
        "destinations": [
            {
                **_way(one),
                "name": one.name,
                "queuedBytes": one.queued_bytes,
                "queueBytes": one.queue_bytes,
            }
            for one in verified.destinations
        ],
        "toJaeger": verified.to_jaeger and _way(verified.to_jaeger),
        "chooses": verified.chooses,
        "hasJaeger": verified.has_jaeger,
        "notKnown": list(verified.not_known),
        "retentionFault": verified.retention_fault,
        "absent": absent,
    }


def _way(counted: Counters | Destination) -> dict[str, int]:
    return {name: getattr(counted, name) for name in _WAY}


def _component(part: Coverage) -> dict[str, Any]:
    broken = part.broken
    return {
        "component": part.component,
        "node": part.node,
        "expected": part.expected,
        "lastSpan": part.last_span,
        "ok": part.ok,
        "nodeKnown": part.node_known,
        "broken": broken and {name: without_login(text) for name, text in asdict(broken).items()},
    }


def verification(facts: Mapping[str, Any]) -> tuple[Verification, float, str]:
    """What ``facts`` was given; UsageError for what it does not return."""
    with typed.reading("verify"):
        synthetic, counted = facts["synthetic"], facts["toJaeger"]
        found = Verification(
            [_part(part) for part in typed.items(facts["components"])],
            None
            if synthetic is None
            else Synthetic(
                typed.flag(synthetic["ok"]),
                _number(synthetic["seconds"]),
                typed.text(synthetic["evidence"]),
            ),
            [_destination(one) for one in typed.items(facts["destinations"])],
            None if counted is None else _counters(counted),
            chooses=typed.flag(facts["chooses"]),
            has_jaeger=typed.flag(facts["hasJaeger"]),
            not_known=tuple(map(typed.text, typed.items(facts["notKnown"]))),
            retention_fault=typed.text(facts.get("retentionFault", "")),
        )
        return found, float(facts["at"]), typed.text(facts["absent"])


def _part(found: Mapping[str, Any]) -> Coverage:
    broken = found["broken"]
    return Coverage(
        typed.text(found["component"]),
        typed.text(found["node"]),
        typed.flag(found["expected"]),
        _number(found["lastSpan"]),
        ok=typed.flag(found["ok"]),
        node_known=typed.flag(found["nodeKnown"]),
        broken=None
        if broken is None
        else BrokenHop(*(typed.text(broken[name]) for name in ("hop", "evidence", "cure"))),
    )


def _destination(found: Mapping[str, Any]) -> Destination:
    sent, failed, dropped = _counted(found)
    return Destination(
        typed.text(found["name"]),
        sent,
        failed,
        dropped,
        queued_bytes=int(found["queuedBytes"]),
        queue_bytes=int(found["queueBytes"]),
    )


def _counters(found: Mapping[str, Any]) -> Counters:
    sent, failed, dropped = _counted(found)
    return Counters(sent=sent, failed=failed, dropped=dropped)


def _counted(found: Mapping[str, Any]) -> list[int]:
    return [int(found[name]) for name in _WAY]


def _number(found: Any) -> float | None:
    return None if found is None else float(found)
