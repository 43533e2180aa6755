"""`destroy` removes the whole stack, even what the state does not know, and nothing else."""

from __future__ import annotations

import time

from tests.live.stack import Stack


def test_destroy_leaves_nothing_and_other_stacks_alone(standing: Stack, doomed: Stack) -> None:
    neighbours = standing.ids()
    assert set(doomed.ids()) == {doomed.jaeger, doomed.collector, doomed.server}
    doomed.destroy()
    assert doomed.left_overs() == set()
    assert doomed.state == {}
    assert standing.ids() == neighbours
    standing.expect_no_changes()


def test_destroy_leaves_nothing_after_cluster_and_jaeger_were_removed_by_hand(
    doomed: Stack,
) -> None:
    doomed.delete_cluster_by_hand()
    doomed.docker("rm", "-fv", doomed.jaeger)
    doomed.destroy()
    assert doomed.left_overs() == set()
    assert doomed.state == {}


def test_a_part_of_a_destroy_takes_the_cluster_where_it_is_named(doomed: Stack) -> None:
    before = doomed.ids()
    guard, keep = (doomed.state[f"cluster-guard-{part}"]["urn"] for part in ("sweep", "keep"))
    destroy = ("destroy", "--yes", "--skip-preview")
    doomed.pulumi(*destroy, "--target", keep, "--target-dependents")
    doomed.pulumi(*destroy, "--exclude", guard)
    assert doomed.ids()[doomed.server] == before[doomed.server]
    doomed.up()
    assert doomed.ids()[doomed.server] == before[doomed.server]
    doomed.pulumi(*destroy, "--target", guard, "--target-dependents")
    assert set(doomed.ids()) == {doomed.jaeger, doomed.collector}
    doomed.destroy()
    assert doomed.left_overs() == set()


def test_destroy_takes_a_cluster_along_that_the_state_does_not_know(doomed: Stack) -> None:
    urn = doomed.state["cluster-guard-sweep"]["urn"]
    doomed.pulumi("state", "delete", urn, "--target-dependents", "--force", "--yes")
    assert "cluster-ensure" not in doomed.state
    begin = time.monotonic()
    doomed.destroy()
    assert time.monotonic() - begin < 60, "the delete of the network waited for the cluster's nodes"
    assert doomed.left_overs() == set()
    assert doomed.state == {}
