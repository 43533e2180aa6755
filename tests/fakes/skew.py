"""A recording as it would be if its node's clock differed from the API server's."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tests.fakes.recorded_pods import Recorded

_OF_NODE = ("kubelet", "containerd")
_SECOND = 1_000_000
_SECONDS = "%Y-%m-%dT%H:%M:%SZ"
_EXACT = "%Y-%m-%dT%H:%M:%S.%fZ"


def skewed(recorded: Recorded, by: int) -> Recorded:
    """What the node itself dates is later by ``by`` microseconds: spans, Events, statuses.

    Whole seconds stay as they are where it differs by less than one.
    """
    seconds = by if abs(by) >= _SECOND else 0
    return replace(
        recorded,
        traces=tuple(moved(trace, by) for trace in recorded.traces),
        pod=_pod(recorded.pod, seconds),
        events=tuple(_event(event, seconds) for event in recorded.events),
    )


def moved(trace: dict[str, Any], by: int) -> dict[str, Any]:
    """The trace with the node's spans later by ``by`` microseconds."""
    services = {key: process["serviceName"] for key, process in trace["processes"].items()}
    spans = [
        {**span, "startTime": span["startTime"] + by}
        if services[span["processID"]] in _OF_NODE
        else span
        for span in trace["spans"]
    ]
    return {**trace, "spans": spans}


def _pod(pod: dict[str, Any], by: int) -> dict[str, Any]:
    status = {
        key: _moved(value, by, ("startedAt", "finishedAt")) if key.endswith("tatuses") else value
        for key, value in pod["status"].items()
    }
    status["conditions"] = [
        condition
        if condition["type"] == "PodScheduled"
        else _moved(condition, by, ("lastTransitionTime",))
        for condition in status.get("conditions", ())
    ]
    return {**pod, "status": _moved(status, by, ("startTime",))}


def _event(event: dict[str, Any], by: int) -> dict[str, Any]:
    source = (event.get("source") or {}).get("component") or event.get("reportingComponent")
    if source != "kubelet":
        return event
    return {**event, **_moved(event, by, ("firstTimestamp", "lastTimestamp", "eventTime"))}


def _moved(found: Any, by: int, names: Collection[str]) -> Any:
    """``found`` with its times of these ``names`` moved, at any depth."""
    if isinstance(found, list):
        return [_moved(item, by, names) for item in found]
    if not isinstance(found, dict):
        return found
    return {
        key: _later(value, by) if key in names and value else _moved(value, by, names)
        for key, value in found.items()
    }


def _later(time: str, by: int) -> str:
    form = _EXACT if "." in time else _SECONDS
    return (datetime.strptime(time, form) + timedelta(microseconds=by)).strftime(form)
