"""Preflight: what stops a run, what counts as drift, and the generation that follows."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from runtime_observability.core import naming
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import NODE_IMAGE, Names
from runtime_observability.core.observation import GENERATION_LATER, Observation, Record
from runtime_observability.core.problem import Problem
from runtime_observability.core.transition import Transition, transition
from runtime_observability.core.wanted import Wanted
from runtime_observability.host import cluster_lock, k3d, preflight, runner, store
from runtime_observability.host.preflight import observe
from tests.configuration import parsed, spec_of
from tests.fakes.daemon import FakeDaemon
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig
from tests.fakes.upgrade import Certificate
from tests.unit.host.objects import STRANGER

FILE = "apiserver-tracing.yaml"
NOTES = (naming.CLUSTER_NOTE, naming.BACKENDS_NOTE)
DIGEST = "0123456789abcdef"


# --- volumes of the nodes -------------------------------------------------------------------------


def test_a_volume_needs_a_source(daemon: FakeDaemon, names: Names) -> None:
    """Docker would make an empty folder of it, on the user's disk."""
    (names.folder / "there").mkdir()
    (problem,) = observe(names, Wanted(node_volumes=("there:/a", "gone/file:/b:ro"))).problems
    assert str(problem).startswith(f"nodeVolumes.1: {names.folder}/gone/file does not exist: ")
    assert not (names.folder / "gone").exists()


def test_a_volume_from_the_stacks_own_folder_is_refused(daemon: FakeDaemon, names: Names) -> None:
    """A destroy removes the folder, with what a pod has written there."""
    (names.directory / "data").mkdir(parents=True)
    (names.folder / "link").symlink_to(names.directory)
    volumes = (".:/project", "link/data:/data", f"{names.directory}:/all")
    problems = [str(problem) for problem in observe(names, Wanted(node_volumes=volumes)).problems]
    assert [problem.partition(":")[0] for problem in problems] == ["nodeVolumes.1", "nodeVolumes.2"]
    assert all("`pulumi destroy` removes that folder" in problem for problem in problems)


# --- addresses of networks ------------------------------------------------------------------------


@pytest.mark.parametrize(("others", "told"), [(31, False), (32, True)])
def test_the_cure_is_told_where_docker_may_have_no_addresses_left(
    daemon: FakeDaemon, names: Names, *, others: int, told: bool
) -> None:
    """Pulumi's provider tells Docker's words alone."""
    for number in range(others):
        daemon.network(f"other-{number}")
    notices = observe(names, Wanted()).notices
    assert ["`docker network rm NAME`" in line for line in notices] == [True] * told
    daemon.info["DefaultAddressPools"] = [{"Base": "10.0.0.0/8", "Size": 24}]
    assert observe(names, Wanted()).notices == (), "of its own pools nothing is known"
    del daemon.info["DefaultAddressPools"]
    daemon.network(names.network, labels=names.labels)
    assert observe(names, Wanted()).notices == (), "it needs no other network"


# --- nodes that were renamed ----------------------------------------------------------------------


@pytest.mark.parametrize(("role", "of_role"), [("server", "a server"), ("agent", "an agent")])
@pytest.mark.usefixtures("record")
def test_a_renamed_node_is_not_taken_for_gone(
    names: Names, daemon: FakeDaemon, role: str, of_role: str
) -> None:
    """A server that is missing is a cluster that is made again."""
    daemon.node(names, "agent", spec=DIGEST)
    for node in daemon.containers:
        if node.labels.get("k3d.role") == role:
            node.name = f"k3d-traced-dev-{role}-old"
    (problem,) = map(str, seen(names).problems)
    assert problem == (
        f"cluster: k3d-traced-dev-{role}-old of traced-dev is {of_role} that was renamed: up would "
        f"take it for gone. Run `docker rename k3d-traced-dev-{role}-old "
        f"$(docker inspect --format '{{{{.Config.Hostname}}}}' k3d-traced-dev-{role}-old)`"
    )


@pytest.mark.parametrize(("role", "of_role"), [("server", "a server"), ("agent", "an agent")])
def test_a_node_that_was_renamed_to_another_of_the_cluster_is_not_taken_for_gone(
    names: Names, daemon: FakeDaemon, record: Record, role: str, of_role: str
) -> None:
    """The cluster was created again for a server, and one agent more was told to be removed."""
    agent = daemon.node(names, "agent", spec=DIGEST).name
    store.save(names, replace(record, nodes=(*record.nodes, agent)))
    given, name = names.node(role, 0), names.node(role, 7)
    (node,) = [found for found in daemon.containers if found.name == given]
    node.name, node.host_name = name, given
    (problem,) = map(str, seen(names).problems)
    assert problem == (
        f"cluster: {name} of traced-dev is {of_role} that was renamed: up would take it for gone. "
        f"Run `docker rename {name} {given}`"
    )
    node.host_name = name
    assert seen(names).problems == (), "it is one that is to go"


def test_nodes_that_have_each_others_names_are_told(
    names: Names, daemon: FakeDaemon, record: Record
) -> None:
    """With fewer agents the pods of one would be drained, and the other be removed."""
    one, other = (daemon.node(names, "agent", number, spec=DIGEST) for number in range(2))
    store.save(names, replace(record, nodes=(*record.nodes, one.name, other.name)))
    one.host_name, other.host_name = other.name, one.name
    assert [str(problem).partition("renamed: ")[2] for problem in seen(names).problems] == [
        f"up would take it for another. Run `docker rename {node.name} {node.name}-renamed`, then "
        "`pulumi up` again"
        for node in (one, other)
    ]


