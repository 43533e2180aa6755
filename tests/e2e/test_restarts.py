"""What a reboot of the machine does to a stack: everything stops and starts again."""

from __future__ import annotations

import json
import subprocess

from tests.live import traces
from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.starts import SECONDS, promised, start_of
from tests.live.waiting import until


def _ready(stack: Stack) -> bool:
    try:
        nodes = json.loads(stack.kubectl("get", "nodes", "-o", "json"))["items"]
        stack.kubectl("get", "serviceaccount", "default")
    except (AssertionError, subprocess.TimeoutExpired):
        return False
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in nodes[0]["status"]["conditions"]
    )


def test_pod_starts_are_traced_again_after_all_containers_were_restarted(stack: Stack) -> None:
    before = stack.ids()
    stack.docker("restart", "--time", "5", stack.server, stack.collector, stack.jaeger)
    until("Jaeger", lambda: traces.answers(stack.jaeger_url), 60)
    until("a Ready node", lambda: _ready(stack), 120, every=1)
    with pods(stack, "true") as single:
        single.wait_for("Succeeded", 120)
        trace = until("the joined trace", lambda: start_of(stack, f"{single.name}-0"), SECONDS)
        assert promised(stack) <= trace.services
    stack.up()
    assert stack.ids() == before
