"""A changed setting replaces only the resources that depend on it."""

from __future__ import annotations

from tests.live.stack import Stack


def test_another_collector_sampling_replaces_the_collector_and_not_the_cluster(
    standing: Stack,
) -> None:
    before = standing.ids()
    standing.configure(collectorSamplingPerMillion=500_000)

    plan = standing.plan()
    assert "collector-container" in plan.replaced
    assert all(name.startswith("collector") for name in plan.changes)

    standing.up()
    after = standing.ids()
    assert after[standing.collector] != before[standing.collector]
    assert after[standing.jaeger] == before[standing.jaeger]
    assert after[standing.server] == before[standing.server]
    standing.expect_no_changes()


def test_another_number_of_agents_replaces_the_cluster_and_warns_of_its_workloads(
    standing: Stack,
) -> None:
    standing.configure(agents=1)
    plan = standing.plan()
    assert {"cluster-guard-sweep", "cluster-ensure"} <= plan.replaced
    assert all(name.startswith("cluster") for name in plan.changes)
    assert f"cluster {standing.cluster} will be replaced" in plan.diagnostics
    assert "workloads" in plan.diagnostics
    assert "agents" in plan.diagnostics


def test_a_replaced_network_takes_all_that_is_on_it_along_in_the_right_order(
    standing: Stack,
) -> None:
    before = standing.ids()
    network = standing.docker.networks(f"name={standing.cluster}")
    urn = standing.state["network-network"]["urn"]
    standing.pulumi("up", "--yes", "--skip-preview", "--replace", urn)
    after = standing.ids()
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    assert standing.docker.networks(f"name={standing.cluster}") != network
    standing.expect_no_changes()