@pytest.mark.parametrize("case", ["renamed", "ended", "another", "with a store"])
def test_a_renamed_jaeger_with_traces_in_memory_is_not_taken_for_gone(
    names: Names, daemon: FakeDaemon, case: str
) -> None:
    spec = {} if case == "with a store" else {naming.SPEC_LABEL: "a" * 16}
    jaeger = daemon.container("kept", labels=names.labels | spec)
    jaeger.state = "exited" if case == "ended" else "running"
    if case == "another":
        daemon.container(names.jaeger, labels=names.labels | spec)
    told = [str(problem) for problem in observe(names, Wanted()).problems]
    assert told == (
        [
            "jaeger: kept is the Jaeger of this stack and was renamed: up would take it for gone "
            "and replace it, and the traces in its memory would be lost. Run `docker rename kept "
            f"{names.jaeger}`; without its traces, `docker rm -f kept`"
        ]
        if case == "renamed"
        else []
    )


# --- daemon and k3d -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "problem"),
    [("5.9.0", None), ("5.7.0", None), ("5.6.3", "k3d: 5.6.3 is too old: the minimum is 5.7.0")],
)
def test_an_old_k3d_is_refused(daemon: FakeDaemon, version: str, problem: str | None) -> None:
    daemon.k3d_version = version
    problems = preflight.check_k3d()
    assert [str(found).partition(". ")[0] for found in problems] == ([problem] if problem else [])


def test_no_k3d_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    (problem,) = map(str, preflight.check_k3d())
    assert problem.startswith("k3d: not on PATH. Install k3d")


