"""What is told of a running pod whose resources were changed in place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from ktrace.following import resizes
from ktrace.podstart.model import Waiting

SINCE = "2026-11-29T12:00:05Z"
AT = datetime(2026, 11, 29, 12, 0, 5, tzinfo=UTC)
NO_ROOM = "Node didn't have enough resource: cpu, requested: 3500, used: 900, capacity: 4000"
TOO_LARGE = "Node didn't have enough capacity: cpu, requested: 96000, capacity: 4000"
BROKEN = "failed to resize: memory limit is below what main uses"


def pod(
    *conditions: Mapping[str, Any], seen: int | None = 2, phase: str = "Running", **status: Any
) -> dict[str, Any]:
    told = {} if seen is None else {"observedGeneration": seen}
    return {
        "metadata": {"namespace": "shop", "name": "web-0", "generation": 2},
        "spec": {"nodeName": "node-1"},
        "status": {"phase": phase, "conditions": list(conditions), **told, **status},
    }


def pending(reason: str, message: str = "") -> dict[str, str]:
    return {
        "type": "PodResizePending",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": SINCE,
    }


def in_progress(reason: str = "", message: str = "", status: str = "True") -> dict[str, str]:
    return {**pending(reason, message), "type": "PodResizeInProgress", "status": status}


@pytest.mark.parametrize(
    ("listed", "told", "goes_on"),
    [
        (pod(), (), False),
        (
            pod(pending("Deferred", NO_ROOM)),
            (Waiting(f"resize deferred: {NO_ROOM}", AT, stuck=True),),
            True,
        ),
        (
            pod(pending("Infeasible", TOO_LARGE)),
            (Waiting(f"resize infeasible: {TOO_LARGE}", AT, stuck=True),),
            False,
        ),
        (pod(pending("Odd")), (Waiting("resize pending: Odd", AT, stuck=True),), True),
        (pod(in_progress()), (Waiting("resize in progress", AT),), True),
        (
            pod(in_progress("Error", BROKEN)),
            (Waiting(f"resize in progress: Error: {BROKEN}", AT, stuck=True),),
            True,
        ),
        (pod(in_progress("Error", BROKEN, status="False")), (), False),
        (
            pod(pending("Deferred", NO_ROOM), in_progress()),
            (
                Waiting(f"resize deferred: {NO_ROOM}", AT, stuck=True),
                Waiting("resize in progress", AT),
            ),
            True,
        ),
        (pod(seen=1), (Waiting("the kubelet of node-1 has not seen the change yet"),), True),
        (
            pod(pending("Infeasible", TOO_LARGE), seen=1),
            (Waiting("the kubelet of node-1 has not seen the change yet"),),
            True,
        ),
        (
            pod(pending("Infeasible", TOO_LARGE), in_progress()),
            (
                Waiting(f"resize infeasible: {TOO_LARGE}", AT, stuck=True),
                Waiting("resize in progress", AT),
            ),
            True,
        ),
        (pod(seen=None), (), False),
        # Kubernetes 1.27 to 1.32
        (pod(seen=None, resize="Proposed"), (Waiting("resize proposed"),), True),
        (pod(seen=None, resize="InProgress"), (Waiting("resize in progress"),), True),
        (pod(seen=None, resize="Deferred"), (Waiting("resize deferred", stuck=True),), True),
        (pod(seen=None, resize="Infeasible"), (Waiting("resize infeasible", stuck=True),), False),
        (pod(seen=None, resize=""), (), False),
        # What is over is waited for no more.
        (pod(pending("Deferred", NO_ROOM), phase="Succeeded"), (), False),
        (pod(pending("Deferred", NO_ROOM), phase="Failed", seen=1), (), False),
        ({}, (), False),
        ({"status": {"phase": "Running", "conditions": "odd", "resize": 3}}, (), False),
    ],
)
def test_what_the_kubelet_has_not_done_of_a_resize_is_told(
    listed: dict[str, Any], told: tuple[Waiting, ...], goes_on: bool
) -> None:
    assert resizes.unfinished(listed) == told
    assert resizes.goes_on(listed) is goes_on
