"""The addresses of servers: kept over every start, whatever Docker gave away meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.host import addresses, docker, runner
from tests.fakes.daemon import DockerObject, FakeDaemon


@pytest.fixture
def servers(daemon: FakeDaemon, names: Names) -> list[DockerObject]:
    """Three that run, with the addresses 4 to 6."""
    daemon.network(names.network)
    found = [daemon.node(names, "server", index) for index in range(3)]
    for number, server in enumerate(found, start=4):
        server.address = f"172.20.0.{number}"
    return found


@pytest.fixture
def known(servers: list[DockerObject]) -> dict[str, str]:
    return {server.name: server.address for server in servers}


def backend(daemon: FakeDaemon, names: Names, name: str, number: int) -> DockerObject:
    address, on = f"172.20.0.{number}", [f"id-of-{names.network}"]
    reached = {names.network: {"Aliases": ["jaeger", "id-of-"]}}
    return daemon.container(
        name, labels=names.labels, networks=on, address=address, reached=reached
    )


def stop(*nodes: DockerObject) -> None:
    for node in nodes:
        node.state, node.address = "exited", ""


def test_those_of_several_servers_are_read(
    daemon: FakeDaemon, names: Names, servers: list[DockerObject], known: dict[str, str]
) -> None:
    assert addresses.read(names.network, list(known)) == known
    stop(servers[1])
    del known[servers[1].name]
    assert addresses.read(names.network, [server.name for server in servers]) == known
    assert addresses.read(names.network, [servers[0].name]) == {}, "a single one may have any"
    daemon.networks.clear()
    assert addresses.read(names.network, list(known)) == {}


def test_each_starts_at_its_own_whatever_is_free_below(
    daemon: FakeDaemon, names: Names, servers: list[DockerObject], known: dict[str, str]
) -> None:
    stop(*servers)
    addresses.start(names, dict(reversed(known.items())))
    assert {server.name: server.address for server in servers} == known
    assert [found.name for found in daemon.containers] == list(known), "no placeholder is left"


def test_a_placeholder_goes_with_the_cluster(
    daemon: FakeDaemon, names: Names, servers: list[DockerObject], known: dict[str, str]
) -> None:
    stop(servers[0])
    addresses.start(names, {servers[0].name: known[servers[0].name]})
    runs = daemon.calls_to("docker", "run")
    assert len(runs) == 2
    for run in runs:
        assert f"--label=k3d.cluster={names.cluster}" in run.argv
        assert f"sha256:{servers[0].id}" in run.argv
        assert f"--label=runtime-observability.owner={names.owner}" in run.argv


def test_a_container_of_the_stack_gives_way(
    daemon: FakeDaemon, names: Names, servers: list[DockerObject], known: dict[str, str]
) -> None:
    stop(*servers)
    jaeger = backend(daemon, names, names.jaeger, 5)
    addresses.start(names, known)
    assert {server.name: server.address for server in servers} == known
    assert jaeger.address not in ("", *known.values())
    (connect,) = daemon.calls_to("docker", "network", "connect")
    assert connect.argv[3:] == ("--alias=jaeger", names.network, names.jaeger)


def test_what_an_interrupted_run_has_left_is_removed(
    daemon: FakeDaemon, names: Names, servers: list[DockerObject], known: dict[str, str]
) -> None:
    stop(*servers)
    left = backend(daemon, names, "left", 5)
    left.labels |= {"k3d.cluster": names.cluster}
    addresses.start(names, known)
    assert {server.name: server.address for server in servers} == known
    assert left not in daemon.containers


def test_a_container_of_somebody_else_is_told_and_left(
    daemon: FakeDaemon, names: Names, servers: list[DockerObject], known: dict[str, str]
) -> None:
    stop(*servers)
    theirs = backend(daemon, names, "theirs", 5)
    theirs.labels = {}
    with pytest.raises(
        runner.CommandError,
        match=rf"server-1 needs 172\.20\.0\.5 on network {names.network}, because etcd knows it by "
        r"that address, and container theirs has it: run `docker stop theirs`, then `pulumi up`",
    ):
        addresses.start(names, known)
    assert theirs.address == "172.20.0.5"
    assert {found.name for found in daemon.containers} == {*known, "theirs"}


def test_one_of_a_network_that_is_gone_cannot_be_had(
    daemon: FakeDaemon, names: Names, servers: list[DockerObject], known: dict[str, str]
) -> None:
    first = servers[0]
    stop(first)
    known[first.name] = "10.9.0.4"
    record = replace(Record(1, True, "", {}, tuple(known)), addresses=known)
    assert addresses.advise(names, record, docker.networks()) == []
    daemon.networks.clear()
    (told,) = addresses.advise(names, record, docker.networks())
    assert f"{names.network}, which is gone (10.9.0.4, 172.20.0.5, 172.20.0.6): they start" in told
    assert addresses.advise(names, replace(record, addresses={}), docker.networks()) == []
    daemon.network(names.network)
    with pytest.raises(runner.CommandError, match=r"etcd knows \S+-server-0 by 10\.9\.0\.4: k3s"):
        addresses.start(names, {first.name: "10.9.0.4"})
    assert first.state == "exited"
    first.state, first.address = "running", "172.20.0.9"
    assert addresses.misplaced(names.network, list(known), known) == {}, "up can not repair it"


def test_nodes_that_have_each_others_have_to_start_again(
    daemon: FakeDaemon, names: Names, servers: list[DockerObject], known: dict[str, str]
) -> None:
    agent = daemon.node(names, "agent", address="172.20.0.7")
    nodes = (*known, agent.name)
    record = replace(Record(1, True, "", {}, nodes), addresses=known)
    assert addresses.drift(names, record) == []
    agent.address, servers[2].address = servers[2].address, agent.address
    assert addresses.drift(names, record) == [
        f"node {servers[2].name}: it has address 172.20.0.7, and etcd knows it by 172.20.0.6",
        f"node {agent.name}: it has address 172.20.0.6, by which etcd knows {servers[2].name}",
    ]
    assert addresses.drift(names, replace(record, addresses={})) == [], "not known"
    stop(agent)
    assert len(addresses.drift(names, record)) == 1
    daemon.networks.clear()
    assert addresses.drift(names, record) == [], "that is told already"
