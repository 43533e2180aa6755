"""Agents that were being added when Docker was killed."""

from __future__ import annotations

from typing import Any

import pytest

from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.transition import identity
from runtime_observability.host import store
from tests.fakes.daemon import DockerObject, FakeDaemon
from tests.unit.host.convergence.cluster import changes, remember, run, spec_of


def _interrupted(daemon: FakeDaemon, names: Names, spec: ClusterSpec, **agent: Any) -> DockerObject:
    """An agent that was being added when Docker was killed."""
    daemon.network(names.network)
    daemon.node(names, "server", spec=identity(spec))
    remember(names, spec_of(names), complete=False, adding=[names.node("agent", 0)])
    declared = ["/var/lib/rancher/k3s"]
    return daemon.node(names, "agent", spec=identity(spec), declared=declared, **agent)


_VOLUME = {"Type": "volume", "Name": "a" * 64, "Destination": "/var/lib/rancher/k3s"}


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize("state", ["created", "running"])
def test_an_agent_that_docker_did_not_finish_is_made_again(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, state: str
) -> None:
    """It has none of its image's volumes: k3s does not start in it, or no pod does."""
    unfinished = _interrupted(daemon, names, spec, state=state)
    run(names, spec)
    assert changes(daemon) == ["remove", "kubectl delete", "docker create", "start"]
    assert unfinished not in daemon.containers
    record = store.load(names)
    assert record is not None
    assert record.adding == []


@pytest.mark.usefixtures("readiness")
def test_an_agent_that_docker_did_not_finish_and_nobody_wants_any_more_is_removed(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    _interrupted(daemon, names, spec)
    run(names, spec_of(names))
    assert changes(daemon) == ["remove", "kubectl delete"]
    (forgotten,) = (
        call.argv for call in daemon.calls_to("docker", "exec") if "delete" in call.argv
    )
    agent = names.node("agent", 0)
    assert {f"node/{agent}", f"secret/{agent}.node-password.k3s"} < {*forgotten}


@pytest.mark.usefixtures("readiness")
@pytest.mark.parametrize(
    "agent",
    [
        {"mounts": [_VOLUME]},
        {"top": "/bin/k3s agent\n/bin/containerd-shim-runc-v2 -namespace k8s.io"},
    ],
    ids=["whole", "with a container"],
)
def test_an_agent_whose_adding_was_interrupted_stays_if_it_is_whole_or_works(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, agent: dict[str, Any]
) -> None:
    added = _interrupted(daemon, names, spec, **agent)
    run(names, spec)
    assert added in daemon.containers
    assert "remove" not in changes(daemon)


@pytest.mark.usefixtures("readiness")
def test_an_agent_that_lacks_volumes_and_was_complete_stays(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """It has what it needs elsewhere, such as another snapshotter."""
    agent = _interrupted(daemon, names, spec)
    remember(names, spec)
    run(names, spec)
    assert agent in daemon.containers


@pytest.mark.usefixtures("readiness")
def test_of_an_interrupted_first_up_that_may_be_in_use_an_unfinished_agent_is_made_again(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    agent = _interrupted(daemon, names, spec)
    server = daemon.containers[0]
    remember(names, spec, complete=False, never_complete=True)
    run(names, spec)
    assert server in daemon.containers
    assert agent not in daemon.containers
    assert "docker create" in changes(daemon)
