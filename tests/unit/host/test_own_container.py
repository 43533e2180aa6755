"""A program in a container of the daemon that it uses: what stops it, and when it can work."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from runtime_observability.core.naming import Names
from runtime_observability.core.wanted import Wanted
from runtime_observability.host import docker, own_container
from runtime_observability.host.preflight import observe
from tests.fakes.daemon import DockerObject, FakeDaemon

ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4


def mounted(identity: str, at: str = "/etc/hostname") -> str:
    """A line of /proc/self/mountinfo, after another one."""
    root = f"/var/lib/docker/containers/{identity}/{at.rpartition('/')[2]}"
    return (
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        f"711 698 254:1 {root} {at} rw,relatime - ext4 /dev/vda1 rw,discard\n"
    )


def bind(folder: Path | str, source: Path | str = "", kind: str = "bind") -> dict[str, str]:
    return {"Type": kind, "Source": str(source or folder), "Destination": str(folder)}


@pytest.fixture
def inside(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DockerObject:
    """This program's container, which has an own hostname."""
    file = tmp_path / "mountinfo"
    file.write_text(mounted(ID))
    monkeypatch.setattr(own_container, "_MOUNTS", file)
    monkeypatch.setattr(socket, "gethostname", lambda: "builder")
    container = daemon.container("devcontainer")
    container.id = ID
    return container


def refused(names: Names) -> list[str]:
    return [str(problem) for problem in own_container.refuse(names, docker.containers())]


def test_it_is_refused_before_anything_with_the_reasons(inside: DockerObject, names: Names) -> None:
    (problem,) = map(str, observe(names, Wanted()).problems)
    assert problem == (
        "Docker: this program runs in devcontainer, a container of the daemon that it uses: "
        "127.0.0.1 is the container's own, not the one on which ports are published, and the nodes "
        f"mount paths of the host, where {names.state_folder} is not this folder. Run it on the "
        "host, or start the container with the host's network and this folder at the host's path: "
        f"`--network host --volume {names.folder}:{names.folder}`"
    )


def test_the_default_hostname_tells_it_too(
    inside: DockerObject, names: Names, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where /proc does not."""
    monkeypatch.setattr(own_container, "_MOUNTS", tmp_path / "nothing")
    assert refused(names) == []
    monkeypatch.setattr(socket, "gethostname", lambda: ID[:12])
    assert len(refused(names)) == 1


def test_a_container_of_another_daemon_is_fine(
    inside: DockerObject, names: Names, daemon: FakeDaemon
) -> None:
    """Docker in Docker: the daemon runs in this container too, and does not know it."""
    inside.id = OTHER
    assert refused(names) == []
    assert daemon.calls_to("docker", "inspect") == []


def test_with_the_hosts_network_and_the_same_path_it_works(
    inside: DockerObject, names: Names
) -> None:
    inside.network_mode = "host"
    inside.mounts = [bind("/var/run/docker.sock"), bind(names.folder)]
    assert refused(names) == []
    inside.network_mode = "bridge"
    (problem,) = refused(names)
    assert "127.0.0.1" in problem
    assert "mount paths" not in problem


@pytest.mark.parametrize(
    "mounts",
    [
        [],
        [bind("/code", "/home/ada/project")],
        [bind("/code", kind="volume")],
        [bind("/code/project"), bind("/code/project/.stacks", "/srv/x")],
        [bind("/code/pro")],
    ],
)
def test_with_the_hosts_network_alone_it_does_not(
    inside: DockerObject, mounts: list[dict[str, str]]
) -> None:
    inside.network_mode, inside.mounts = "host", mounts
    (problem,) = refused(Names("dev", Path("/code/project")))
    assert "mount paths of the host, where /code/project/.stacks is not this folder" in problem
    assert "127.0.0.1" not in problem


def test_a_state_folder_elsewhere_is_the_one_that_nodes_mount(inside: DockerObject) -> None:
    names = Names("dev", Path("/code/project"), Path("/state"))
    inside.network_mode, inside.mounts = "host", [bind("/code")]
    (problem,) = refused(names)
    assert problem.endswith("`--network host --volume /state:/state`")
    inside.mounts = [bind("/state")]
    assert refused(names) == []


@pytest.mark.parametrize(
    ("mounts", "hostname", "found"),
    [
        ("", "ada-laptop", set()),
        (mounted(ID), "ada-laptop", {ID}),
        (mounted(ID, "/etc/resolv.conf"), ID[:12], {ID, ID[:12]}),
        ("", ID[:11], set()),
        # Docker mounts the shared memory of every container on the host, too.
        (mounted(ID, f"/var/lib/docker/containers/{ID}/mounts/shm"), "host", set()),
    ],
)
def test_what_identifies_a_container(mounts: str, hostname: str, found: Any) -> None:
    assert own_container.identities(mounts, hostname) == found
