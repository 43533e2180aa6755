"""Ports that something else holds: who, and the cure that moves what is asked for."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from runtime_observability.core.naming import Names
from runtime_observability.core.wanted import Wanted
from runtime_observability.host import taken_ports
from runtime_observability.host.docker import Owned
from runtime_observability.host.preflight import observe
from tests.configuration import parsed
from tests.fakes.daemon import FakeDaemon
from tests.unit.host.objects import STRANGER, container


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
    assert taken_ports.refuse(names, Wanted(host_ports={"jaegerUiPort": free_port()}), []) == []


def test_a_port_of_another_program_is_refused(names: Names, busy_port: int) -> None:
    (problem,) = map(
        str, taken_ports.refuse(names, Wanted(host_ports={"jaegerUiPort": busy_port}), [])
    )
    assert problem.startswith(
        f"jaegerUiPort: port {busy_port} on 127.0.0.1 is held by another program on this machine"
    )


@pytest.mark.parametrize(
    ("key", "port", "offset", "cure"),
    [
        ("jaegerUiPort", 16686, 0, "`pulumi config set portOffset 100` moves"),
        ("jaegerUiPort", 16896, 210, "`pulumi config set portOffset 310` moves"),
        ("jaegerUiPort", 56586, 39_900, "`pulumi config set portOffset 40000` moves"),
        ("jaegerUiPort", 56636, 39_950, "`pulumi config set portOffset 39850` moves"),
        ("jaegerUiPort", 12345, 0, "`pulumi config set jaegerUiPort 12346`"),
        ("jaegerUiPort", 65535, 0, "`pulumi config set jaegerUiPort 65534`"),
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
    (problem,) = map(
        str, taken_ports.refuse(names, Wanted(host_ports={key: port}, port_offset=offset), [holder])
    )
    assert cure in problem


def test_a_port_of_another_address_is_free_here(names: Names) -> None:
    """Docker can publish both, so that the container is in nobody's way."""
    port = free_port()
    holder = container("web", ports=f"192.168.1.5:{port}->80/tcp", state="running")
    assert taken_ports.refuse(names, Wanted(host_ports={"otlpGrpcPort": port}), [holder]) == []


def test_a_stack_that_may_have_been_renamed_is_told_its_way_back(names: Names) -> None:
    port = free_port()
    ports = f"127.0.0.1:{port}->16686/tcp"
    before = Owned(
        "1", "traced-old-jaeger", STRANGER, "old", str(names.folder), ports=ports, state="running"
    )
    own = container(names.collector, names.owner)
    way_back = "if this stack is old renamed, give it back its name: `pulumi stack rename old`"
    for others, told in (([], True), ([own], False)):
        (problem,) = taken_ports.refuse(
            names, Wanted(host_ports={"jaegerUiPort": port}), [before, *others]
        )
        assert (way_back in problem.cure) is told
        assert "pulumi config set jaegerUiPort" in problem.cure
    elsewhere = replace(before, folder="/home/bob/x")
    (problem,) = taken_ports.refuse(names, Wanted(host_ports={"jaegerUiPort": port}), [elsewhere])
    assert "rename" not in problem.cure


def test_a_listener_on_all_addresses_holds_the_port_too(names: Names) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104  the case under test
        port = listener.getsockname()[1]
        assert taken_ports.refuse(names, Wanted(host_ports={"jaegerUiPort": port}), [])


def test_a_port_of_our_own_is_no_problem(names: Names, busy_port: int) -> None:
    ports = f"127.0.0.1:{busy_port}->16686/tcp"
    ours = [container(names.jaeger, names.owner, ports=ports)]
    assert taken_ports.refuse(names, Wanted(host_ports={"jaegerUiPort": busy_port}), ours) == []


def test_a_udp_port_of_another_program_is_refused(daemon: FakeDaemon, names: Names) -> None:
    """A rehearsal publishes no port, so a new cluster would fail after the old one is deleted."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        chosen = Wanted.of(parsed(publishedPorts=[f"{port}:53/udp"]), names)
        assert chosen.host_udp_ports == {f"publishedPorts '{port}:53/udp'": port}
        wanted = Wanted(host_udp_ports=chosen.host_udp_ports)
        (problem,) = observe(names, wanted).problems
    assert str(problem) == (
        f"publishedPorts '{port}:53/udp': port {port} on 127.0.0.1 is held by another program on "
        "this machine. Publish it on another HOSTPORT"
    )
    assert observe(names, wanted).problems == ()


def test_a_udp_port_is_held_by_a_container_that_publishes_it_on_udp(names: Names) -> None:
    port = free_port()
    key = f"publishedPorts '{port}:53/udp'"
    for protocol, number in (("udp", 1), ("tcp", 0)):
        web = container("dns", ports=f"127.0.0.1:{port}->53/{protocol}", state="running")
        assert len(taken_ports.refuse(names, Wanted(host_udp_ports={key: port}), [web])) == number


def test_the_holder_is_named_when_it_is_a_stack(names: Names) -> None:
    """Without its userland proxy, Docker publishes ports that can still be bound: ask Docker."""
    port = free_port()
    theirs = [
        container(
            "traced-b-jaeger", STRANGER, ports=f"127.0.0.1:{port}->16686/tcp", state="running"
        )
    ]
    (problem,) = map(
        str, taken_ports.refuse(names, Wanted(host_ports={"jaegerUiPort": port}), theirs)
    )
    assert "is held by container traced-b-jaeger of stack other in /home/bob/x" in problem


def test_a_port_that_one_may_not_bind_is_not_busy(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker may bind ports below 1024, this user may not."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    assert taken_ports.refuse(names, Wanted(host_ports={"publishedPorts '80:80'": 80}), []) == []


def test_a_port_that_docker_kept_for_no_container_is_cured_by_its_restart(names: Names) -> None:
    """docker-proxy has these options."""
    listen = "import socket; s = socket.create_server(('127.0.0.1', 0)); "
    told = "print(s.getsockname()[1], flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", listen + told], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        port = int(other.stdout.readline())
        (problem,) = taken_ports.refuse(names, Wanted(host_ports={"jaegerUiPort": port}), [])
        assert "held by another program on this machine" in str(problem)
        options = ["-proto", "tcp", "-host-ip", "127.0.0.1", "-host-port", str(port)]
        with subprocess.Popen(
            [sys.executable, "-c", "print(flush=True); input()", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as proxy:
            assert proxy.stdout
            proxy.stdout.readline()
            (problem,) = taken_ports.refuse(names, Wanted(host_ports={"jaegerUiPort": port}), [])
            again = [
                container("k3d-traced-dev-server-0", state="restarting", owner=owner)
                for owner in (names.owner, "another")
            ]
            wanted = Wanted(host_ports={"jaegerUiPort": port})
            assert taken_ports.refuse(names, wanted, again) == [], "its own, for a moment"
            assert taken_ports.refuse(names, wanted, again[1:]) == [problem]
            proxy.communicate(b"\n")
        other.communicate(b"\n")
    assert "is held by Docker, though no container has it" in str(problem)
    assert "restart Docker" in str(problem)
