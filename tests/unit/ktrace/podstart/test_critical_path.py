"""Which steps made the length of a start, and how much of it each made."""

from __future__ import annotations

import pytest

from ktrace.podstart import critical_path
from ktrace.podstart.model import Step


def shares(*times: tuple[float, float]) -> list[float]:
    """The share of each step; ``times`` are its start and end in milliseconds."""
    steps = [Step("s", "kubelet", start, end - start) for start, end in times]
    length = max(end for _, end in times)
    return [round(step.share, 3) for step in critical_path.mark(steps, length)]


@pytest.mark.parametrize(
    ("times", "found"),
    [
        ([(0, 10), (10, 20)], [0.5, 0.5]),
        ([(0, 10), (2, 8), (10, 20)], [0.5, 0, 0.5]),
        ([(0, 10), (12, 20)], [0.5, 0.4]),
        # The shortest step that Jaeger can tell: one microsecond.
        ([(0, 1), (1, 1.001)], [0.999, 0.001]),
        # What begins less than half a microsecond before another step begins with it.
        ([(6, 10), (10, 20), (9.9998, 15)], [0.2, 0.5, 0]),
        ([(0, 12), (10, 20)], [0.5, 0.5]),
    ],
)
def test_a_start_waits_for_what_ended_last_before_the_next_step(
    times: list[tuple[float, float]], found: list[float]
) -> None:
    assert shares(*times) == found


def test_a_step_with_details_is_waited_for_where_no_detail_covers_it() -> None:
    steps = [
        Step("create", "containerd", 0, 100),
        Step("snapshot", "containerd", 0, 70, depth=1),
        Step("task", "containerd", 75, 20, depth=1),
        Step("start", "containerd", 100, 100),
    ]
    marked = critical_path.mark(steps, 200)
    assert [round(step.share, 3) for step in marked] == [0.05, 0.35, 0.1, 0.5]
    assert [step.name for step in marked if step.critical] == ["snapshot", "task", "start"]


def test_few_steps_are_marked() -> None:
    equal = [Step(str(number), "kubelet", number, 1) for number in range(12)]
    assert sum(step.critical for step in critical_path.mark(equal, 12)) == 5
    alone = [Step("long", "kubelet", 0, 95), Step("short", "kubelet", 95, 5)]
    assert [step.critical for step in critical_path.mark(alone, 100)] == [True, False]
    assert critical_path.mark([], 0) == []


def test_a_share_is_one_of_the_whole_start_also_where_steps_are_missing() -> None:
    (marked,) = critical_path.mark([Step("s", "kubelet", 0, 10)], 1000)
    assert marked.share == 0.01
