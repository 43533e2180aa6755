"""Nodes that a start does not bring back: which of them are started again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.host import convergence, runner
from tests.fakes.daemon import FakeDaemon
from tests.unit.host.convergence.cluster import Answering, changes, now, run, standing, waits


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize("status", [200, 401, 403, 500])
def test_nodes_whose_own_credentials_have_expired_restart_together(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    """A kubelet's have expired with them, so one node alone would not become ready."""
    standing(daemon, names, spec)
    Answering(status).to_ensure(monkeypatch)
    run(names, spec)
    killed = ["docker kill", "docker kill", "start"] if status == 401 else []
    assert changes(daemon) == killed
    wanted = convergence.wanted_nodes(names, spec)
    assert waits == [(wanted, wanted if killed else ())]


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize(
    ("gone", "since", "restarts"),
    [
        ("agent", now, True),
        ("server", lambda: "2026-01-01T00:00:00Z", True),
        ("server", now, False),
    ],
    ids=["agent", "server", "server that may still join"],
)
def test_a_node_that_was_deleted_in_kubernetes_starts_again(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    *,
    gone: str,
    since: Callable[[], str],
    restarts: bool,
) -> None:
    """A kubelet joins only when it starts: the wait for it would be in vain."""
    standing(daemon, names, spec, started=since())
    (left,) = (node.name for node in daemon.containers if gone not in node.name)
    Answering(200, (left,)).to_ensure(monkeypatch)
    run(names, spec)
    assert changes(daemon) == (["docker kill", "start"] if restarts else [])
    assert [call.argv[-1] for call in daemon.calls_to("docker", "kill")] == (
        [names.node(gone, 0)] if restarts else []
    )


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize(
    ("answers", "since", "restarts"),
    [
        (["Unknown"], lambda: "2026-01-01T00:00:00Z", True),
        (["Unknown"], now, False),
        (["Unknown", "Unknown", "True"], lambda: "2026-01-01T00:00:00Z", False),
        (["False"], lambda: "2026-01-01T00:00:00Z", False),
    ],
    ids=["hung", "starts", "was paused", "not ready, and says why"],
)
def test_a_node_whose_kubelet_does_not_report_starts_again(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    *,
    answers: list[str],
    since: Callable[[], str],
    restarts: bool,
) -> None:
    """The wait for one that hangs is in vain, and its end the advice to delete the cluster."""
    standing(daemon, names, spec, started=since())
    agent = names.node("agent", 0)
    Answering(200, convergence.wanted_nodes(names, spec), {agent: answers}).to_ensure(monkeypatch)
    run(names, spec)
    assert changes(daemon) == (["docker kill", "start"] if restarts else [])
    assert [call.argv[-1] for call in daemon.calls_to("docker", "kill")] == [agent][:restarts]


@pytest.mark.parametrize(
    ("status", "restarts"), [("Unknown", True), ("False", False)], ids=["hung", "says why"]
)
def test_a_kubelet_that_has_not_reported_at_the_end_of_the_wait_hangs(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    readiness: list[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    status: str,
    restarts: bool,
) -> None:
    """Its node began so late that it might still have started when the up began."""
    standing(daemon, names, spec, started=now())
    agent = names.node("agent", 0)
    Answering(200, convergence.wanted_nodes(names, spec), {agent: [status]}).to_ensure(monkeypatch)
    readiness.append("nothing new has happened for 120 s, and it is not ready: agent-0")
    if restarts:
        run(names, spec)
    else:
        with pytest.raises(runner.CommandError, match="does not become ready and is left as it is"):
            run(names, spec)
    assert changes(daemon) == (["docker kill", "start"] if restarts else [])
    assert [call.argv[-1] for call in daemon.calls_to("docker", "kill")] == [agent][:restarts]


def test_a_server_that_has_not_joined_at_the_end_of_the_wait_starts_again(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    readiness: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its Node was deleted so soon after its start that it might still have joined."""
    standing(daemon, names, spec, started=now())
    server, agent = convergence.wanted_nodes(names, spec)
    Answering(200, (agent,)).to_ensure(monkeypatch)
    readiness.append("nothing new has happened for 120 s, and it is not ready: server-0")
    run(names, spec)
    assert changes(daemon) == ["docker kill", "start"]
    assert [call.argv[-1] for call in daemon.calls_to("docker", "kill")] == [server]


@pytest.mark.usefixtures("readiness")
def test_what_a_node_reported_before_it_was_started_does_not_count(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """Kubernetes calls a node ready for 50 s after its kubelet has ended."""
    standing(daemon, names, spec)
    server, agent = convergence.wanted_nodes(names, spec)
    daemon.containers[1].started = now()
    run(names, spec)
    assert waits == [((server, agent), (agent,))]
