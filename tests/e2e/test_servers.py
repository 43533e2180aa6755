"""Three servers: each with its API server and its member of etcd, all traced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.ktrace import document, ktrace
from tests.live import traces
from tests.live.fixtures import stack_in
from tests.live.pods import a_bare_pod
from tests.live.stack import Stack
from tests.live.waiting import until

_SERVERS = 3


@pytest.fixture(scope="module")
def _cluster(tmp_path_factory: Any, environ: dict[str, str]) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("servers")
    with stack_in(folder, environ, servers=_SERVERS) as stack:
        yield stack


@pytest.fixture
def one_server(_cluster: Stack) -> Stack:
    _cluster.settle(servers=1)
    return _cluster


@pytest.fixture
def servers(_cluster: Stack) -> Stack:
    """All of them, as the previous test left their configuration."""
    if sum("-server-" in name for name in _cluster.ids()) < _SERVERS:
        _cluster.settle()
    return _cluster


def expect_traced(stack: Stack, *components: str) -> None:
    """Each of ``components`` on every server, and nothing else."""
    nodes = [f"k3d-{stack.cluster}-server-{number}" for number in range(_SERVERS)]
    found = document(stack, "verify", "--timeout", "60")["components"]
    traced = {(part["component"], part["node"]) for part in found if part["ok"]}
    assert traced == {(component, node) for component in components for node in nodes}


def test_three_servers_in_place_of_one_are_announced_and_seen_to_start(one_server: Stack) -> None:
    stack, before = one_server, one_server.ids()
    stack.configure()
    told = f"will be replaced, and its workloads go with it: servers: 1 → {_SERVERS}"
    assert told in stack.plan().diagnostics
    assert "the new configuration starts, so it is replaced now" in stack.up().said
    assert stack.ids()[stack.server] != before[stack.server]
    assert stack.ids()[stack.jaeger] == before[stack.jaeger]
    expect_traced(stack, "apiserver", "kubelet", "containerd")
    stack.expect_no_changes()


def test_another_sampling_restarts_one_server_after_the_other(servers: Stack) -> None:
    before = servers.ids()
    with a_bare_pod(servers) as pod:
        uid, restarts = pod()
        servers.configure(apiserverSamplingPerMillion=999_999)
        assert "its nodes will restart one after the other" in servers.plan().diagnostics
        said = servers.up().said
        for number in range(_SERVERS):
            assert f"server-{number} restarts and reads its changed files" in said
        assert servers.ids() == before
        until("the restart of the pod", lambda: pod() == (uid, restarts + 1), 60)
    servers.expect_no_changes()


def test_servers_that_docker_started_in_another_order_come_back_with_every_object(
    servers: Stack,
) -> None:
    """As after a restart of the machine: etcd takes no server at another's address."""
    before, addresses = servers.ids(), addresses_of(servers)
    with a_bare_pod(servers) as pod:
        uid, _ = pod()
        servers.docker("kill", *addresses)
        for number in (2, 0):
            servers.docker("start", f"k3d-{servers.cluster}-server-{number}")
        told = servers.plan().diagnostics
        assert "server-1 is exited: up will repair it" in told
        for number in (2, 0):
            known = addresses[f"k3d-{servers.cluster}-server-{number}"]
            assert f", and etcd knows it by {known}: up will repair it" in told
        servers.up()
        assert servers.ids() == before
        assert addresses_of(servers) == addresses
        assert pod()[0] == uid
    servers.expect_no_changes()


def addresses_of(stack: Stack) -> dict[str, str]:
    names = [f"k3d-{stack.cluster}-server-{number}" for number in range(_SERVERS)]
    networks = {name: stack.docker.inspect(name)["NetworkSettings"]["Networks"] for name in names}
    return {name: networks[name][f"traced-{stack.name}"]["IPAddress"] for name in names}


def test_every_member_of_etcd_is_traced(servers: Stack) -> None:
    # A node takes some 20 inotify instances, and Linux allows a user 128: six nodes. These and the
    # other stacks of this tier leave no room for a rehearsal.
    servers.configure(etcdTracing=True, rehearseReplacement=False)
    servers.up()
    expect_traced(servers, "apiserver", "etcd", "kubelet", "containerd")
    expect_etcd_in_the_trace_of_a_command(servers)
    servers.expect_no_changes()


def expect_etcd_in_the_trace_of_a_command(stack: Stack) -> None:
    create = ("kubectl", "create", "configmap", "of-the-command")
    ran = ktrace(
        stack, "run", "--json", "--report", "run.json", "--stack", stack.name, "--", *create
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = json.loads((stack.folder / "run.json").read_text())
    trace_id = report["traceUrl"].rpartition("/")[2]

    def services() -> set[str]:
        found = traces.search(stack.outputs["jaegerUrl"], "ktrace")
        return {
            service
            for trace in found
            if trace.document["traceID"] == trace_id
            for service in trace.services
        }

    wanted = {"ktrace", "apiserver", "etcd"}  # each sends its spans when it likes
    until("etcd's span in the command's trace", lambda: services() >= wanted, 30)
