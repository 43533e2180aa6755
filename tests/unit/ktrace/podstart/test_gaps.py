"""The time that no span covers: when it is a step of its own, and what the step is called."""

from __future__ import annotations

import pytest

from ktrace.podstart import gaps
from ktrace.podstart.calls import Call
from tests.fakes.jaeger import client, data, span, trace


@pytest.mark.parametrize(
    ("start_ms", "shortest_ms"),
    [(0, 5), (500, 5), (600, 6), (2_000, 20), (10_000, 100), (60_000, 100)],
)
def test_a_gap_is_shown_from_a_hundredth_of_the_start_on_and_always_from_100_ms_on(
    start_ms: float, shortest_ms: float
) -> None:
    assert gaps.is_shown(shortest_ms, start_ms)
    assert not gaps.is_shown(shortest_ms - 0.001, start_ms)


def call(method: str, *, failed: bool = False) -> Call:
    made = span("kubelet", f"runtime.v1.RuntimeService/{method}", error=str(failed))
    (found,) = client(lambda _: data(trace(made))).find("kubelet")
    return Call(found, found.spans[0])


SANDBOX, CREATE, START = map(call, ("RunPodSandbox", "CreateContainer", "StartContainer"))
FAILED_START = call("StartContainer", failed=True)
NEXT_SYNC = "then the kubelet's next sync"
WAITS = "the kubelet waits before it goes on (back-off, next sync)"


@pytest.mark.parametrize(
    ("previous", "following", "synced_again", "named", "name"),
    [
        (None, SANDBOX, False, True, "before the sandbox: volumes, cgroups, secrets"),
        (START, CREATE, True, True, f"an init container runs, {NEXT_SYNC}"),
        (START, CREATE, True, False, f"a container runs or is restarted, {NEXT_SYNC}"),
        (FAILED_START, CREATE, True, True, WAITS),
        (CREATE, START, True, True, WAITS),
        (START, CREATE, False, True, "between StartContainer and CreateContainer"),
        (SANDBOX, CREATE, False, True, "between the sandbox and the first container"),
        (SANDBOX, START, False, True, "between the sandbox and the first container"),
        (CREATE, START, False, True, "between a container's creation and its start"),
        (CREATE, CREATE, False, True, "between CreateContainer and CreateContainer"),
    ],
)
def test_a_gap_is_named_by_the_calls_around_it(
    previous: Call | None, following: Call, synced_again: bool, named: bool, name: str
) -> None:
    found = gaps.name_of(previous, following, synced_again=synced_again, named=named)
    assert found == name
