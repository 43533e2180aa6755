"""Jaeger's memory has dropped a start's traces: what is said of it then is the same, or less."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ktrace import otlp
from tests.e2e.ktrace import Start, complete, document, show, shown, waiting, whole
from tests.live import traces
from tests.live.pods import BUSYBOX, PULL_SECONDS, wait_for_api
from tests.live.stack import Stack
from tests.live.waiting import until

RING = 5000
"""jaegerMaxTraces: with fewer a busy machine drops the first starts before it has told the last."""
_BATCH = 500
_SECOND_MS = 1000
_READY_MS = _SECOND_MS + 500
"""A condition tells the second, and has the time of before the patch whose span tells Ready."""


def sleeping(name: str = "main", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": BUSYBOX, "command": ["sleep", "600"], **more}


def handler(seconds: str) -> dict[str, Any]:
    return {"postStart": {"exec": {"command": ["sleep", seconds]}}}


VOLUME = {"name": "data", "configMap": {"name": "ring-late"}}
MOUNT = [{"name": "data", "mountPath": "/data"}]
SECRET = [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "t"}}}]
SPECS: dict[str, dict[str, Any]] = {
    "ring-plain": {"containers": [sleeping()]},
    "ring-mount": {
        "initContainers": [{**sleeping("slow"), "command": ["sleep", "6"]}],
        "containers": [sleeping(volumeMounts=MOUNT)],
        "volumes": [VOLUME],
    },
    "ring-handler": {"containers": [sleeping(lifecycle=handler("1")), sleeping("after")]},
    "ring-in-handler": {"containers": [sleeping(lifecycle=handler("600")), sleeping("after")]},
    "ring-secret": {"containers": [sleeping("first"), sleeping("second", env=SECRET)]},
    "ring-nowhere": {"containers": [sleeping()], "nodeSelector": {"disk": "none"}},
    "ring-crash": {"containers": [{**sleeping(), "command": ["sh", "-c", "exit 3"]}]},
    "ring-failed": {
        "restartPolicy": "Never",
        "containers": [{**sleeping(), "command": ["sh", "-c", "exit 5"]}],
    },
}
MANIFEST = json.dumps({
    "apiVersion": "v1", "kind": "List",
    "items": [
        {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 0, **spec},
        }
        for name, spec in SPECS.items()
    ],
})  # fmt: skip
AS_FAR_AS_IT_GETS = {
    "ring-plain": whole,
    "ring-mount": whole,
    "ring-handler": whole,
    "ring-in-handler": lambda start: "postStart of main" in waiting(start),
    "ring-secret": lambda start: "second: CreateContainerConfigError" in waiting(start),
    "ring-nowhere": lambda start: "unschedulable" in waiting(start),
    "ring-crash": lambda start: complete(start) and "exit code 3" in waiting(start),
    "ring-failed": lambda start: complete(start) and "exit code 5" in waiting(start),
}


@pytest.fixture
def ring(unsettled: Stack) -> Iterator[Stack]:
    """The stack with a small ring and the pods; the ConfigMap comes after a failed mount."""
    stack = unsettled
    stack.settle(jaegerMaxTraces=RING)
    wait_for_api(stack)
    stack.kubectl("apply", "-f", "-", stdin=MANIFEST)
    try:
        # Pods of earlier tests have left events of this reason, too.
        failed = "--field-selector=reason=FailedMount,involvedObject.name=ring-mount"
        events = ("get", "events", failed, "-o", "name")
        until("a failed mount", lambda: stack.kubectl(*events), PULL_SECONDS)
        stack.kubectl("create", "configmap", "ring-late")
        yield stack
    finally:
        stack.kubectl("delete", "configmap", "ring-late", check=False)
        stack.kubectl("delete", "-f", "-", "--now", "--wait=false", stdin=MANIFEST, check=False)


def send(collector: otlp.Collector, count: int) -> None:
    """As many traces, of one span each."""
    for _ in range(count // _BATCH):
        now = time.time_ns()
        spans = [
            otlp.SentSpan(otlp.new_trace_id(), otlp.new_span_id(), "filler", now, now + 1)
            for _ in range(_BATCH)
        ]
        otlp.send(collector, spans, 30)


def spent(start: Start, reason: str) -> float:
    own = (step for step in start["steps"] if step["name"].startswith(reason))
    return sum((float(step["durationMs"]) for step in own), 0.0)


def expect_no_other_answer(before: Start, after: Start) -> None:
    assert (after["uid"], after["complete"]) == (before["uid"], before["complete"])
    assert after["containers"] == before["containers"]
    if before["complete"]:
        took = after["durationMs"]
        assert took is None or abs(took - before["durationMs"]) <= _SECOND_MS
    else:
        # A failed container may be in its back-off by now.
        assert waiting(after) == waiting(before)
    ready = before["ready"]["afterMs"], after["ready"]["afterMs"]
    assert None in ready or abs(ready[0] - ready[1]) <= _READY_MS
    assert ready[1] is None or ready[0] is not None
    for reason in ("waits (FailedMount)", "postStart of main"):
        # A handler that runs goes on.
        if before["complete"]:
            assert spent(after, reason) <= spent(before, reason) + _SECOND_MS


def test_what_the_ring_has_dropped_is_never_told_otherwise(ring: Stack) -> None:
    before = {pod: shown(ring, pod, holds) for pod, holds in AS_FAR_AS_IT_GETS.items()}
    assert spent(before["ring-mount"], "waits (FailedMount)") > 0
    turned_at = time.time()
    collector = otlp.Collector.at(ring.outputs["otlpHttpEndpoint"])
    send(collector, RING)

    def all_lost() -> dict[str, Start] | None:
        send(collector, _BATCH)
        starts = {pod: show(ring, pod) for pod in SPECS}
        return starts if all(start["beginningLost"] for start in starts.values()) else None

    lost = until("the loss of all beginnings", all_lost, PULL_SECONDS, every=1)
    for pod, after in lost.items():
        expect_no_other_answer(before[pod], after)
    window = document(ring, "top")["window"]
    assert window["seconds"] <= time.time() - turned_at + 1
    with ring.disturbed():
        ring.docker("restart", ring.jaeger)
        until("an answer from Jaeger", lambda: traces.answers(ring.jaeger_url), 60)
        for pod in SPECS:
            expect_no_other_answer(before[pod], show(ring, pod))
