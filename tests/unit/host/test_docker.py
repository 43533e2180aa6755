"""How the output of `docker` is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime_observability.core.naming import Names
from runtime_observability.host import docker, lives, runner
from runtime_observability.host.docker import Daemon, Owned
from tests.fakes.daemon import FakeDaemon


def test_a_container_is_read_with_its_owner(daemon: FakeDaemon, names: Names) -> None:
    ports = "127.0.0.1:6550->6443/tcp"
    daemon.node(names, spec="0123456789abcdef", ports=ports)
    assert docker.containers() == [
        Owned(
            id="id-of-k3d-traced-dev-server-0",
            name="k3d-traced-dev-server-0",
            owner=names.owner,
            stack="dev",
            folder=str(names.folder),
            spec="0123456789abcdef",
            cluster="traced-dev",
            role="server",
            state="running",
            ports=ports,
            networks=names.network,
        )
    ]


def test_labels_that_are_not_there_are_empty(daemon: FakeDaemon) -> None:
    daemon.container("postgres", state="exited")
    (found,) = docker.containers()
    assert (found.owner, found.cluster, found.state) == ("", "", "exited")
    assert found.whose == "postgres, which no stack of this project made"


def test_networks_are_read_with_their_owner(daemon: FakeDaemon, names: Names) -> None:
    daemon.network("bridge")
    daemon.network(names.network, labels=names.labels)
    assert [(network.name, network.owner) for network in docker.networks()] == [
        ("bridge", ""),
        ("traced-dev", names.owner),
    ]
    assert docker.networks()[1].whose == f"traced-dev of stack dev in {names.folder}"


@pytest.mark.parametrize(
    ("listed", "ports"),
    [
        ("", set()),
        ("4317-4318/tcp", set()),
        ("127.0.0.1:16686->16686/tcp", {16686}),
        ("127.0.0.1:16786->16686/tcp, 127.0.0.1:6650->6443/tcp", {16786, 6650}),
        # a collector on its default ports, listed by docker 28.2.2
        (
            "127.0.0.1:4317-4318->4317-4318/tcp, 127.0.0.1:8888->8888/tcp, "
            "127.0.0.1:13133->13133/tcp",
            {4317, 4318, 8888, 13133},
        ),
        ("0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, :::8443->443/tcp", {8080, 8443}),
        ("127.0.0.1:5353->53/udp", set()),
        # published elsewhere alone, so that 127.0.0.1 is free
        ("192.168.1.5:4317->4317/tcp", set()),
        ("192.168.1.5:4317-4318->4317-4318/tcp, 127.0.0.1:80->80/tcp", {80}),
        ("127.0.0.2:4317->4317/tcp, [::1]:4318->4318/tcp, [fe80::1]:4319->4319/tcp", set()),
        ("10.127.0.0.1:4317->4317/tcp", set()),
    ],
)
def test_published_tcp_ports(listed: str, ports: set[int]) -> None:
    container = Owned(id="1", name="a", owner="", stack="", folder="", ports=listed)
    assert container.host_ports() == ports


def test_published_udp_ports() -> None:
    listed = "127.0.0.1:5353-5354->53-54/udp, 0.0.0.0:80->80/tcp, 192.168.1.5:99->99/udp"
    container = Owned(id="1", name="a", owner="", stack="", folder="", ports=listed)
    assert container.host_ports("udp") == {5353, 5354}


def test_the_daemon_says_which_cgroups_it_has(daemon: FakeDaemon) -> None:
    assert docker.daemon() == Daemon(
        "20.10.24", cgroup_version="2", architecture="amd64", limits_swap=True, id="6f2c1d34-daemon"
    )
    del daemon.info["CgroupVersion"]
    assert docker.daemon().cgroup_version == "1", "releases before 20.10 support only cgroup v1"


@pytest.mark.parametrize(("told", "limits"), [(True, True), (False, False), (None, False)])
def test_a_daemon_that_does_not_tell_of_a_swap_limit_has_none(
    daemon: FakeDaemon, told: bool | None, limits: bool
) -> None:
    del daemon.info["SwapLimit"]
    if told is not None:
        daemon.info["SwapLimit"] = told
    assert docker.daemon().limits_swap is limits


@pytest.mark.parametrize(
    ("machine", "architecture"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("riscv64", "riscv64")]
)
def test_the_daemons_architecture_is_named_as_images_name_it(
    daemon: FakeDaemon, machine: str, architecture: str
) -> None:
    daemon.info["Architecture"] = machine
    assert docker.daemon().architecture == architecture


def test_the_daemon_says_how_it_runs_and_where_it_keeps_everything(daemon: FakeDaemon) -> None:
    assert (docker.daemon().rootless, docker.daemon().root) == (False, "")
    daemon.info |= {
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"],
        "DockerRootDir": "/home/ada/.local/share/docker",
    }
    assert (docker.daemon().rootless, docker.daemon().root) == (
        True,
        "/home/ada/.local/share/docker",
    )


def test_the_docker_command_is_found_behind_its_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(runner.CommandError, match="`docker` is not on PATH"):
        docker.program()
    (tmp_path / "snap").write_text("")
    (tmp_path / "snap").chmod(0o755)
    (tmp_path / "docker").symlink_to(tmp_path / "snap")
    assert docker.program() == tmp_path / "snap"


def test_why_an_image_is_not_served(daemon: FakeDaemon, tmp_path: Path) -> None:
    daemon.served.add("a:1")
    assert docker.why_not_served("a:1", 5) == ""
    assert docker.why_not_served("b:1", 5) == "docker says nothing"
    assert docker.is_served("a:1")
    assert not docker.is_served("b:1")
    daemon.down = True
    assert docker.why_not_served("a:1", 5).startswith("Cannot connect to the Docker daemon")


def test_a_daemon_that_is_not_there(daemon: FakeDaemon) -> None:
    daemon.down = True
    with pytest.raises(runner.CommandError, match="Cannot connect to the Docker daemon"):
        docker.daemon()


def test_a_client_without_a_daemon(daemon: FakeDaemon) -> None:
    """`docker info` can exit with 0 and report the missing daemon only in its output."""
    daemon.info = {"ServerErrors": ["Cannot connect to the Docker daemon"]}
    with pytest.raises(runner.CommandError, match="Cannot connect to the Docker daemon"):
        docker.daemon()


def test_what_is_not_docker_is_told_apart(daemon: FakeDaemon) -> None:
    """Podman can install a `docker` command too; its `info` has other fields."""
    daemon.info = {"host": {"arch": "amd64"}, "version": {"Version": "5.4.0"}}
    with pytest.raises(runner.CommandError, match="this may be Podman"):
        docker.daemon()


def test_a_container_is_known_by_its_names_and_addresses(daemon: FakeDaemon) -> None:
    """Docker before 25 tells no DNSNames; a container that has ended has empty addresses."""
    network = {"IPAddress": "172.20.0.3", "GlobalIPv6Address": "fd00::3", "Aliases": None}
    daemon.container(
        "it",
        reached={
            "one": network | {"DNSNames": ["it", "otel-collector", "0123456789ab"]},
            "two": {"IPAddress": "", "GlobalIPv6Address": "", "Aliases": ["other"]},
        },
    )
    found = lives.read("it", "absent")
    assert found.keys() == {"it"}
    assert lives.reached_as(found["it"].networks) == {
        "172.20.0.3", "fd00::3", "it", "otel-collector", "0123456789ab", "other",
    }  # fmt: skip


def test_the_machines_memory_is_told_in_mib(daemon: FakeDaemon) -> None:
    assert docker.daemon().memory_mib == 0, "not known"
    daemon.info["MemTotal"] = 8_201_134_080
    assert docker.daemon().memory_mib == 7821
