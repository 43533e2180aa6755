"""Which steps a start waited for."""

from __future__ import annotations

import pytest

from ktrace.podstart import critical_path
from ktrace.podstart.model import Step


def critical(*times: tuple[float, float]) -> list[bool]:
    """Whether each step is critical; ``times`` are its start and end in milliseconds."""
    steps = [Step("s", "kubelet", start, end - start) for start, end in times]
    return [step.critical for step in critical_path.mark(steps)]


@pytest.mark.parametrize(
    ("times", "marked"),
    [
        ([(0, 10), (10, 20)], [True, True]),
        ([(0, 10), (2, 8), (10, 20)], [True, False, True]),
        ([(0, 10), (12, 20)], [True, True]),
        # The shortest step that Jaeger can tell: one microsecond.
        ([(0, 1), (1, 1.001)], [True, True]),
        # What begins less than half a microsecond before another step begins with it.
        ([(6, 10), (10, 20), (9.9998, 15)], [True, True, False]),
    ],
)
def test_a_start_waits_for_what_ended_last_before_the_next_step(
    times: list[tuple[float, float]], marked: list[bool]
) -> None:
    assert critical(*times) == marked
