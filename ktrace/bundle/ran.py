"""What ``ktrace run`` gathered of a command, as a bundle keeps it, and its report again.

The command is not run again. Starts are built anew of their spans and pod objects; the rest is what
was listed meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ktrace.api import Api
from ktrace.bundle import removals, typed
from ktrace.bundle.command_line import without_values
from ktrace.bundle.session import Keep
from ktrace.clock import time
from ktrace.following import pod_ends
from ktrace.following.followed_pod import FollowedPod
from ktrace.following.follower import Followed
from ktrace.following.pods import Owner, time_of
from ktrace.following.refusals import Refusal
from ktrace.following.report import Report
from ktrace.jaeger import Jaeger, Reader
from ktrace.podstart import cluster
from ktrace.podstart.cluster import NEVER_LISTED, FromCluster
from ktrace.podstart.in_progress import until_observed
from ktrace.podstart.model import PodStart
from ktrace.podstart.pod import pod_of
from ktrace.podstart.search import look_for_start
from ktrace.recording.object_reference import ObjectReference
from ktrace.recording.requests import RecordedRequest


def facts(report: Report, keep: Keep, judged: Mapping[str, Any] | None) -> dict[str, Any]:
    """``report`` as JSON has it, without values of the command line and of queries.

    ``judged`` is the document of what was expected; None without any.
    """
    return {
        "command": without_values(report.command),
        "code": report.code,
        "quiet": report.followed.quiet,
        "problem": report.problem,
        "notes": list(report.notes),
        "traceId": report.trace_id,
        "requests": list(map(_request, report.requests)),
        "traces": {audit_id: trace.id for audit_id, trace in report.followed.traces.items()},
        "pods": [_pod(pod, keep) for pod in report.followed.pods],
        "refusals": [
            {
                "namespace": refusal.namespace,
                "kind": refusal.controller.kind,
                "name": refusal.controller.name,
                "uid": refusal.controller.uid,
                "message": refusal.message,
                "times": refusal.times,
            }
            for refusal in report.followed.refusals
        ],
        "removed": [one.document() for one in report.followed.removed],
        "refusedRemovals": [one.document() for one in report.followed.refused],
        "judged": judged,
    }


def _request(request: RecordedRequest) -> dict[str, Any]:
    path, _, query = request.path.partition("?")
    told = [part for part in query.split("&") if part.partition("=")[0] in _TELLING]
    return {
        "method": request.method,
        "path": f"{path}?{'&'.join(told)}" if told else path,
        "started": request.started,
        "ended": request.ended,
        "status": request.status,
        "auditId": request.audit_id,
        "name": request.written.name,
        "uid": request.written.uid,
        "dryRun": request.dry_run,
        "client": request.client,
    }


_TELLING = ("watch", "follow", "dryRun")
"""The parameters of a request by which it is told what it does."""


def _pod(pod: FollowedPod, keep: Keep) -> dict[str, Any]:
    looked = pod.start.looked_at if pod.start else None
    ended = pod.ending.looked_at if pod.ending else None
    return {
        "namespace": pod.namespace,
        "name": pod.name,
        "uid": pod.uid,
        "phase": pod.phase,
        "node": pod.listed_node,
        "cause": pod.cause,
        "ranBefore": pod.ran_before,
        "traces": [trace.id for trace in pod.traces],
        "startRead": pod.start_was_read,
        "clusterRead": pod.known.pod is not None,
        "settled": pod.settled,
        "isNew": pod.is_new,
        "gone": pod.gone,
        "lookedAt": looked.timestamp() if looked else None,
        "endCause": pod.end_cause,
        "endLookedAt": ended.timestamp() if ended else None,
        "object": keep({"kind": "Pod", **pod.document}) if pod.document else None,
    }


def report(facts: Mapping[str, Any], jaeger: Jaeger, *, runtime_traced: bool) -> Report:
    """The report that ``facts`` are of, without verdicts.

    UsageError if they are not what ``facts`` returns.
    """
    with typed.reading("run"):
        return _report(facts, jaeger, runtime_traced=runtime_traced)


def _report(facts: Mapping[str, Any], jaeger: Jaeger, *, runtime_traced: bool) -> Report:
    reader = Reader(jaeger)
    with cluster.connected(None) as api:
        pods = [
            _with_end(
                _followed(found, reader, api, runtime_traced=runtime_traced), found, reader, api
            )
            for found in facts["pods"]
        ]
    traces = {
        str(audit_id): trace
        for audit_id, trace_id in facts["traces"].items()
        if (trace := jaeger.trace(str(trace_id)))
    }
    refusals = tuple(
        Refusal(
            str(found["namespace"]),
            Owner(str(found["kind"]), str(found["name"]), str(found["uid"])),
            str(found["message"]),
            int(found["times"]),
        )
        for found in facts["refusals"]
    )
    return Report(
        tuple(map(str, facts["command"])),
        int(facts["code"]),
        tuple(map(_recorded, facts["requests"])),
        Followed(
            pods,
            traces,
            bool(facts["quiet"]),
            refusals,
            # bundles of earlier releases do not have them
            tuple(map(removals.removed, facts.get("removed", ()))),
            tuple(map(removals.refused, facts.get("refusedRemovals", ()))),
        ),
        jaeger.url,
        str(facts["problem"]),
        tuple(map(str, facts["notes"])),
        str(facts["traceId"]),
    )


def _recorded(found: Mapping[str, Any]) -> RecordedRequest:
    return RecordedRequest(
        str(found["method"]),
        str(found["path"]),
        float(found["started"]),
        float(found["ended"]),
        int(found["status"]),
        str(found["auditId"]),
        ObjectReference(str(found["name"]), str(found["uid"])),
        dry_run=found["dryRun"],
        client=str(found["client"]),
    )


def _followed(
    found: Mapping[str, Any], reader: Reader, api: Api | str, *, runtime_traced: bool
) -> FollowedPod:
    document = found["object"] or {}
    namespace, name = str(found["namespace"]), str(found["name"])
    ids = map(str, found["traces"])
    traces = tuple(trace for trace_id in ids if (trace := reader.jaeger.trace(trace_id)))
    known = _known(found, api, namespace, name)
    return FollowedPod(
        namespace,
        name,
        str(found["uid"]),
        str(found["phase"]),
        traces,
        _start(found, known, reader, runtime_traced=runtime_traced),
        str(found["node"]),
        str(found["cause"]),
        bool(found["ranBefore"]),
        bool(found["startRead"]),
        known,
        document,
        time_of((document.get("metadata") or {}).get("creationTimestamp")),
        bool(found["settled"]),
        bool(found["isNew"]),
        bool(found["gone"]),
    )


def _known(found: Mapping[str, Any], api: Api | str, namespace: str, name: str) -> FromCluster:
    """Bundles of earlier releases do not tell of which pods the time did not suffice to read it."""
    if not found["object"]:
        return NEVER_LISTED
    if not found.get("clusterRead", True):
        return FromCluster(missing=())
    return cluster.of_listed(api, namespace, name, pod_of(found["object"]))


def _with_end(
    pod: FollowedPod, found: Mapping[str, Any], reader: Reader, api: Api | str
) -> FollowedPod:
    """With its ending; bundles of earlier releases do not have it."""
    cause = removals.end_cause(found.get("endCause"))
    looked_at = found.get("endLookedAt")
    if looked_at is None:
        return replace(pod, end_cause=cause)
    ending = pod_ends.read(reader, api, pod, float(looked_at))
    return replace(pod, end_cause=cause, ending=ending)


def _start(
    found: Mapping[str, Any],
    known: FromCluster,
    reader: Reader,
    *,
    runtime_traced: bool,
) -> PodStart | None:
    if found["lookedAt"] is None:
        return None
    with time.at(float(found["lookedAt"])):
        start = look_for_start(
            reader,
            str(found["namespace"]),
            str(found["name"]),
            str(found["uid"]) or None,
            known=known,
            runtime_traced=runtime_traced,
        )
    return until_observed(start) if start else None
