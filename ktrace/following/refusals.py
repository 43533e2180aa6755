"""What controllers could not create, as their Events say: a quota, policy or webhook refused it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ktrace.following.pods import Owner, time_of
from ktrace.podstart.pod import COMBINED

REASON = "FailedCreate"
"""That of a ReplicaSet's, Job's, StatefulSet's or DaemonSet's Event."""


@dataclass(frozen=True)
class Refusal:
    """One controller's; ``message`` is the newest, as each names another pod."""

    namespace: str
    controller: Owner
    message: str
    times: int


def refusals(listed: dict[str, Any], since: datetime | None) -> list[Refusal]:
    """Of a list of Events, those that occurred after ``since``, to the second.

    Raises LookupError, TypeError or AttributeError if ``listed`` is no list of Events.
    """
    found: dict[str, Refusal] = {}
    for event in sorted(listed.get("items") or (), key=_last):
        last, involved = time_of(_last(event)), event["involvedObject"]
        if event.get("reason") != REASON or (since and last and last < since):
            continue
        owner = Owner(
            involved["kind"], involved["name"], involved["uid"], involved.get("apiVersion", "v1")
        )
        one = Refusal(involved.get("namespace", ""), owner, _message(event), _times(event))
        before = found.get(owner.uid)
        found[owner.uid] = replace(one, times=one.times + before.times) if before else one
    return list(found.values())


def _message(event: dict[str, Any]) -> str:
    return str(event.get("message") or "").removeprefix(COMBINED)


def _last(event: dict[str, Any]) -> str:
    series = event.get("series") or {}
    times = (event.get("lastTimestamp"), series.get("lastObservedTime"), event.get("eventTime"))
    return next(filter(None, times), "")


def _times(event: dict[str, Any]) -> int:
    series = event.get("series") or {}
    return int(event.get("count") or series.get("count") or 1)
