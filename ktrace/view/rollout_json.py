"""Rollouts as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from ktrace.document import moment, versioned
from ktrace.rollout import verdict as verdicts
from ktrace.rollout.model import Held, Link, OtherPod, RolledPod, Rollout
from ktrace.view import start as starts


def document(rollouts: Sequence[Rollout], jaeger_url: str) -> dict[str, Any]:
    """The shape that ``show deploy/NAME --json`` promises: docs/schemas/rollout.json."""
    return versioned({"rollouts": [_rollout(found, jaeger_url) for found in rollouts]})


def _rollout(rollout: Rollout, url: str) -> dict[str, Any]:
    workload, found, write = rollout.workload, verdicts.of(rollout), rollout.write
    return {
        "what": rollout.what,
        "kind": workload.kind.kind if workload else "Pod",
        "namespace": workload.namespace if workload else None,
        "name": workload.name if workload else None,
        "ok": found.ok,
        "reason": found.reason or None,
        "podsWanted": found.wanted,
        "podsDone": found.done,
        "doneMeans": found.word,
        "tookMs": _ms(found.took),
        "tookExact": found.exact,
        "heldUpBy": _link(found.held) if found.held else None,
        "begunAt": _at(rollout.begun),
        "begunExact": rollout.begun_exact,
        "revision": rollout.revision or None,
        "revisionNumber": rollout.revision_number,
        "write": {
            "at": moment(write.at),
            "client": write.client,
            "verb": write.verb,
            "tookMs": round(write.took_ms, 1),
            "auditId": write.audit_id or None,
            "traceUrl": f"{url}/trace/{write.trace_id}",
        }
        if write
        else None,
        "pods": [_pod(pod, url) for pod in rollout.pods],
        "oldPods": list(map(_other, rollout.others)),
        "oneAfterAnother": list(map(_link, rollout.chain)),
        "notes": list(rollout.notes),
        "missing": list(rollout.missing),
        "observedAt": _at(rollout.looked_at),
    }


def _pod(pod: RolledPod, url: str) -> dict[str, Any]:
    start = starts.document(pod.start, url) if pod.start else None
    if start:
        del start["apiVersion"]
    return {
        "namespace": pod.namespace,
        "name": pod.name,
        "uid": pod.uid,
        "node": pod.node or None,
        "owner": pod.owner or None,
        "state": str(pod.state),
        "part": str(pod.part),
        "createdAt": _at(pod.created),
        "readyAt": _at(pod.ready),
        "tookMs": None if pod.took_ms is None else round(pod.took_ms, 1),
        "tookExact": pod.took_exact,
        "slowest": _held(pod.held) if pod.held else None,
        "why": pod.why or None,
        "start": start,
    }


def _held(held: Held) -> dict[str, Any]:
    return {"step": held.step, "ms": round(held.ms, 1), "goesOn": held.goes_on}


def _other(other: OtherPod) -> dict[str, Any]:
    ending = other.ending
    return {
        "namespace": other.namespace,
        "name": other.name,
        "uid": other.uid,
        "node": other.node or None,
        "revision": other.revision or None,
        "state": str(other.state),
        "stays": other.kept,
        "endBegunAt": _at(ending.begun),
        "endedAt": _at(ending.ended),
        "endedInMs": None if ending.took_ms is None else round(ending.took_ms, 1),
        "endedInExact": ending.exact,
        "slowest": ending.slowest or None,
        "graceSeconds": ending.grace,
        "killed": list(ending.killed),
    }


def _link(link: Link) -> dict[str, Any]:
    return {
        "pod": link.pod or None,
        "what": link.what or None,
        "beginAt": moment(link.begin),
        "endAt": moment(link.end),
        "ms": round(link.ms, 1),
        "ending": link.ending,
    }


def _ms(time: timedelta | None) -> float | None:
    return None if time is None else round(time.total_seconds() * 1000, 1)


def _at(at: datetime | None) -> str | None:
    return moment(at) if at else None
