"""Preflight: what stops a run, what counts as drift, and the generation that follows."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from runtime_observability.core import naming
from runtime_observability.core.naming import NODE_IMAGE, Names
from runtime_observability.core.observation import Observation, Record
from runtime_observability.host import preflight, store
from runtime_observability.host.docker import Owned
from runtime_observability.host.preflight import observe
from tests.fakes.daemon import FakeDaemon
from tests.fakes.http import FakeServer, Reply, write_kubeconfig
from tests.fakes.upgrade import Certificate

FILE = "apiserver-tracing.yaml"
DIGEST = "0123456789abcdef"
STRANGER = "fedcba9876543210"


def container(name: str, owner: str = "", **values: str) -> Owned:
    who = {"stack": "other", "folder": "/home/bob/x"} if owner else {"stack": "", "folder": ""}
    return Owned(id=f"id-of-{name}", name=name, owner=owner, **(who | values))


# --- ports ----------------------------------------------------------------------------------------


@pytest.fixture
def busy_port() -> Iterator[int]:
    """A port on which this test listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_a_free_port_is_no_problem(names: Names) -> None:
    assert preflight.refuse_taken_ports(names, {"jaegerUiPort": free_port()}, []) == []


def test_a_port_of_another_program_is_refused(names: Names, busy_port: int) -> None:
    (problem,) = map(str, preflight.refuse_taken_ports(names, {"jaegerUiPort": busy_port}, []))
    assert problem.startswith(
        f"jaegerUiPort: port {busy_port} on 127.0.0.1 is held by another program on this machine"
    )


@pytest.mark.parametrize(
    ("key", "port", "offset", "cure"),
    [
        ("jaegerUiPort", 16686, 0, "`pulumi config set portOffset 100` moves"),
        ("jaegerUiPort", 16896, 210, "`pulumi config set portOffset 310` moves"),
        ("jaegerUiPort", 12345, 0, "`pulumi config set jaegerUiPort 12346`"),
        ("jaegerUiPort", 16686, 100, "`pulumi config set jaegerUiPort 16687`"),
        ("publishedPorts '8080:80'", 8080, 0, "Publish it on another HOSTPORT"),
    ],
)
def test_the_cure_for_a_taken_port_is_one_that_moves_it(
    names: Names, key: str, port: int, offset: int, cure: str
) -> None:
    holder = Owned(
        id="1", name="web", owner="", stack="", folder="", ports=f"127.0.0.1:{port}->80/tcp"
    )
    (problem,) = map(str, preflight.refuse_taken_ports(names, {key: port}, [holder], offset))
    assert cure in problem


def test_a_listener_on_all_addresses_holds_the_port_too(names: Names) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104  the case under test
        port = listener.getsockname()[1]
        assert preflight.refuse_taken_ports(names, {"jaegerUiPort": port}, [])


def test_a_port_of_our_own_is_no_problem(names: Names, busy_port: int) -> None:
    ports = f"127.0.0.1:{busy_port}->16686/tcp"
    ours = [container(names.jaeger, names.owner, ports=ports)]
    assert preflight.refuse_taken_ports(names, {"jaegerUiPort": busy_port}, ours) == []


def test_the_holder_is_named_when_it_is_a_stack(names: Names) -> None:
    """Without its userland proxy, Docker publishes ports that can still be bound: ask Docker."""
    port = free_port()
    theirs = [
        container(
            "traced-b-jaeger", STRANGER, ports=f"127.0.0.1:{port}->16686/tcp", state="running"
        )
    ]
    (problem,) = map(str, preflight.refuse_taken_ports(names, {"jaegerUiPort": port}, theirs))
    assert "is held by container traced-b-jaeger of stack other in /home/bob/x" in problem


