"""A boot's moments in order, whatever they are."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ktrace.boot.build import build, pairs
from ktrace.boot.model import DOCKER, LOG, OBJECT, READY, SPAN, Mark, NodeStart
from ktrace.view import boot as view
from ktrace.view import terminal
from tests.schemas import validate

BEGIN = datetime(2026, 11, 27, 6, tzinfo=UTC)
NODE = "k3d-traced-dev-server-0"


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def started(seconds: float = 1, *, again: bool = False, name: str = NODE) -> NodeStart:
    return NodeStart(name, at(0), at(seconds), again)


MARKS = [
    Mark(at(9), READY, OBJECT, NODE),
    Mark(at(0), "node created", DOCKER, NODE),
    Mark(at(1), "node started", DOCKER, NODE),
    Mark(at(7.5), "API server serves", LOG, NODE),
]


def test_moments_are_lines_with_the_wait_before_each() -> None:
    boot = build("traced-dev", [started()], MARKS, ready=True)
    assert [(line.after_ms, line.waited_ms) for line in boot.lines] == [
        (0, 0), (1000, 1000), (7500, 6500), (9000, 1500),
    ]  # fmt: skip
    assert boot.length_ms == 9000
    ((_, longest), *_) = pairs(boot)
    assert longest.mark.what == "API server serves"
    assert view.title(boot) == "cluster traced-dev booted: 1 node Ready after 9 s"


def test_a_boot_of_a_restart_has_nothing_of_before() -> None:
    boot = build("traced-dev", [started(5, again=True)], MARKS, ready=True)
    assert [line.mark.what for line in boot.lines] == ["API server serves", READY]
    assert boot.again
    assert view.title(boot).startswith("cluster traced-dev started again: ")


def test_without_the_moment_of_every_node_the_length_is_not_known() -> None:
    nodes = [started(), started(2, name="k3d-traced-dev-agent-0")]
    boot = build("traced-dev", nodes, MARKS, ready=True)
    assert boot.length_ms is None
    assert view.title(boot).endswith("when its nodes were Ready is not known")
    unready = build("traced-dev", [started()], MARKS, ready=False)
    assert view.title(unready).endswith("not every node is Ready")


def test_a_cluster_without_nodes_does_not_run() -> None:
    boot = build("traced-dev", [], [], ready=None, missing=["no node runs"])
    assert (boot.lines, boot.length_ms) == ((), None)
    assert view.title(boot) == "cluster traced-dev does not run"
    assert list(view.summary(boot)) == ["not known: no node runs"]


@pytest.mark.parametrize("columns", [60, 80, 100, 120])
def test_no_word_is_broken_on_a_narrow_terminal(columns: int) -> None:
    agent, what = "k3d-traced-dev-agent-0", "the datastore answers the API server"
    two = [started(0), started(1, name=agent)]
    own = [Mark(at(2), what, LOG, NODE), Mark(at(3), READY, OBJECT, agent)]
    boot = build("traced-dev", two, own, ready=True)
    console = Console(width=columns, color_system=None)
    with console.capture() as captured:
        console.print(view.table(boot, columns))
    lines = captured.get().splitlines()
    words = re.split(r"[\s,()]+", captured.get())
    assert max(map(len, lines)) <= columns
    assert {NODE, agent, *what.split(), "object", "second"} <= set(words)
    assert len(lines) <= len(boot.lines) * (3 if columns == 60 else 2)


marks = st.builds(
    lambda seconds, what, source: Mark(at(seconds), what, source, NODE),
    st.floats(-3600, 3600),
    st.sampled_from((READY, "a", "b")),
    st.sampled_from((DOCKER, LOG, OBJECT, SPAN)),
)
nodes = st.builds(
    lambda seconds, again: started(seconds, again=again), st.floats(0, 60), st.booleans()
)


@given(
    st.lists(nodes, max_size=3), st.lists(marks, max_size=8), st.sampled_from((True, False, None))
)
def test_any_boot_is_told_without_a_contradiction(
    nodes: list[NodeStart], marks: list[Mark], ready: bool | None
) -> None:
    boot = build("traced-dev", nodes, marks, ready=ready)
    times = [line.after_ms for line in boot.lines]
    assert times == sorted(times)
    assert all(line.waited_ms >= 0 for line in boot.lines)
    assert sum(line.critical for line in boot.lines) <= len(boot.lines)
    assert boot.length_ms is None or ready
    validate("boot", view.document(boot))
    for columns in (60, 400):
        terminal.plain(view.table(boot, columns))
