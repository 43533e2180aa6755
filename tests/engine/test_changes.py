"""A changed setting replaces only the resources that depend on it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.live.pods import a_bare_pod, expect_a_pod_to_run
from tests.live.stack import UP_SECONDS, Stack
from tests.live.waiting import until

_BROKEN_CONTAINERD = """#!/bin/sh
[ "$1" = --version ] && exec echo containerd github.com/containerd/containerd v2.4.2 0
echo "containerd: this build starts nothing" >&2
exit 1
"""


def test_another_collector_sampling_replaces_the_collector_and_not_the_cluster(
    standing: Stack,
) -> None:
    before = standing.ids()
    standing.configure(collectorSamplingPerMillion=500_000)

    plan = standing.plan()
    assert "collector-container" in plan.replaced
    assert all(name.startswith("collector") for name in plan.changes)
    assert "Jaeger will be replaced" not in plan.diagnostics

    standing.up()
    after = standing.ids()
    assert after[standing.collector] != before[standing.collector]
    assert after[standing.jaeger] == before[standing.jaeger]
    assert after[standing.server] == before[standing.server]
    standing.expect_no_changes()


def test_what_another_jaeger_costs_is_announced(standing: Stack) -> None:
    standing.configure(jaegerMaxTraces=40_000)
    plan = standing.plan()
    assert {name for name in plan.replaced if name.endswith("container")} == {"jaeger-container"}
    assert "Jaeger will be replaced, and the traces in its memory are lost" in plan.diagnostics


def test_jaeger_goes_and_comes_back_beside_the_same_cluster(standing: Stack) -> None:
    before = standing.ids()
    exporter = {"endpoint": "nobody.example:1", "tls": {"insecure": True}}
    standing.configure(traceStore="none", exporters=[exporter])
    plan = standing.plan()
    assert "Jaeger will be removed, and the traces in its memory are lost" in plan.diagnostics
    assert all(name.startswith(("jaeger", "collector")) for name in plan.changes)

    standing.up()
    without = standing.ids()
    assert before.keys() - without.keys() == {standing.jaeger}
    assert without[standing.server] == before[standing.server]
    assert (standing.outputs["jaegerUrl"], standing.outputs["traceStore"]) == ("", "none")
    assert not any(name.startswith("jaeger") for name in standing.state)
    standing.expect_no_changes()

    standing.configure()
    told = standing.plan().diagnostics
    assert "Jaeger will be made; earlier traces stay where exporters sent them" in told
    assert "is gone" not in told
    standing.up()
    assert standing.ids().keys() == before.keys()
    assert standing.ids()[standing.server] == before[standing.server]
    standing.expect_no_changes()


def test_agents_are_added_and_removed_and_the_rest_goes_on(standing: Stack) -> None:
    before = standing.ids()
    agent = f"k3d-{standing.cluster}-agent-0"
    with a_bare_pod(standing) as pod:
        uid, _ = pod()
        standing.configure(agents=1)
        plan = standing.plan()
        assert "cluster-guard-sweep" not in plan.changes
        assert "agents will be added, 1 of them: agents: 0 → 1" in plan.diagnostics
        standing.up()
        assert {name: standing.ids()[name] for name in before} == before
        assert standing.docker.running(agent)
        standing.kubectl("wait", "--for=condition=Ready", f"node/{agent}", "--timeout=5s")
        environment = standing.docker("inspect", "--format", "{{json .Config.Env}}", agent)
        assert f"OTEL_RESOURCE_ATTRIBUTES=k8s.node.name={agent}" in environment
        standing.expect_no_changes()

        standing.kubectl("delete", "node", agent)
        assert f"{agent} runs, and the API server does not know it" in standing.up_as_planned().said
        standing.kubectl("wait", "--for=condition=Ready", f"node/{agent}", "--timeout=5s")
        assert {name: standing.ids()[name] for name in before} == before
        standing.expect_no_changes()

        standing.configure()
        assert "agents will be drained and removed, 1 of them" in standing.plan().diagnostics
        standing.up()
        assert standing.ids() == before
        assert agent not in standing.kubectl("get", "nodes")
        assert pod() == (uid, 0)
        standing.expect_no_changes()


def test_another_sampling_restarts_the_nodes_and_no_object_is_lost(standing: Stack) -> None:
    before = standing.ids()
    with a_bare_pod(standing) as pod:
        uid, restarts = pod()
        standing.configure(nodeSamplingPerMillion=500_000)
        plan = standing.plan()
        assert "cluster-guard-sweep" not in plan.changes
        assert "its nodes will restart one after the other" in plan.diagnostics
        standing.up()
        assert standing.ids() == before
        until("the restart of the pod", lambda: pod() == (uid, restarts + 1), 60)
        standing.expect_no_changes()


def test_a_replacement_that_does_not_start_leaves_the_cluster_as_it_is(
    standing: Stack, tmp_path: Path
) -> None:
    before, objects = standing.ids(), standing.docker.of_stack(standing.name)
    containerd = tmp_path / "containerd"
    containerd.write_text(_BROKEN_CONTAINERD)
    of_containerd = {"containerdTracing": "upstream", "containerdBinary": str(containerd)}
    with a_bare_pod(standing) as pod:
        known = pod()
        for changed, why in (
            ({"k3sArgs": ["--kube-apiserver-arg=no-such-flag=1@server:*"]}, "no-such-flag"),
            (of_containerd, "containerd: this build starts nothing"),
        ):
            standing.configure(**changed)
            assert "will be replaced" in standing.plan().diagnostics
            said = standing.refused_up().said
            assert why in said
            assert "so the cluster stays as it is" in said
            assert standing.ids() == before
            assert standing.docker.of_stack(standing.name) == objects
        standing.configure()
        standing.up()
        assert standing.ids() == before
        assert pod() == known
        standing.expect_no_changes()


def test_a_replacement_is_seen_to_start_before_the_old_cluster_goes(standing: Stack) -> None:
    before = standing.ids()
    changed = {
        "k3sArgs": ["--kubelet-arg=max-pods=50@server:*"],
        "nodeEnvironment": {"TEAM": "platform"},
        "nodeVolumes": ["docs:/docs:ro"],
    }
    standing.configure(**changed)
    told = standing.plan().diagnostics
    assert "will be replaced, and its workloads go with it: " in told
    for key, value in changed.items():
        assert f"{key}: {json.dumps(type(value)())} → {json.dumps(value)}" in told
    assert "the new configuration starts, so it is replaced now" in standing.up().said
    after = standing.ids()
    assert set(after) == set(before)
    in_node = ("exec", standing.server, "sh", "-c", "echo $TEAM; ls /docs/how-it-works.md")
    assert standing.docker(*in_node).split() == ["platform", "/docs/how-it-works.md"]
    assert after[standing.server] != before[standing.server]
    assert after[standing.jaeger] == before[standing.jaeger]
    expect_a_pod_to_run(standing)
    standing.expect_no_changes()


def test_a_plan_of_a_preview_replaces_the_cluster(standing: Stack, tmp_path: Path) -> None:
    """And not a plan from before: Pulumi compares what it says with what comes."""
    before, plan = standing.ids(), str(tmp_path / "plan.json")
    standing.configure(k3sArgs=["--kubelet-arg=max-pods=30@server:*"])
    standing.pulumi("preview", "--save-plan", plan)
    standing.configure(k3sArgs=["--kubelet-arg=max-pods=31@server:*"])
    stale = standing.start("up", "--yes", "--skip-preview", "--plan", plan).wait(UP_SECONDS)
    assert "violates plan" in stale.failed().said
    assert standing.ids() == before
    standing.configure(k3sArgs=["--kubelet-arg=max-pods=30@server:*"])
    standing.pulumi("up", "--yes", "--skip-preview", "--plan", plan)
    assert standing.ids()[standing.server] != before[standing.server]
    standing.expect_no_changes()


def test_a_rehearsal_of_another_configuration_replaces_no_cluster(standing: Stack) -> None:
    """As after an up that was interrupted before it came to the guard."""
    before = standing.ids()
    guard = standing.state["cluster-guard-sweep"]["urn"]
    up = ("up", "--yes", "--skip-preview")
    standing.configure(k3sArgs=["--kubelet-arg=max-pods=32@server:*"])
    standing.pulumi(*up, "--exclude", guard, "--exclude-dependents")
    standing.configure(k3sArgs=["--kube-apiserver-arg=no-such-flag=1@server:*"])
    standing.pulumi(*up, "--target", guard)
    assert standing.ids() == before
    standing.configure()
    standing.up()
    assert standing.ids() == before
    standing.expect_no_changes()


@pytest.mark.parametrize("name", ["cluster-guard-sweep", "network-detach"])
def test_a_guard_that_was_renamed_in_the_state_takes_no_cluster_along(
    standing: Stack, name: str
) -> None:
    before = standing.ids()
    guard = standing.state[name]["urn"]
    standing.pulumi("state", "rename", guard, "another-name", "--yes")
    assert "`pulumi state delete`" in standing.refused_up().said
    assert standing.ids() == before
    renamed = f"{guard.rpartition('::')[0]}::another-name"
    standing.pulumi("state", "delete", renamed, "--yes")
    standing.up()
    assert standing.ids() == before
    standing.expect_no_changes()


def test_a_part_of_an_up_replaces_no_cluster_without_its_rehearsal(standing: Stack) -> None:
    before = standing.ids()
    guard, rehearsal = (
        standing.state[name]["urn"] for name in ("cluster-guard-sweep", "rehearsal-run")
    )
    standing.configure(k3sArgs=["--kubelet-arg=max-pods=40@server:*"])
    standing.pulumi("up", "--yes", "--skip-preview", "--target", guard)
    assert standing.ids() == before
    excluding = standing.start("up", "--yes", "--skip-preview", "--exclude", rehearsal)
    assert "was created from another configuration" in excluding.wait(UP_SECONDS).failed().said
    assert standing.ids() == before
    standing.configure(
        k3sArgs=["--kubelet-arg=max-pods=40@server:*"], nodeSamplingPerMillion=500_000
    )
    kubelet = standing.state["files-kubelet-tracing.yaml"]["urn"]
    excluding = standing.start("up", "--yes", "--skip-preview", "--exclude", kubelet)
    assert "is not of this configuration" in excluding.wait(UP_SECONDS).failed().said
    assert standing.ids() == before
    standing.configure()
    standing.up()
    standing.pulumi("up", "--yes", "--skip-preview", "--replace", rehearsal)
    assert standing.ids() == before
    standing.expect_no_changes()


def test_a_guard_that_was_tainted_takes_no_cluster_along(standing: Stack) -> None:
    """Nor in a shell with variables of the names that the guards' scripts have."""
    before, objects = standing.ids(), standing.docker.of_stack(standing.name)
    own = standing.environment
    standing.environment = own | {"NETWORK": "mainnet", "DIGEST": "sha256:0"}
    for guard in ("stack-sweep", "network-detach"):
        standing.pulumi("state", "taint", standing.state[guard]["urn"], "--yes")
        assert "the delete of this resource takes cluster" in standing.refused_up().said
        standing.pulumi("state", "untaint", "--all", "--yes")
    standing.environment = own
    assert standing.ids() == before
    assert standing.docker.of_stack(standing.name) == objects
    standing.expect_no_changes()


