"""Agents are traced like servers."""

from __future__ import annotations

from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.starts import SECONDS, promised, start_of
from tests.live.waiting import until


def test_an_agent_that_was_added_makes_a_cluster_of_two_ready_nodes(two_nodes: Stack) -> None:
    nodes = two_nodes.kubectl("get", "nodes", "--no-headers").splitlines()
    assert len(nodes) == 2
    assert all(node.split()[1] == "Ready" for node in nodes)
    two_nodes.expect_no_changes()


def test_the_start_of_a_pod_on_an_agent_is_a_joined_trace_of_that_node(two_nodes: Stack) -> None:
    agent = f"k3d-{two_nodes.cluster}-agent-0"
    with pods(two_nodes, "true", nodeName=agent) as single:
        single.wait_for("Succeeded")
        pod = f"{single.name}-0"
        trace = until("the joined trace", lambda: start_of(two_nodes, pod), SECONDS)
        assert trace.nodes == {service: {agent} for service in promised(two_nodes)}