def test_a_k3d_that_hangs_is_refused(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(k3d, "_VERSION_SECONDS", 0.1)
    daemon.executables.script("k3d", "#!/bin/sh\nexec /bin/sleep 60\n")
    (problem,) = map(str, preflight.check_k3d())
    assert problem.startswith("k3d: `k3d version` did not finish within 0.1 s. Install k3d")


def test_a_daemon_that_hangs_is_no_problem_of_k3d(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`k3d version` asks the daemon that it finds, and hangs with it."""
    monkeypatch.setattr(k3d, "_VERSION_SECONDS", 5)
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/hanging.sock")
    monkeypatch.setitem(runner.variables, "DOCKER_HOST", "unix:///run/hanging.sock")
    daemon.executables.script(
        "k3d",
        "#!/bin/sh\ncase $DOCKER_HOST in *hanging*) exec /bin/sleep 60 ;; esac\n"
        "echo k3d version v5.9.0\n",
    )
    assert preflight.check_k3d() == []


def test_the_certificates_of_docker_are_no_problem_of_k3d(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """k3d opens them even for its version, and fails without: Docker's own problem tells it."""
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/nonexistent")
    daemon.executables.script(
        "k3d",
        '#!/bin/sh\n[ -z "${DOCKER_TLS_VERIFY:-}${DOCKER_CERT_PATH:-}" ] || exit 1\n'
        "echo k3d version v5.9.0\n",
    )
    assert preflight.check_k3d() == []


def test_k3d_has_ten_seconds(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []
    real = runner.run

    def run(argv: list[str], *, timeout: float, environment: Mapping[str, str]) -> runner.Result:
        limits.append(timeout)
        return real(argv, timeout=timeout, environment=environment)

    monkeypatch.setattr(runner, "run", run)
    assert preflight.check_k3d() == []
    assert limits == [10]


def test_a_k3d_of_another_architecture_is_refused(daemon: FakeDaemon, names: Names) -> None:
    (daemon.executables.bin / "k3d").write_bytes(b"\x7fELF of another machine")
    (problem,) = map(str, observe(names, Wanted()).problems)
    assert problem.startswith("k3d: `k3d` cannot be run: Exec format error. It is damaged or for")
    assert "Install k3d (https://k3d.io)" in problem


def test_a_k3d_that_fails_is_refused_with_what_it_says(daemon: FakeDaemon) -> None:
    daemon.executables.script("k3d", "#!/bin/sh\necho no such library >&2\nexit 127\n")
    (problem,) = map(str, preflight.check_k3d())
    assert problem.startswith("k3d: `k3d version` exited with 127: no such library. Install k3d")


# --- drift ----------------------------------------------------------------------------------------


@pytest.fixture
def record(names: Names, daemon: FakeDaemon, server: FakeServer) -> Record:
    """A stack as `up` left it: network, containers, file, kubeconfig, and a ready API server."""
    node = daemon.node(names, spec=DIGEST)
    for name in (names.jaeger, names.collector):
        daemon.container(name, labels=names.labels, networks=[f"id-of-{names.network}"])
    daemon.network(names.network, labels=names.labels)
    names.node_directory.mkdir(parents=True)
    (names.node_directory / FILE).write_text("kind: TracingConfiguration\n")
    sha256 = hashlib.sha256(b"kind: TracingConfiguration\n").hexdigest()
    server.answer = lambda _: Reply(200)
    write_kubeconfig(names.kubeconfig, server.url)
    spec = spec_of(names, parsed(containerdTracing="off")).document | {"files": {FILE: sha256}}
    made = Record(7, True, DIGEST, spec, (node.name,))
    store.save(names, made)
    for note in NOTES:
        (names.directory / note).touch()
    return made


def seen(names: Names) -> Observation:
    return observe(names, Wanted())


@pytest.mark.usefixtures("record")
def test_nothing_has_changed(names: Names) -> None:
    observed = seen(names)
    assert (observed.problems, observed.drift, observed.generation) == ((), (), 7)
    assert observed.notices == ()
    assert observed.made == {}, "a release that did not label them made them"


@pytest.mark.parametrize("there", [0, 1, 2])
def test_only_agents_that_exist_count_in_a_change(
    names: Names, record: Record, daemon: FakeDaemon, there: int
) -> None:
    """Those that did not start were removed again: their arguments can still be corrected."""
    wanted = {"containerdTracing": "off", "agents": 2}
    tried = spec_of(names, parsed(**wanted, k3sArgs=["--no-such-flag@agent:*"]))
    store.save(names, replace(record, complete=False, spec=tried.document))
    for number in range(there):
        daemon.node(names, "agent", number)
    standing = seen(names).record
    assert standing
    corrected = spec_of(names, parsed(**wanted, k3sArgs=["--node-label=a=b@agent:*"]))
    change = transition(ClusterSpec.read(standing.spec), corrected)
    assert change == (Transition(replaces=True) if there else Transition(agents=2))


@pytest.mark.usefixtures("record")
def test_an_agent_that_was_to_go_and_stayed_counts_in_a_change(
    names: Names, record: Record, daemon: FakeDaemon
) -> None:
    """Ensure writes down what it wants before it removes them: one with volumes stays."""
    store.save(names, replace(record, complete=False))
    for number in range(2):
        daemon.node(names, "agent", number)
    standing = seen(names).record
    assert standing
    for agents, change in ((2, 0), (0, -2), (3, 1)):
        wanted = spec_of(names, parsed(containerdTracing="off", agents=agents))
        assert transition(ClusterSpec.read(standing.spec), wanted).agents == change


def test_a_record_of_another_cluster_than_the_one_that_stands_tells_nothing(
    names: Names, record: Record
) -> None:
    """It came out of a backup: what it says of a change would be about that other cluster."""
    assert seen(names).created_from == {record.digest}
    store.save(names, replace(record, digest="another"))
    assert seen(names).record is None


def test_a_cluster_that_a_run_is_making_is_not_called_incomplete(
    names: Names, record: Record
) -> None:
    """It may be complete, and in use, when a run with another backend comes to its network."""
    store.save(names, replace(record, complete=False, never_complete=True))
    with cluster_lock.locked(names):
        during = seen(names).record
    after = seen(names).record
    assert during
    assert after
    assert (during.never_complete, after.never_complete) == (False, True)


@pytest.mark.usefixtures("record")
def test_a_rehearsal_that_was_interrupted_is_drift(names: Names, daemon: FakeDaemon) -> None:
    """Nothing else would tell of it: the cluster is as it was."""
    labels = names.labels | {"k3d.cluster": names.rehearsal, "k3d.role": "server"}
    daemon.container(f"k3d-{names.rehearsal}-server-0", labels=labels)
    observed = seen(names)
    assert (observed.problems, observed.generation) == ((), 8)
    (line,) = observed.drift
    assert line == f"a rehearsal of cluster {names.cluster} was interrupted and is still there"


@pytest.mark.usefixtures("record")
def test_a_node_that_somebody_added_is_no_drift(names: Names, daemon: FakeDaemon) -> None:
    labels = {"k3d.cluster": names.cluster, "k3d.role": "agent"}
    daemon.container("k3d-extra-0", labels=labels)
    observed = seen(names)
    assert (observed.problems, observed.drift, observed.generation) == ((), (), 7)
    assert "`k3d node delete k3d-extra-0`" in observed.notices[0]


MADE = "2026-11-26T20:00:00.000000+00:00"


@pytest.mark.parametrize("of", ["jaeger", "collector", "retention", "node"])
@pytest.mark.parametrize(
    ("policy", "mended"),
    [("no", True), ("on-failure", True), ("always", False), ("unless-stopped", False)],
)
@pytest.mark.usefixtures("record")
def test_what_docker_would_not_start_with_itself_is_drift(
    names: Names, daemon: FakeDaemon, of: str, policy: str, *, mended: bool
) -> None:
    """After `docker update --restart=no` the node stays down at the next start of the machine."""
    daemon.container(names.retention, labels=names.labels, networks=[f"id-of-{names.network}"])
    name = names.node("server", 0) if of == "node" else getattr(names, of)
    (found,) = [each for each in daemon.containers if each.name == name]
    found.restart_policy = policy
    observed = seen(names)
    told = f"container {name} does not start with Docker, as after `docker update --restart=no`"
    assert observed.drift == ((told,) if mended else ())
    assert observed.generation == 7 + mended


@pytest.mark.usefixtures("record")
def test_a_registry_that_was_made_again_is_drift(names: Names, daemon: FakeDaemon) -> None:
    """The nodes do not reach it: only a new cluster is connected to it by k3d."""
    again = daemon.container("k3d-own", labels={"k3d.role": "registry"}, networks=["id-of-bridge"])
    wanted = Wanted(registries=("own:5000",))
    observed = observe(names, wanted)
    (told,) = observed.drift
    assert told == (
        f"registry k3d-own is not connected to network {names.network}, as when it was made again"
    )
    assert observed.generation == 8
    again.networks.append(f"id-of-{names.network}")
    assert (observe(names, wanted).drift, observe(names, wanted).notices) == ((), ())


@pytest.mark.parametrize(("state", "cure"), [("exited", "start"), ("paused", "unpause")])
def test_a_registry_that_does_not_run_is_told(
    names: Names, daemon: FakeDaemon, state: str, cure: str
) -> None:
    """It is not the stack's, so nothing starts it."""
    for name, of in (("k3d-own", state), ("k3d-other", "exited")):
        daemon.container(name, labels={"k3d.role": "registry"}, state=of)
    observed = observe(names, Wanted(registries=("own:5000",)))
    assert observed.notices == (
        f"registry k3d-own of registries.use is {state}, so nodes pull nothing from it: `docker "
        f"{cure} k3d-own`",
    )


@pytest.mark.parametrize("state", ["gone", "exited", "created", "dead", "restarting"])
@pytest.mark.usefixtures("record")
def test_a_container_that_is_not_as_it_was_made_is_made_again(
    names: Names, daemon: FakeDaemon, state: str
) -> None:
    for found in (*daemon.containers, *daemon.networks):
        found.labels[naming.MADE_LABEL] = MADE
    (jaeger,) = [found for found in daemon.containers if found.name == names.jaeger]
    if state == "gone":
        daemon.containers.remove(jaeger)
    jaeger.state = state
    observed = seen(names)
    assert observed.notices == (f"container {names.jaeger} is {state}: up will make it again",)
    assert observed.made[names.collector] == observed.made[names.network] == MADE
    assert datetime.fromisoformat(observed.made[names.jaeger]) > datetime.fromisoformat(MADE)
    assert (observed.drift, observed.generation) == ((), 7), "the cluster has not changed"


def test_where_the_traces_are_is_read_from_the_stacks_own_jaeger(
    names: Names, daemon: FakeDaemon
) -> None:
    servers = {naming.STORE_LABEL: "cassandra", naming.STORE_SERVERS_LABEL: "a:9042,b:9042"}
    jaeger = daemon.container(names.jaeger, labels=names.labels | servers)
    observed = observe(names, Wanted())
    assert observed.trace_store == "cassandra"
    assert observed.jaeger_spec == ""
    assert observed.trace_store_servers == ("a:9042", "b:9042")
    del jaeger.labels[naming.STORE_SERVERS_LABEL]
    assert observe(names, Wanted()).trace_store_servers == ()
    jaeger.labels = names.labels | {naming.SPEC_LABEL: "0123456789abcdef"}
    observed = observe(names, Wanted())
    assert (observed.trace_store, observed.jaeger_spec) == ("memory", "0123456789abcdef")


@pytest.mark.usefixtures("record")
def test_a_jaeger_that_is_not_wanted_is_not_missed_nor_one_that_was_not_there(
    names: Names, daemon: FakeDaemon
) -> None:
    (jaeger,) = [found for found in daemon.containers if found.name == names.jaeger]
    (collector,) = [found for found in daemon.containers if found.name == names.collector]
    daemon.containers.remove(jaeger)
    observed = observe(names, Wanted(jaeger=False))
    assert (observed.notices, observed.trace_store) == ((), "")
    assert names.jaeger not in observed.made
    collector.labels[naming.STORE_LABEL] = "none"
    observed = seen(names)
    assert observed.trace_store_servers == ()
    assert (observed.notices, observed.trace_store) == ((), "none")
    assert names.jaeger in observed.made, "another one, whatever there was before"


@pytest.mark.parametrize(
    ("store", "state", "told"),
    [
        ("opensearch (own)", "exited", "container traced-dev-retention is exited: up will make it"),
        ("opensearch", "", "there is no container traced-dev-retention: up will make it"),
        ("elasticsearch", "", "there is no container traced-dev-retention: up will make it"),
        ("elasticsearch", "running", ""),
        ("badger", "", ""),
    ],
)
@pytest.mark.usefixtures("record")
def test_what_deletes_old_indices_is_made_again_where_jaeger_has_some(
    names: Names, daemon: FakeDaemon, store: str, state: str, told: str
) -> None:
    (jaeger,) = [found for found in daemon.containers if found.name == names.jaeger]
    jaeger.labels[naming.STORE_LABEL] = store
    if state:
        on = [f"id-of-{names.network}"]
        daemon.container(names.retention, labels=names.labels, state=state, networks=on)
    observed = observe(names, Wanted(retention=True))
    assert [notice[: len(told)] for notice in observed.notices] == ([told] if told else [])
    assert (names.retention in observed.made) is bool(told)
    assert not observe(names, Wanted()).notices, "none is wanted"


@pytest.mark.usefixtures("record")
def test_a_container_that_has_not_ended_is_left(names: Names, daemon: FakeDaemon) -> None:
    """Another Jaeger would not have what the one that is paused has in its memory."""
    (jaeger,) = [found for found in daemon.containers if found.name == names.jaeger]
    jaeger.state = "paused"
    told = f"container {names.jaeger} is paused: `docker unpause {names.jaeger}` lets it go on"
    assert (seen(names).made, seen(names).notices) == ({}, (f"{told}, with all it has",))
    assert observe(names, Wanted(jaeger=False)).notices == ()


@pytest.mark.usefixtures("record")
def test_what_was_taken_off_its_network_is_told(names: Names, daemon: FakeDaemon) -> None:
    """A connection by hand would leave the collector without its alias, and Jaeger's memory be."""
    for found in daemon.containers:
        found.networks = ["id-of-bridge", f"id-of-{names.network}-2"]
    observed = seen(names)
    off = f"is not on network {names.network}"
    connect = f"`docker network connect --alias jaeger {names.network} {names.jaeger}`"
    assert observed.notices == (
        f"container {names.collector} {off}: up will make it again",
        f"container {names.jaeger} {off}: {connect} connects it again, with all it has",
    )
    assert observed.made.keys() == {names.collector}
    assert observed.drift == (f"node {names.node('server', 0)} {off}",)
    daemon.networks.clear()
    assert not any("docker network connect" in notice for notice in seen(names).notices)


@pytest.mark.usefixtures("record")
def test_what_was_connected_again_without_its_alias_is_told(
    names: Names, daemon: FakeDaemon
) -> None:
    """Nodes send to the alias of the collector, and the collector to that of Jaeger."""
    told = {"IPAddress": "10.0.0.4", "Aliases": ["0123456789ab"]}
    for found in daemon.containers:
        found.reached = {names.network: told, "another": {"Aliases": ["jaeger", "otel-collector"]}}
    observed = seen(names)
    without = f"is on network {names.network} without its alias"
    again = f"docker network disconnect {names.network} {names.jaeger} && docker network connect"
    assert observed.notices == (
        f"container {names.collector} {without} otel-collector: up will make it again",
        f"container {names.jaeger} {without} jaeger: `{again} --alias jaeger {names.network} "
        f"{names.jaeger}` connects it again, with all it has",
    )
    assert observed.made.keys() == {names.collector}
    assert observed.drift == ()
    for found in daemon.containers:
        found.reached[names.network] = {"Aliases": ["jaeger", "otel-collector"]}
    assert (seen(names).notices, seen(names).made) == ((), {})


@pytest.mark.parametrize("owner", [None, STRANGER])
@pytest.mark.usefixtures("record")
def test_a_network_that_is_gone_is_made_again(
    names: Names, daemon: FakeDaemon, owner: str | None
) -> None:
    daemon.networks.clear()
    if owner:
        labels = {naming.OWNER_LABEL: owner, naming.MADE_LABEL: MADE}
        daemon.network(names.network, labels=labels)
    observed = seen(names)
    (notice,) = observed.notices
    assert notice == (
        f"network {names.network} is gone: up makes it again and connects the cluster's nodes to "
        "it, which restart"
    )
    assert observed.made.keys() == {names.network}
    assert observed.made[names.network] != MADE


@pytest.mark.usefixtures("record")
def test_no_node_is_said_to_be_connected_where_there_is_none(
    names: Names, daemon: FakeDaemon
) -> None:
    """As after `docker system prune` with everything stopped."""
    daemon.containers.clear()
    daemon.networks.clear()
    assert f"network {names.network} is gone: up makes it again" in seen(names).notices


def test_before_the_first_up_nothing_is_told(names: Names, daemon: FakeDaemon) -> None:
    observed = seen(names)
    assert observed.notices == ()
    assert observed.made.keys() == {names.jaeger, names.collector, names.network}


def test_two_previews_are_alike(names: Names, daemon: FakeDaemon) -> None:
    first, second = (observe(names, Wanted(), preview=True) for _ in range(2))
    assert first == second
    assert set(first.made.values()) == {naming.MADE_LATER}
    assert seen(names).made != seen(names).made, "each up makes another object"


@pytest.mark.usefixtures("record", "proxy_of_the_user")
def test_no_proxy_is_asked_for_the_api(names: Names) -> None:
    assert seen(names).drift == ()


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.usefixtures("record")
def test_an_api_server_that_refuses_the_kubeconfig_is_drift(
    names: Names, server: FakeServer, status: int
) -> None:
    """ensure writes the kubeconfig again."""
    server.answer = lambda _: Reply(status)
    observed = seen(names)
    assert observed.drift == (
        f"the API server refuses {names.kubeconfig} ({status}): it has expired or is another "
        "cluster's",
    )
    assert observed.generation == 8


@pytest.mark.usefixtures("record")
def test_the_kubeconfigs_token_is_sent(names: Names, server: FakeServer) -> None:
    def answer(request: Request) -> Reply:
        return Reply(200 if request.headers.get("authorization") == "Bearer mine" else 401)

    server.answer = answer
    for token, drifted in (("mine", False), ("other", True)):
        write_kubeconfig(names.kubeconfig, server.url, user={"token": token})
        assert bool(seen(names).drift) is drifted
    write_kubeconfig(names.kubeconfig, server.url, user={"username": "none"})
    assert seen(names).drift


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize("known", [True, False])
def test_the_kubeconfigs_certificate_is_presented(
    names: Names, tmp_path: Path, known: bool
) -> None:
    """An API server asks for one, and answers 401 where it is expired or of another cluster."""
    own, other = (Certificate.issue(tmp_path / name) for name in ("own", "other"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=own.authority)
    tls.load_cert_chain(own.own)
    tls.verify_mode = ssl.CERT_REQUIRED
    server = FakeServer(lambda _: Reply(200), tls)
    pem = (own if known else other).own.read_bytes()
    data = base64.b64encode(pem).decode()
    write_kubeconfig(
        names.kubeconfig,
        server.url.replace("127.0.0.1", Certificate.NAME),
        user={"client-certificate-data": data, "client-key-data": data},
        **{"certificate-authority-data": base64.b64encode(own.authority.read_bytes()).decode()},
    )
    drift = seen(names).drift
    server.stop()
    assert [line.partition(":")[0] for line in drift] == (
        [] if known else ["the API server of cluster traced-dev does not answer"]
    )


@pytest.mark.usefixtures("record")
def test_an_api_server_that_is_not_ready_is_drift(names: Names, server: FakeServer) -> None:
    server.answer = lambda _: Reply(500)
    assert seen(names).drift == ("the API server of cluster traced-dev answers 500 to /readyz",)


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize(
    ("argument", "known", "is_drift"),
    [
        ("--disable=traefik", ["server"], False),
        ("--disable=traefik", [], True),
        ("--with-node-id", [], False),
    ],
)
def test_a_node_that_was_deleted_in_kubernetes_is_drift(
    names: Names, server: FakeServer, *, argument: str, known: list[str], is_drift: bool
) -> None:
    record = store.load(names)
    assert record
    config = spec_of(names, parsed(containerdTracing="off", k3sArgs=[argument])).config
    store.save(names, replace(record, spec={**record.spec, "k3d": config}))
    items = [{"metadata": {"name": names.node(role, 0)}} for role in known]
    server.answer = lambda _: Reply(200, json.dumps({"items": items}))
    told = f"node {names.node('server', 0)} runs, and the API server does not know it"
    assert seen(names).drift == ((told,) if is_drift else ())


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize("status", ["True", "False", "Unknown"])
def test_a_node_whose_kubelet_does_not_report_is_drift(
    names: Names, server: FakeServer, status: str
) -> None:
    node = names.node("server", 0)
    conditions = [{"type": "Ready", "status": status}]
    items = [{"metadata": {"name": node}, "status": {"conditions": conditions}}]
    server.answer = lambda _: Reply(200, json.dumps({"items": items}))
    told = f"node {node} runs, and its kubelet does not report"
    assert seen(names).drift == ((told,) if status == "Unknown" else ())


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize("trusted", [True, False])
def test_only_the_clusters_own_api_server_is_believed(
    names: Names, tmp_path: Path, trusted: bool
) -> None:
    """Another program on the port can answer too, with a certificate of another authority."""
    shown, other = (Certificate.issue(tmp_path / name) for name in ("shown", "other"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(shown.own)
    server = FakeServer(lambda _: Reply(200), tls)
    authority = (shown if trusted else other).authority.read_bytes()
    trust: dict[str, Any] = {"certificate-authority-data": base64.b64encode(authority).decode()}
    write_kubeconfig(
        names.kubeconfig,
        server.url.replace("127.0.0.1", Certificate.NAME),
        **trust,
    )
    drift = seen(names).drift
    server.stop()
    assert ["CERTIFICATE_VERIFY_FAILED" in line for line in drift] == ([] if trusted else [True])


@pytest.mark.usefixtures("record")
def test_the_api_server_has_five_seconds_for_its_answer(
    names: Names, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preview must not hang on a cluster that does."""
    limits: list[Any] = []

    def get(self: httpx.Client, url: str) -> httpx.Response:
        assert self.base_url.join(url) == f"{server.url}/readyz"
        limits.append(self.timeout.read)
        raise httpx.ReadTimeout("timed out")

    monkeypatch.setattr(httpx.Client, "get", get)
    assert seen(names).drift == ("the API server of cluster traced-dev does not answer: timed out",)
    assert limits == [5]


@pytest.mark.usefixtures("record")
def test_a_dead_api_server_is_drift(names: Names) -> None:
    write_kubeconfig(names.kubeconfig, "http://127.0.0.1:9")
    (drift,) = seen(names).drift
    assert drift.startswith("the API server of cluster traced-dev does not answer")


@pytest.mark.usefixtures("record")
def test_a_node_that_is_gone_is_drift(names: Names, daemon: FakeDaemon) -> None:
    daemon.containers.clear()
    observed = seen(names)
    assert observed.drift == ("node k3d-traced-dev-server-0 is gone",)
    assert observed.generation == 8


@pytest.mark.parametrize("state", ["exited", "created", "paused"])
@pytest.mark.usefixtures("record")
def test_a_node_that_stands_is_drift(names: Names, daemon: FakeDaemon, state: str) -> None:
    daemon.containers[0].state = state
    assert seen(names).drift == (f"node k3d-traced-dev-server-0 is {state}",)


@pytest.mark.usefixtures("record")
def test_a_node_of_another_configuration_is_drift(names: Names, daemon: FakeDaemon) -> None:
    daemon.containers[0].labels[naming.SPEC_LABEL] = "0" * 16
    assert seen(names).drift == (
        "node k3d-traced-dev-server-0 was made from another configuration",
    )


@pytest.mark.usefixtures("record")
def test_a_file_that_was_touched_is_drift(names: Names) -> None:
    path = names.node_directory / FILE
    path.write_text("kind: Mine\n")
    assert seen(names).drift == (f"{path} was changed",)
    path.unlink()
    assert seen(names).drift == (f"{path} is gone",)


@pytest.mark.parametrize("note", NOTES)
@pytest.mark.usefixtures("record")
def test_a_missing_note_that_keeps_the_cluster_or_jaeger_is_drift(names: Names, note: str) -> None:
    """Without it, a guard that is replaced (`--replace`, a taint) takes them with it."""
    (names.directory / note).unlink()
    observed = seen(names)
    assert observed.drift == (f"{names.directory / note} is missing",)
    assert observed.generation == 8, "the Command that makes it runs again"


@pytest.mark.parametrize("text", [None, "", "clusters: []", "clusters: 7", "{", "\0", "\udcff"])
@pytest.mark.usefixtures("record")
def test_a_kubeconfig_that_cannot_be_read_is_drift(names: Names, text: str | None) -> None:
    names.kubeconfig.unlink()
    if text is not None:
        names.kubeconfig.write_bytes(text.encode(errors="surrogateescape"))
    assert seen(names).drift == (f"{names.kubeconfig} cannot be read",)


@pytest.mark.parametrize(
    ("part", "edit"),
    [
        ("cluster", {"server": None}),
        ("cluster", {"server": "http://["}),
        ("cluster", {"server": "http://127.0.0.1:x"}),
        ("cluster", {"certificate-authority-data": "%"}),
        ("cluster", {"certificate-authority-data": ""}),
        ("cluster", {"certificate-authority-data": 5}),
        ("cluster", {}),
        ("user", {"client-certificate-data": "bm9uZQ=="}),
        ("user", {"client-certificate-data": "bm9uZQ==", "client-key-data": "bm9uZQ=="}),
        ("user", None),
        ("context", {"cluster": "c"}),
        ("context", {"cluster": "c", "user": "nobody"}),
        ("context", {"cluster": "another", "user": "u"}),
    ],
)
@pytest.mark.usefixtures("record")
def test_a_kubeconfig_that_somebody_edited_is_drift(names: Names, part: str, edit: Any) -> None:
    document = yaml.safe_load(names.kubeconfig.read_text())
    entry = document[f"{part}s"][0]
    entry[part] = {**entry[part], **edit} if part == "cluster" and edit else edit
    names.kubeconfig.write_text(yaml.safe_dump(document))
    observed = seen(names)
    (drift,) = observed.drift
    assert str(names.kubeconfig) in drift or "does not answer" in drift
    assert observed.generation == 8


@pytest.mark.usefixtures("record")
def test_no_other_cluster_is_asked_that_the_kubeconfig_has_too(
    names: Names, server: FakeServer
) -> None:
    """After `kubectl config use-context`: the answers would be told of the stack's cluster."""
    document = yaml.safe_load(names.kubeconfig.read_text())
    own = f"k3d-{names.cluster}"
    document["clusters"].append({"name": own, "cluster": {"server": "https://127.0.0.1:9"}})
    names.kubeconfig.write_text(yaml.safe_dump(document))
    assert seen(names).drift == (
        f"the current context of {names.kubeconfig} is x, which is another cluster's",
    )
    assert server.requests == []
    document["contexts"][0]["context"]["cluster"] = own
    document["clusters"][1]["cluster"] = document["clusters"][0]["cluster"]
    names.kubeconfig.write_text(yaml.safe_dump(document))
    assert seen(names).drift == (), "a context of the user's for the stack's cluster"


@pytest.mark.usefixtures("record")
def test_a_file_that_cannot_be_read_is_drift(names: Names, record: Record) -> None:
    path = names.node_directory / FILE
    path.unlink()
    path.mkdir()
    (drift,) = seen(names).drift
    assert drift.startswith(f"{path} cannot be read: ")
    store.save(names, replace(record, spec={**record.spec, "files": {"\0": ""}}))
    (drift,) = seen(names).drift
    assert "cannot be read: embedded null byte" in drift


@pytest.mark.parametrize(
    ("of_server", "is_there", "told"),
    [("sha256:0123", True, True), ("sha256:0123", False, False), ("mine:1", True, False)],
    ids=["built again", "gone", "the same"],
)
def test_a_node_image_that_was_built_again_is_told(
    names: Names,
    daemon: FakeDaemon,
    record: Record,
    of_server: str,
    *,
    is_there: bool,
    told: bool,
) -> None:
    """Pulumi sees no change: it has the same name."""
    spec = {**record.spec, "k3d": record.spec["k3d"] | {"image": "mine:1"}}
    store.save(names, replace(record, spec=spec))
    daemon.containers[0].image = of_server
    daemon.node(names, "agent").image = "sha256:of-the-servers-image"
    if is_there:
        daemon.pulled.add("mine:1")
    observed = seen(names)
    assert observed.drift == ()
    assert [line.partition(",")[0] for line in observed.notices] == [
        f"mine:1 is another image than {names.node('server', 0)} has"
    ] * told


def test_a_node_image_that_is_gone_is_drift(
    names: Names, record: Record, daemon: FakeDaemon
) -> None:
    """No registry has it, so a node could not be created again."""
    image = f"{NODE_IMAGE}:containerd-2.3.4-0123456789ab"
    built = {**record.spec, "k3d": record.spec["k3d"] | {"image": image}}
    store.save(names, replace(record, spec=built))
    assert seen(names).drift == (f"image {image} is gone",)
    assert seen(names).generation == 8
    daemon.images[image] = {}
    assert seen(names).drift == ()


def test_a_run_that_did_not_end_is_drift(names: Names, record: Record, daemon: FakeDaemon) -> None:
    store.save(names, replace(record, complete=False))
    ended = "the last run ended before cluster traced-dev was complete"
    assert seen(names).drift == (ended,)
    daemon.containers.clear()
    assert seen(names).drift == (ended, f"node {names.node('server', 0)} is gone")
    store.save(names, replace(record, complete=False, never_complete=True))
    assert seen(names).drift == (ended,), "it had no workloads"
    assert seen(names).generation == 8


@pytest.mark.usefixtures("record")
def test_looking_changes_nothing(names: Names, daemon: FakeDaemon) -> None:
    daemon.containers.clear()
    before = {path: path.read_bytes() for path in names.directory.rglob("*") if path.is_file()}
    assert seen(names).generation == seen(names).generation == 8
    after = {path: path.read_bytes() for path in names.directory.rglob("*") if path.is_file()}
    assert before == after


@pytest.mark.usefixtures("record")
def test_a_lost_store_gives_a_number_that_no_run_had(names: Names) -> None:
    (names.directory / "cluster.json").unlink()
    observed = seen(names)
    assert observed.record is None
    assert 1_700_000_000 < observed.generation < 2**53, "the next one is another double, too"
    time.sleep(0.02)
    assert seen(names).generation == observed.generation, "`up --plan` runs what a preview saw"


def test_a_store_that_is_lost_again_gives_another_number(names: Names, record: Record) -> None:
    found = set()
    for remains in (names.directory, names.state_folder, names.directory):
        store.save(names, record)
        time.sleep(0.02)  # the clock of a file system has ticks
        if remains == names.directory:
            (names.directory / "cluster.json").unlink()
        else:
            shutil.rmtree(remains)
        found.add(seen(names).generation)
    assert len(found) == 3


def test_each_up_of_a_stack_without_a_trace_has_a_generation_that_no_up_had(
    daemon: FakeDaemon, names: Names
) -> None:
    """Pulumi's state may be all that is left of it, with the generation of any up."""
    daemon.container("postgres")
    first = seen(names).generation
    assert 1_700_000_000 < first < seen(names).generation < 2**53


@pytest.mark.usefixtures("daemon")
def test_a_preview_of_a_stack_without_a_trace_knows_no_generation(names: Names) -> None:
    assert observe(names, Wanted(), preview=True).generation == GENERATION_LATER


@pytest.mark.parametrize("kind", ["container", "network"])
def test_what_is_left_in_docker_of_a_lost_stack_is_a_trace(
    daemon: FakeDaemon, names: Names, kind: str
) -> None:
    getattr(daemon, kind)("anything", labels=names.labels)
    assert seen(names).generation > 1_700_000_000


# --- all of it ------------------------------------------------------------------------------------


def test_all_problems_are_told_at_once(daemon: FakeDaemon, tmp_path: Path) -> None:
    names = Names("dev", tmp_path / "a:b")
    daemon.k3d_version = "4.4.8"
    daemon.container(names.jaeger)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        busy_port = listener.getsockname()[1]
        problems = observe(names, Wanted(host_ports={"jaegerUiPort": busy_port})).problems
    assert len(problems) == 4
    for part in ("has ':'", "k3d: 4.4.8", "traced-dev-jaeger", str(busy_port)):
        assert any(part in str(problem) for problem in problems)


def test_a_container_with_the_name_of_a_node_is_told_before_it_costs_the_cluster(
    daemon: FakeDaemon, names: Names
) -> None:
    daemon.container(names.node("agent", 1))

    def problems(agents: int) -> tuple[Problem, ...]:
        wanted = Wanted.of(parsed(agents=agents), names)
        return observe(names, replace(wanted, host_ports={})).problems  # a stack may have those

    (problem,) = problems(agents=2)
    assert problem.seen.startswith(f"{names.node('agent', 1)} is taken by")
    assert problems(agents=1) == ()


@pytest.mark.parametrize("part", ["opensearch", "retention"])
def test_a_container_that_the_store_needs_is_not_anothers(
    daemon: FakeDaemon, names: Names, part: str
) -> None:
    daemon.container(f"{names.cluster}-{part}")
    (problem,) = observe(names, Wanted(open_search=True, retention=True)).problems
    assert problem.seen.startswith(f"{names.cluster}-{part} is taken by")
    assert observe(names, Wanted()).problems == ()


def test_a_state_folder_that_nodes_cannot_mount_is_refused_once(tmp_path: Path) -> None:
    inside, elsewhere = Names("dev", tmp_path / "a:b"), Names("dev", tmp_path, tmp_path / "c$d")
    (problem,) = preflight.check_folders(inside)
    assert problem.seen.startswith(f"{tmp_path}/a:b has")
    (problem,) = preflight.check_folders(elsewhere)
    assert problem.seen.startswith(f"{tmp_path}/c$d has")
    assert (problem.key, problem.cure) == ("state folder", "move the state to another folder")
    assert preflight.check_folders(Names("dev", tmp_path, tmp_path / "state")) == []


def test_the_folder_of_another_pulumi_stack_is_refused(daemon: FakeDaemon, names: Names) -> None:
    acme, me = (replace(names, pulumi_stack=f"{who}/shop/dev") for who in ("acme", "me"))
    acme.directory.mkdir(parents=True)
    acme.claim_file.write_text(acme.claim)
    assert observe(acme, Wanted()).problems == ()
    (problem,) = observe(me, Wanted()).problems
    assert "belongs to the Pulumi stack acme/shop/dev" in problem.seen


def test_a_registry_that_k3d_did_not_make_is_refused(daemon: FakeDaemon, names: Names) -> None:
    """k3d finds a registry with and without its prefix, and only among its own containers."""
    for name in ("k3d-one", "k3d-two"):
        daemon.container(name, labels={"k3d.role": "registry"})
    daemon.container("three")
    known = ("one:5000", "k3d-two")
    assert observe(names, Wanted(registries=known)).problems == ()
    wanted = Wanted(registries=(*known, "three:5000", "k3d-four"))
    problems = observe(names, wanted).problems
    assert [str(problem) for problem in problems] == [
        f"registries.use.{number}: k3d has no registry {host}: nodes use only a registry that k3d "
        f"made in this Docker. Run `k3d registry create {name}`, or name another registry in "
        "registries.config"
        for number, host, name in ((2, "three", "three"), (3, "k3d-four", "four"))
    ]


def test_a_moved_folder_is_the_problem_and_not_its_ports(
    daemon: FakeDaemon, names: Names, tmp_path: Path
) -> None:
    names.directory.mkdir(parents=True)
    names.claim_file.write_text(names.claim)
    daemon.container(names.jaeger, labels=names.labels, ports="127.0.0.1:16686->16686/tcp")
    moved = replace(names, folder=tmp_path / "moved")
    names.folder.rename(moved.folder)
    (problem,) = observe(moved, Wanted(host_ports={"jaegerUiPort": 16686})).problems
    assert "it was moved here from" in str(problem)


def test_without_docker_that_is_the_problem(daemon: FakeDaemon, names: Names) -> None:
    daemon.down = True
    (problem,) = map(str, observe(names, Wanted()).problems)
    assert problem.startswith("Docker: the daemon does not answer: ")
    assert "Cannot connect to the Docker daemon" in problem
    assert problem.endswith("Start it, or name its socket in DOCKER_HOST")


def test_a_socket_that_is_denied_is_the_problem(daemon: FakeDaemon, names: Names) -> None:
    daemon.denied = True
    (problem,) = map(str, observe(names, Wanted()).problems)
    assert problem.startswith("Docker: this user may not use the daemon's socket: ")
    assert "`sudo usermod -aG docker $USER`" in problem


def test_a_docker_command_that_may_more_than_its_socket_is_the_problem(
    daemon: FakeDaemon, names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a script of that name in which sudo runs docker."""
    file = tmp_path / "docker.sock"
    monkeypatch.setitem(runner.variables, "DOCKER_HOST", f"unix://{file}")
    assert observe(names, Wanted()).problems == (), "it may be on another machine"
    file.touch()
    assert observe(names, Wanted()).problems == ()
    monkeypatch.setattr(os, "access", lambda path, _: str(path) != str(file))
    (problem,) = map(str, observe(names, Wanted()).problems)
    assert problem.startswith(f"Docker: this user may not use the socket {file}, though docker")
    assert "`sudo usermod -aG docker $USER`" in problem


def test_a_docker_that_cannot_run_the_nodes_is_the_problem(
    daemon: FakeDaemon, names: Names
) -> None:
    daemon.info |= {"ServerVersion": "20.10.4", "DockerRootDir": "/var/lib/containers/storage"}
    told = [str(problem) for problem in observe(names, Wanted()).problems]
    assert [text.partition(": ")[2].partition(":")[0] for text in told] == [
        "20.10.4 is too old",
        "what answers is Podman 20.10.4",
    ]


def test_what_decides_the_files_is_seen(daemon: FakeDaemon, names: Names) -> None:
    daemon.info |= {"CgroupVersion": "1", "SwapLimit": False, "Architecture": "aarch64"}
    before, observed, after = date.today(), observe(names, Wanted()), date.today()
    assert observed.today
    assert before <= observed.today <= after
    assert (observed.cgroup_v1, observed.limits_swap) == (True, False)
    assert observed.architecture == "arm64"


def test_names_of_the_stacks_containers_are_asked_where_there_are_exporters(
    daemon: FakeDaemon, names: Names
) -> None:
    daemon.info["MemTotal"] = 4 << 30
    daemon.container(names.collector, reached={"one": {"IPAddress": "172.20.0.3"}})
    found = observe(names, Wanted(exporters=True))
    assert found.reached_as == {
        names.collector: frozenset({"172.20.0.3"}),
        names.jaeger: frozenset(),
    }
    assert found.memory_mib == 4096
    assert observe(names, Wanted()).reached_as == {}
