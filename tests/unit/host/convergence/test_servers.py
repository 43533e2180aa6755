"""Several servers, each at the address by which etcd knows it."""

from __future__ import annotations

import pytest

from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.transition import content, identity
from runtime_observability.host import convergence, k3d, store
from tests.fakes.daemon import FakeDaemon
from tests.unit.host.convergence.cluster import (
    Answering,
    changes,
    now,
    remember,
    run,
    spec_of,
    waits,
)


def three_servers(daemon: FakeDaemon, names: Names) -> ClusterSpec:
    """A complete cluster, whose etcd knows its servers by the addresses 2 to 4."""
    spec = spec_of(names, servers=3)
    daemon.network(names.network)
    for index in range(3):
        daemon.node(names, "server", index, spec=identity(spec), address=f"172.20.0.{index + 2}")
    remember(names, spec, addresses={node.name: node.address for node in daemon.containers})
    return spec


@pytest.mark.usefixtures("spec")
@pytest.mark.parametrize("age", ["2026-01-01T08:00:00Z", ""], ids=["started", "may still join"])
def test_the_first_of_several_servers_is_not_restarted_where_kubernetes_has_it_no_more(
    daemon: FakeDaemon,
    names: Names,
    readiness: list[str],
    monkeypatch: pytest.MonkeyPatch,
    age: str,
) -> None:
    """It would begin an empty cluster: k3s has removed it from etcd with its Node, and tells it no
    server to join (k3s pkg/etcd/etcd.go, Start)."""
    three = three_servers(daemon, names)
    for server in daemon.containers:
        server.started = age or now()
    first, second, third = convergence.wanted_nodes(names, three)
    Answering(200, (second, third)).to_ensure(monkeypatch)
    if not age:
        readiness.append(f"nothing new has happened for 120 s, and it is not ready: {first}")
    with pytest.raises(k3d.CurableError) as failed:
        run(names, three)
    assert f"write `server: https://{second}:6443` into its /etc" in str(failed.value)
    assert changes(daemon) == []


@pytest.mark.usefixtures("spec", "readiness")
def test_addresses_of_several_servers_are_written_down(daemon: FakeDaemon, names: Names) -> None:
    spec = three_servers(daemon, names)
    known = {node.name: node.address for node in daemon.containers}
    remember(names, spec)
    run(names, spec)
    assert (record := store.load(names))
    assert record.addresses == known


@pytest.mark.usefixtures("spec", "readiness")
def test_servers_that_have_each_others_addresses_start_at_their_own(
    daemon: FakeDaemon, names: Names
) -> None:
    """As after a restart of the machine, where Docker starts them in any order."""
    spec = three_servers(daemon, names)
    first, second, third = daemon.containers
    first.address, second.address, third.state = third.address, first.address, "exited"
    third.address = ""
    run(names, spec)
    own = [f"172.20.0.{number}" for number in (2, 3, 4)]
    assert [node.address for node in daemon.containers] == own
    assert changes(daemon) == ["docker kill", "docker kill", "start"]
    everyone = convergence.wanted_nodes(names, spec)
    assert [(nodes, set(restarted)) for nodes, restarted in waits] == [(everyone, set(everyone))]


@pytest.mark.usefixtures("spec", "readiness")
def test_a_server_that_reads_its_changed_files_keeps_its_address(
    daemon: FakeDaemon, names: Names
) -> None:
    spec = three_servers(daemon, names)
    daemon.containers[0].address = "172.20.0.9"  # so that the lowest free one is not the second's
    changed = dict.fromkeys(convergence.wanted_nodes(names, spec), content(spec))
    second = daemon.containers[1].name
    known = {node.name: node.address for node in daemon.containers}
    remember(names, spec, addresses=known, content=changed | {second: "before"})
    run(names, spec)
    assert {node.name: node.address for node in daemon.containers} == known
