"""The next `up` repairs what was stopped, removed or edited by hand."""

from __future__ import annotations

import shutil

import pytest

from tests.live.pods import a_bare_pod, expect_a_pod_to_run
from tests.live.stack import Stack
from tests.live.waiting import until


@pytest.mark.parametrize("which", ["jaeger", "collector"])
def test_a_container_removed_by_hand_comes_back_and_the_cluster_stays(
    standing: Stack, which: str
) -> None:
    before = standing.ids()
    name = getattr(standing, which)
    standing.docker("rm", "-fv", name)
    standing.up_as_planned()
    assert standing.docker.running(name)
    assert standing.ids()[standing.server] == before[standing.server]
    standing.expect_no_changes()


@pytest.mark.parametrize("which", ["jaeger", "collector"])
def test_a_container_stopped_by_hand_runs_again_and_the_cluster_stays(
    standing: Stack, which: str
) -> None:
    before = standing.ids()
    name = getattr(standing, which)
    standing.docker("stop", "--time", "5", name)
    standing.up()
    assert standing.docker.running(name)
    assert standing.ids()[standing.server] == before[standing.server]
    standing.expect_no_changes()


@pytest.mark.parametrize("words", [(), ("--refresh",)], ids=["up", "refresh"])
def test_all_that_stood_still_while_its_network_was_pruned_goes_on(
    standing: Stack, words: tuple[str, ...]
) -> None:
    """`docker network prune` removes the network of what is stopped. Workloads do not need it."""
    before, network = standing.ids(), standing.docker.networks(f"name={standing.cluster}")
    with a_bare_pod(standing) as pod:
        uid, restarts = pod()
        standing.docker("kill", standing.server)  # a stop would drain it, and delete the pod
        standing.docker("stop", "--time", "5", standing.jaeger, standing.collector)
        standing.docker("network", "rm", standing.cluster)
        assert "connects the cluster's nodes to it" in standing.plan().diagnostics
        if words:
            standing.pulumi("up", "--yes", "--skip-preview", *words)
        else:
            standing.up_as_planned()
        assert standing.docker.networks(f"name={standing.cluster}") != network
        after = standing.ids()
        assert after[standing.server] == before[standing.server]
        assert {after[name] != before[name] for name in (standing.jaeger, standing.collector)} == {
            True
        }
        until("the restart of the pod", lambda: pod() == (uid, restarts + 1), 60)
        standing.expect_no_changes()


def test_a_network_that_was_removed_under_what_runs_is_made_again(standing: Stack) -> None:
    """The nodes are on the next one before Pulumi replaces the last guard of the one before."""
    before = standing.ids()
    for name in (standing.server, standing.jaeger, standing.collector):
        standing.docker("network", "disconnect", "--force", standing.cluster, name)
    standing.docker("network", "rm", standing.cluster)
    standing.pulumi("up", "--yes", "--skip-preview", "--refresh")
    assert standing.ids()[standing.server] == before[standing.server]
    expect_a_pod_to_run(standing)
    standing.expect_no_changes()


def test_a_stopped_node_is_started_and_not_replaced(standing: Stack) -> None:
    before = standing.ids()
    standing.docker("stop", "--time", "5", standing.server)
    run = standing.up()
    assert f"node {standing.server} is exited" in run.said
    assert standing.ids() == before
    expect_a_pod_to_run(standing)
    standing.expect_no_changes()


def test_what_would_stay_down_with_the_machine_is_mended_in_place(standing: Stack) -> None:
    before = standing.ids()
    names = (standing.server, standing.jaeger, standing.collector)
    standing.docker("update", "--restart=no", *names)
    run = standing.up_as_planned()
    assert all(f"container {name} does not start with Docker" in run.said for name in names)
    policy = ("inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", *names)
    assert standing.docker(*policy).split() == ["unless-stopped"] * 3
    assert standing.ids() == before
    standing.expect_no_changes()


def test_a_server_with_the_name_of_another_one_is_refused(standing: Stack) -> None:
    """It was taken for what is left of a cluster that has no server."""
    before, other = standing.ids(), f"k3d-{standing.cluster}-server-1"
    standing.docker("rename", standing.server, other)
    assert f"`docker rename {other} {standing.server}`" in standing.refused_up().said
    standing.docker("rename", other, standing.server)
    assert standing.ids() == before
    standing.expect_no_changes()


def test_what_was_taken_off_its_network_is_connected_again(standing: Stack) -> None:
    """`docker network disconnect` leaves a container running that nothing reaches."""
    before = standing.ids()
    for name in (standing.server, standing.collector):
        standing.docker("network", "disconnect", "--force", standing.cluster, name)
    run = standing.up_as_planned()
    off = f"is not on network {standing.cluster}"
    assert f"node {standing.server} {off}" in run.said
    assert f"container {standing.collector} {off}: up will make it again" in run.said
    changed = {name for name, identity in standing.ids().items() if before[name] != identity}
    assert changed == {standing.collector}
    expect_a_pod_to_run(standing)
    standing.expect_no_changes()


def test_what_was_connected_again_without_its_alias_is_made_again(standing: Stack) -> None:
    """A container without the alias looks as if it were connected, and no node finds it."""
    before = standing.ids()
    standing.docker("network", "disconnect", standing.cluster, standing.collector)
    standing.docker("network", "connect", standing.cluster, standing.collector)
    run = standing.up_as_planned()
    without = f"on network {standing.cluster} without its alias otel-collector"
    assert f"container {standing.collector} is {without}: up will make it again" in run.said
    changed = {name for name, identity in standing.ids().items() if before[name] != identity}
    assert changed == {standing.collector}
    standing.expect_no_changes()


def test_a_cluster_removed_by_hand_shows_in_the_preview_and_is_made_again(
    standing: Stack,
) -> None:
    before = standing.ids()
    standing.delete_cluster_by_hand()
    plan = standing.plan()
    assert f"node {standing.server} is gone" in plan.diagnostics
    assert "cluster-ensure" in plan.changes
    standing.up()
    after = standing.ids()
    assert after[standing.server] != before[standing.server]
    assert after[standing.collector] == before[standing.collector]
    expect_a_pod_to_run(standing)
    standing.expect_no_changes()


@pytest.mark.parametrize("damage", ["deleted", "edited"])
@pytest.mark.parametrize("file", ["node/kubelet-tracing.yaml", "kubeconfig"])
def test_a_file_that_was_touched_is_mended_and_the_cluster_stays(
    standing: Stack, file: str, damage: str
) -> None:
    before = standing.ids()
    path = standing.directory / file
    wanted = path.read_text()
    if damage == "deleted":
        path.unlink()
    else:
        path.write_text("edited by hand\n")
    run = standing.up()
    assert str(path) in run.said
    assert path.read_text() == wanted
    assert standing.ids() == before
    standing.expect_no_changes()


def test_a_stack_s_folder_that_was_removed_is_made_again_and_the_cluster_adopted(
    standing: Stack,
) -> None:
    before = standing.ids()
    shutil.rmtree(standing.directory)
    standing.up()
    assert standing.ids()[standing.server] == before[standing.server]
    expect_a_pod_to_run(standing)
    standing.expect_no_changes()


def test_a_stack_of_which_only_pulumi_s_state_is_left_is_made_again(doomed: Stack) -> None:
    """As on another machine, or without Docker's data and the files that git ignores."""
    doomed.remove_by_hand()
    shutil.rmtree(doomed.directory)
    assert "cluster-ensure" in doomed.plan().changes
    doomed.up_as_planned()
    expect_a_pod_to_run(doomed)
    doomed.expect_no_changes()