def test_a_port_that_one_may_not_bind_is_not_busy(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker may bind ports below 1024, this user may not."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    assert preflight.refuse_taken_ports(names, {"publishedPorts '80:80'": 80}, []) == []


# --- daemon and k3d -------------------------------------------------------------------------------


def test_two_daemons_are_refused_with_the_cure() -> None:
    assert preflight.refuse_two_daemons("unix:///a.sock", "unix:///a.sock") == []
    (problem,) = map(str, preflight.refuse_two_daemons("unix:///a.sock", "unix:///b.sock"))
    assert "`export DOCKER_HOST=unix:///b.sock`" in problem


def test_a_context_in_the_environment_is_refused(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DOCKER_HOST overrides it for docker; it overrides DOCKER_HOST for Pulumi's provider."""
    assert preflight.check_host() == []
    monkeypatch.setenv("DOCKER_CONTEXT", "colima")
    (problem,) = map(str, preflight.check_host())
    assert "DOCKER_CONTEXT is colima" in problem
    assert f"`unset DOCKER_CONTEXT; export DOCKER_HOST={daemon.host}`" in problem


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("unix:///run/user/1000/docker.sock", True),
        ("npipe:////./pipe/docker_engine", True),
        ("tcp://127.0.0.1:2375", True),
        ("tcp://localhost:2376", True),
        ("tcp://docker:2375", False),
        ("ssh://me@box", False),
    ],
)
def test_a_daemon_on_another_machine_is_refused(host: str, here: bool) -> None:
    problems = preflight.refuse_a_daemon_elsewhere(host)
    assert [host in problem.seen for problem in problems] == ([] if here else [True])


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


# --- drift ----------------------------------------------------------------------------------------


@pytest.fixture
def record(names: Names, daemon: FakeDaemon, server: FakeServer) -> Record:
    """A stack as ensure left it: node, file, kubeconfig, and an API without anonymous access."""
    node = daemon.node(names, spec=DIGEST)
    names.node_directory.mkdir(parents=True)
    (names.node_directory / FILE).write_text("kind: TracingConfiguration\n")
    sha256 = hashlib.sha256(b"kind: TracingConfiguration\n").hexdigest()
    server.answer = lambda _: Reply(401)
    write_kubeconfig(names.kubeconfig, server.url)
    spec = {"k3d": {"image": "docker.io/rancher/k3s:v1.27.1-k3s1"}, "files": {FILE: sha256}}
    made = Record(7, True, DIGEST, spec, (node.name,))
    store.save(names, made)
    return made


def seen(names: Names) -> Observation:
    return observe(names, {})


@pytest.mark.usefixtures("record")
def test_nothing_has_changed(names: Names) -> None:
    observed = seen(names)
    assert (observed.problems, observed.drift, observed.generation) == ((), (), 7)


@pytest.mark.usefixtures("record", "proxy_of_the_user")
def test_no_proxy_is_asked_for_the_api(names: Names) -> None:
    assert seen(names).drift == ()


@pytest.mark.parametrize("status", [200, 401, 403])
@pytest.mark.usefixtures("record")
def test_an_api_server_that_answers_lives(names: Names, server: FakeServer, status: int) -> None:
    server.answer = lambda _: Reply(status)
    assert seen(names).drift == ()


