"""The effect of a reboot on a stack: every container stops and starts again."""

from __future__ import annotations

from tests.live import traces
from tests.live.pods import pods, wait_for_api
from tests.live.stack import Stack
from tests.live.starts import SECONDS, promised, start_of
from tests.live.waiting import until


def test_pod_starts_are_traced_again_after_all_containers_were_restarted(stack: Stack) -> None:
    before = stack.ids()
    with stack.disturbed():
        stack.docker("restart", "--time", "5", stack.server, stack.collector, stack.jaeger)
        until("an answer from Jaeger", lambda: traces.answers(stack.jaeger_url), 60)
        wait_for_api(stack)
    with pods(stack, "true") as single:
        single.wait_for("Succeeded")
        trace = until("the joined trace", lambda: start_of(stack, f"{single.name}-0"), SECONDS)
        assert promised(stack) <= trace.services
    stack.up()
    assert stack.ids() == before
