"""``verify`` without a Jaeger: what the collector's counters tell of each component and node."""

from __future__ import annotations

from typing import Any

import pytest

from ktrace.errors import UnreachableError
from ktrace.pipeline import counted, hops, pipelines
from ktrace.pipeline.collector_metrics import Arrivals
from ktrace.pipeline.coverage import Coverage, Node
from ktrace.pipeline.hops import BrokenHop
from ktrace.pipeline.pipelines import Pipeline, StackPipeline
from tests.fakes.clock import Clock

SERVER, AGENT = Node("server-0", server=True), Node("agent-0", server=False)
BROKEN = BrokenHop(hops.DELIVERS, "", "")


@pytest.fixture
def arrivals(monkeypatch: pytest.MonkeyPatch) -> list[Arrivals]:
    """What the collector of the stack has counted, in each look; the last one ever after."""
    readings: list[Arrivals] = []

    def of_nodes(*_: object) -> StackPipeline:
        found = StackPipeline.__new__(StackPipeline)
        found.__dict__["destinations"] = ()
        return found

    monkeypatch.setattr(pipelines, "of_nodes", of_nodes)
    monkeypatch.setattr(
        StackPipeline, "arrivals", lambda _: readings.pop(0) if readings[1:] else readings[0]
    )
    Clock().drive(monkeypatch, counted)
    return readings


def verified(monkeypatch: pytest.MonkeyPatch, *nodes: Node, **broken: Any) -> list[Coverage]:
    """``broken`` is what breaks the way from a node, by its name without the number."""
    monkeypatch.setattr(
        hops, "broken_on_the_way", lambda _, node: broken.get(node.removesuffix("-0"))
    )
    monkeypatch.setattr(
        hops, "first_broken", lambda _, node, component: BrokenHop(f"{node} {component}", "", "")
    )
    outputs = {"tracedComponents": ["apiserver", "kubelet", "containerd"]}
    return list(counted.verify(nodes, outputs, seconds=3).parts)


ALL = ("apiserver", "kubelet", "containerd")
NEW = [Arrivals(dict.fromkeys(ALL, 1)), Arrivals(dict.fromkeys(ALL, 2))]


def test_what_has_arrived_since_is_ok(
    arrivals: list[Arrivals], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals += NEW
    parts = verified(monkeypatch, SERVER)
    assert {part.component: part.ok for part in parts if part.expected} == dict.fromkeys(ALL, True)
    assert all(part.node_known for part in parts), "there is one node alone"


def test_of_what_several_nodes_run_no_node_is_known(
    arrivals: list[Arrivals], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals += NEW
    parts = verified(monkeypatch, SERVER, AGENT)
    known = {(part.component, part.node): part.node_known for part in parts if part.expected}
    assert known == {
        ("apiserver", "server-0"): True,
        **{(component, node): False for component in ALL[1:] for node in ("server-0", "agent-0")},
    }


def test_a_node_whose_way_is_broken_is_named_and_no_other(
    arrivals: list[Arrivals], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals += NEW
    parts = [part for part in verified(monkeypatch, SERVER, AGENT, agent=BROKEN) if part.expected]
    assert {part.node for part in parts if not part.ok} == {"agent-0"}
    assert {part.broken for part in parts if part.node == "agent-0"} == {BROKEN}
    assert {part.broken for part in parts if part.node == "server-0"} == {None}


def test_a_silent_component_has_its_own_hop(
    arrivals: list[Arrivals], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals += [NEW[0], Arrivals({"apiserver": 2, "kubelet": 2, "containerd": 1})]
    parts = [part for part in verified(monkeypatch, SERVER) if part.expected]
    (silent,) = (part for part in parts if not part.ok)
    assert silent.last_span is None
    assert silent.broken == BrokenHop("server-0 containerd", "", "")
    assert all(part.broken is None for part in parts if part.ok)


def test_without_the_collector_nothing_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines, "of_nodes", lambda *_: Pipeline.__new__(Pipeline))
    with pytest.raises(UnreachableError, match="collector cannot be found"):
        counted.verify([SERVER], {}, seconds=3)
