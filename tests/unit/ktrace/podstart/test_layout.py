"""Steps follow one another, and nothing between them is lost."""

from __future__ import annotations

from ktrace.podstart.layout import laid
from ktrace.podstart.model import Step


def times(*steps: Step, end_ms: float) -> list[tuple[str, float, float, bool]]:
    return [
        (step.name, step.start_ms, step.end_ms, step.placed)
        for step in laid(steps, 0, end_ms, "agent-1")
    ]


def test_what_fits_stays_where_it_is() -> None:
    steps = (Step("a", "kubelet", 0, 10), Step("b", "kubelet", 10, 5), Step("c", "kubelet", 18, 2))
    assert laid(steps, 0, 20) == list(steps)


def test_a_step_begins_where_the_one_before_it_has_ended() -> None:
    found = times(Step("a", "kubelet", 0, 10), Step("b", "kubelet", 4, 20), end_ms=20)
    assert found == [("a", 0, 10, False), ("b", 10, 20, True)]
    within = times(Step("a", "kubelet", 0, 10), Step("b", "kubelet", 4, 2), end_ms=10)
    assert within == [("a", 0, 10, False), ("b", 10, 10, True)]


def test_details_stay_within_their_step() -> None:
    found = times(
        Step("a", "kubelet", 0, 10),
        Step("b", "kubelet", 5, 15),
        Step("detail", "containerd", 6, 2, depth=1),
        Step("detail", "containerd", 12, 2, depth=1),
        end_ms=20,
    )
    assert found[2:] == [("detail", 10, 10, True), ("detail", 12, 14, False)]


def test_time_that_no_step_covers_is_not_traced_where_it_is_long_enough() -> None:
    (gap, step, rest) = laid([Step("a", "kubelet", 50, 10)], 0, 80, "agent-1")
    assert [(found.name, found.start_ms, found.end_ms) for found in (gap, step, rest)] == [
        ("not traced", 0, 50),
        ("a", 50, 60),
        ("not traced", 60, 80),
    ]
    assert (gap.unexplained, gap.node) == (True, "agent-1")
    assert laid([Step("a", "kubelet", 4, 76)], 0, 80) == [Step("a", "kubelet", 4, 76)]
