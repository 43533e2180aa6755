"""Traces that a stack keeps when it is destroyed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.e2e.ktrace import Start, shown
from tests.live.pods import wait_for_api
from tests.live.stack import Stack


def destroy_and_find_again(
    stack: Stack, store: Mapping[str, Any], volume: str, pod: str, before: Start
) -> None:
    """Destroy with ``keepTraces`` leaves ``volume`` alone, and after up it has the start of ``pod``
    as it was ``before``."""
    stack.settle(**store, keepTraces=True)
    said = stack.destroy().said
    told = (
        f"stack {stack.name}: its traces stay in Docker's volume {volume}, where the next up with "
        f"that store finds them; `docker volume rm {volume}` removes them"
    )
    lines = [line.strip() for line in said.splitlines()]
    # Pulumi prints it as it happens, and in its list of messages at the end.
    assert [line for line in lines if "its traces stay" in line][-1].endswith(told)
    assert stack.objects() == {f"volume {volume}"}
    again = stack.up().said
    assert f"keeps on using volume {volume}" in again
    wait_for_api(stack)
    found = shown(stack, pod, lambda start: start["containersStarted"] == 1)
    assert (found["uid"], found["startedAt"]) == (before["uid"], before["startedAt"])