@pytest.mark.parametrize("name", ["cluster-guard-sweep", "network-network"])
def test_a_cluster_is_not_replaced_because_pulumi_was_told_to(standing: Stack, name: str) -> None:
    """Nobody has seen the next one start. All at once is as much as one of them."""
    before = standing.ids()
    resource = standing.state[name]["urn"]
    keep = standing.state["cluster-guard-keep"]["urn"]
    with a_bare_pod(standing) as pod:
        known = pod()
        standing.pulumi("state", "taint", resource, "--yes")
        assert "was not removed: this is no `pulumi destroy`" in standing.refused_up().said
        standing.pulumi("state", "untaint", "--all", "--yes")
        for words in (
            ("--replace", resource),
            ("--replace", resource, "--replace", keep),
            ("--target-replace", resource, "--target-dependents"),
        ):
            refused = standing.start("up", "--yes", "--skip-preview", *words).wait(UP_SECONDS)
            assert "was not removed: this is no `pulumi destroy`" in refused.failed().said
        assert standing.ids() == before
        standing.up()
        assert pod() == known
    assert standing.ids() == before
    standing.expect_no_changes()


def test_a_rehearsal_that_was_killed_is_cleared_away(standing: Stack) -> None:
    before, objects = standing.ids(), standing.docker.of_stack(standing.name)
    standing.configure(k3sArgs=["--kubelet-arg=max-pods=60@server:*"])
    running = standing.start("up", "--yes", "--skip-preview")
    until(
        "the rehearsal's node",
        lambda: standing.docker.of_stack(standing.name) > objects or running.ended(),
        120,
        every=0.05,
    )
    running.signal(signal.SIGKILL)
    running.wait(10).failed()
    standing.end_orphans()
    standing.unlock()
    assert {name: standing.ids()[name] for name in before} == before
    standing.configure()
    assert "a rehearsal of cluster" in standing.up().said
    assert standing.ids() == before
    assert standing.docker.of_stack(standing.name) == objects
    standing.expect_no_changes()
