"""Of what was tried many times, few tries are shown, and nothing else is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ktrace.podstart.model import Step
from ktrace.view import terminal, waterfall
from ktrace.view.retries import fold

FIRST = [Step("sandbox", "containerd", 0, 100), Step("network set-up", "containerd", 1, 5, depth=1)]


def tries(number: int) -> list[Step]:
    """A container that cannot be created: each try, the wait after it and a gap."""
    return [
        step
        for at in range(100, 100 + number * 1000, 1000)
        for step in (
            Step("create container main", "containerd", at, 10, error="no such profile"),
            Step("snapshot and container record", "containerd", at, 5, depth=1),
            Step("not traced", "kubelet", at + 10, 10, unexplained=True),
            Step(f"waits (CrashLoopBackOff): back-off {at}s", "kubelet", at + 20, 980),
        )
    ]


def names(steps: Sequence[Step]) -> list[str | int]:
    return [row if isinstance(row, int) else row.name.partition(" (")[0] for row in fold(steps)]


def test_the_first_tries_and_the_last_one_are_shown() -> None:
    one = ["create container main", "snapshot and container record", "not traced", "waits"]
    first = ["sandbox", "network set-up"]
    assert names([*FIRST, *tries(5)]) == [*first, *one * 5]
    assert names([*FIRST, *tries(6)]) == [*first, *one * 2, 4 * 3, *one]
    assert names([*FIRST, *tries(200)]) == [*first, *one * 2, 4 * 197, *one]


def test_what_made_the_length_is_shown() -> None:
    steps = tries(20)
    steps[4 * 10 + 3] = replace(steps[4 * 10 + 3], critical=True, share=0.4)
    rows = list(fold(steps))
    assert [row for row in rows if not isinstance(row, int) and row.critical] == [steps[43]]
    # With it the gap before it, which lies beside what is shown.
    assert [row for row in rows if isinstance(row, int)] == [8 * 4 + 2, 8 * 4]


def test_a_single_step_is_shown_in_place_of_its_number() -> None:
    pulls = [Step("pull", "containerd", at, 10, error="no such host") for at in range(8)]
    pulls[4] = replace(pulls[4], critical=True, share=0.4)
    assert [row if isinstance(row, int) else "pull" for row in fold(pulls)] == [
        *["pull"] * 2, 2, "pull", 2, "pull",
    ]  # fmt: skip
    pulls[3] = replace(pulls[3], critical=True, share=0.4)
    assert [row for row in fold(pulls) if isinstance(row, int)] == [2]


def test_many_containers_are_no_tries_of_one() -> None:
    steps = [
        step
        for at in range(20)
        for step in (
            Step(f"create container c{at}", "containerd", at * 30, 10),
            Step("snapshot and container record", "containerd", at * 30, 5, depth=1),
            Step("not traced", "kubelet", at * 30 + 10, 20, unexplained=True),
        )
    ]
    assert list(fold(steps)) == steps


def test_the_waterfall_tells_how_many_are_left_out() -> None:
    shown = terminal.plain(waterfall.table_of([*FIRST, *tries(200)], 200_100, 120))
    assert "… 788 more of these: see --json" in shown
    assert len(shown.splitlines()) == 1 + 2 + 4 * 3 + 1


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(["a", "b", "waits (X): back-off 10s", "waits (X): back-off 20s"]),
        st.sampled_from(["kubelet", "containerd"]),
        st.just(0.0),
        st.just(1.0),
        critical=st.sampled_from([False] * 9 + [True]),
        unexplained=st.sampled_from([False, False, True]),
        depth=st.sampled_from([0, 0, 1]),
    ),
    max_size=80,
)


@given(STEPS)
def test_nothing_is_lost(steps: list[Step]) -> None:
    rows = list(fold(steps))
    shown = [row for row in rows if isinstance(row, Step)]
    assert len(shown) + sum(row for row in rows if isinstance(row, int)) == len(steps)
    assert [step for step in steps if id(step) in set(map(id, shown))] == shown
    assert [step for step in shown if step.critical] == [step for step in steps if step.critical]
    kinds = Counter((step.component, step.name[:5]) for step in steps if step.depth == 0)
    rare = {kind for kind, number in kinds.items() if number < 6}
    assert all(
        step in shown
        for step in steps
        if step.depth == 0 and not step.unexplained and (step.component, step.name[:5]) in rare
    )