@pytest.mark.usefixtures("record")
def test_an_api_server_that_is_not_ready_is_drift(names: Names, server: FakeServer) -> None:
    server.answer = lambda _: Reply(500)
    assert seen(names).drift == ("the API server answers 500 to /readyz",)


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize("trusted", [True, False])
def test_only_the_clusters_own_api_server_is_believed(
    names: Names, tmp_path: Path, trusted: bool
) -> None:
    """Another program on the port can answer too, with a certificate of another authority."""
    shown, other = (Certificate.issue(tmp_path / name) for name in ("shown", "other"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(shown.own)
    server = FakeServer(lambda _: Reply(401), tls)
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
    limits: list[float] = []

    def get(url: str, *, timeout: float, **_: object) -> httpx.Response:
        assert url == f"{server.url}/readyz"
        limits.append(timeout)
        raise httpx.ReadTimeout("timed out")

    monkeypatch.setattr(httpx, "get", get)
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


@pytest.mark.parametrize("text", [None, "", "clusters: []", "clusters: 7", "{", "\0"])
@pytest.mark.usefixtures("record")
def test_a_kubeconfig_that_cannot_be_read_is_drift(names: Names, text: str | None) -> None:
    names.kubeconfig.unlink()
    if text is not None:
        names.kubeconfig.write_text(text)
    assert seen(names).drift == (f"{names.kubeconfig} cannot be read",)


def test_a_node_image_that_is_gone_is_drift(
    names: Names, record: Record, daemon: FakeDaemon
) -> None:
    """No registry has it, so a node could not be created again."""
    image = f"{NODE_IMAGE}:containerd-2.3.4-0123456789ab"
    built = {**record.spec, "k3d": {"image": image}}
    store.save(names, replace(record, spec=built))
    assert seen(names).drift == (f"image {image} is gone",)
    assert seen(names).generation == 8
    daemon.images[image] = {}
    assert seen(names).drift == ()


def test_a_run_that_did_not_end_is_drift(names: Names, record: Record) -> None:
    store.save(names, replace(record, complete=False))
    observed = seen(names)
    assert observed.drift == ("the last run ended before cluster traced-dev was complete",)
    assert observed.generation == 8


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
    assert observed.generation > 1_700_000_000


# --- all of it ------------------------------------------------------------------------------------


def test_all_problems_are_told_at_once(daemon: FakeDaemon, busy_port: int, tmp_path: Path) -> None:
    names = Names("dev", tmp_path / "a:b")
    daemon.k3d_version = "4.4.8"
    daemon.host = "unix:///run/user/1000/docker.sock"
    daemon.container(names.jaeger)
    problems = observe(names, {"jaegerUiPort": busy_port}).problems
    assert len(problems) == 5
    for part in ("has ':'", "k3d: 4.4.8", "DOCKER_HOST", "traced-dev-jaeger", str(busy_port)):
        assert any(part in str(problem) for problem in problems)


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
    assert observe(acme, {}).problems == ()
    (problem,) = observe(me, {}).problems
    assert "belongs to the Pulumi stack acme/shop/dev" in problem.seen


def test_a_registry_that_k3d_did_not_make_is_refused(daemon: FakeDaemon, names: Names) -> None:
    """k3d finds a registry with and without its prefix, and only among its own containers."""
    for name in ("k3d-one", "k3d-two"):
        daemon.container(name, labels={"k3d.role": "registry"})
    daemon.container("three")
    known = ["one:5000", "k3d-two"]
    assert observe(names, {}, registries=known).problems == ()
    problems = observe(names, {}, registries=[*known, "three:5000", "k3d-four"]).problems
    assert [str(problem) for problem in problems] == [
        f"registries.use.{number}: k3d has no registry {host}: nodes use only a registry that k3d "
        f"made in this Docker. Run `k3d registry create {name}`, or name another registry in "
        "registries.config"
        for number, host, name in ((2, "three", "three"), (3, "k3d-four", "four"))
    ]


def test_without_docker_that_is_the_problem(daemon: FakeDaemon, names: Names) -> None:
    daemon.down = True
    (problem,) = map(str, observe(names, {}).problems)
    assert problem.startswith("Docker: the daemon does not answer: ")
    assert "Cannot connect to the Docker daemon" in problem
    assert problem.endswith("Start it, or name its socket in DOCKER_HOST")


def test_a_docker_that_cannot_run_the_nodes_is_the_problem(
    daemon: FakeDaemon, names: Names
) -> None:
    daemon.info |= {"ServerVersion": "20.10.4", "DockerRootDir": "/var/lib/containers/storage"}
    told = [str(problem) for problem in observe(names, {}).problems]
    assert [text.partition(": ")[2].partition(":")[0] for text in told] == [
        "20.10.4 is too old",
        "what answers is Podman 20.10.4",
    ]


def test_what_decides_the_files_is_seen(daemon: FakeDaemon, names: Names) -> None:
    daemon.info |= {"CgroupVersion": "1", "SwapLimit": False, "Architecture": "aarch64"}
    before, observed, after = date.today(), observe(names, {}), date.today()
    assert observed.today
    assert before <= observed.today <= after
    assert (observed.cgroup_v1, observed.limits_swap) == (True, False)
    assert observed.architecture == "arm64"
