"""Which Docker daemon is used, and which is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.machine.docker import choice, daemon
from lab.machine.docker.choice import Choice
from lab.machine.docker.daemon import NoDaemonError
from lab.paths import PROJECT, Cache
from lab.releases.platforms import Platform

LINUX, MAC = Platform("linux", "amd64"), Platform("darwin", "arm64")
SOCKET = "unix:///run/docker.sock"
INFO = {
    "ServerVersion": "28.2.2",
    "CgroupVersion": "2",
    "Architecture": "x86_64",
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
    "DockerRootDir": "/var/lib/docker",
}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH; nothing of the user's names a daemon."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    return folder


def docker(path: Path, info: dict[str, Any], host: str = SOCKET) -> None:
    """A docker command whose daemon at ``host`` reports ``info``."""
    script = f"""#!/bin/sh
case "$1" in
info) printf '%s' '{json.dumps(info)}' ;;
context) echo {host} ;;
*) exit 64 ;;
esac
"""
    (path / "docker").write_text(script)
    (path / "docker").chmod(0o755)


# --- daemons that are used ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "unix:///var/run/docker.sock",
        "unix:///Users/ada/.docker/run/docker.sock",
        "unix:///Users/ada/.colima/default/docker.sock",
        "unix:///Users/ada/.orbstack/run/docker.sock",
        "unix:///run/user/1000/docker.sock",
        "tcp://127.0.0.1:2375",
    ],
)
def test_the_daemon_of_dockers_context_is_used(path: Path, cache: Cache, host: str) -> None:
    docker(path, INFO, host)
    used = Choice(host, f"the daemon at {host}, version 28.2.2, which answers")
    assert choice.choose(cache, MAC) == used


def test_a_daemon_that_is_named_is_used(
    path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(path, INFO)
    monkeypatch.setenv("DOCKER_HOST", "unix:///own.sock")
    assert choice.choose(cache, LINUX).host == "unix:///own.sock"


def test_rootless_docker_is_used_on_cgroup_v2(path: Path, cache: Cache) -> None:
    docker(path, {**INFO, "SecurityOptions": ["name=rootless"]})
    assert choice.choose(cache, LINUX).host == SOCKET


@pytest.mark.parametrize(
    ("folder", "kernel", "warned"),
    [
        ("/mnt/c/Users/ada/project", "5.15.167.4-microsoft-standard-WSL2", True),
        ("/home/ada/project", "5.15.167.4-microsoft-standard-WSL2", False),
        ("/mnt/c/Users/ada/project", "6.1.0-amd64", False),
    ],
)
def test_a_project_on_a_drive_of_windows_is_slow(
    *,
    path: Path,
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
    kernel: str,
    warned: bool,
) -> None:
    docker(path, INFO)
    monkeypatch.setattr(choice, "PROJECT", Path(folder))
    monkeypatch.setattr("platform.release", lambda: kernel)
    warnings = choice.choose(cache, LINUX).warnings
    assert bool(warnings) is warned
    assert not warned or warnings[0].startswith(f"{folder} is on a drive of Windows: ")


# --- daemons that are refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info", "told"),
    [
        (
            {**INFO, "ServerVersion": "20.10.4"},
            r"Docker: 20\.10\.4 is too old: .* Install Docker 20\.10\.5 or newer",
        ),
        (
            {"host": {"arch": "amd64"}, "version": {"Version": "5.4.0"}},
            "Docker: `docker info` shows no ServerVersion, so this may be Podman",
        ),
        (
            {**INFO, "ServerVersion": "5.4.0", "DockerRootDir": "/var/lib/containers/storage"},
            r"Docker: what answers is Podman 5\.4\.0: .* Install Docker",
        ),
        (
            {**INFO, "SecurityOptions": ["name=rootless"], "CgroupVersion": "1"},
            r"Docker: the daemon runs rootless on cgroup v1: .* Boot the machine with",
        ),
    ],
)
def test_a_docker_that_cannot_run_the_nodes_is_refused(
    path: Path, cache: Cache, info: dict[str, Any], told: str
) -> None:
    docker(path, info)
    with pytest.raises(LabError, match=told) as refused:
        choice.choose(cache, LINUX)
    assert not isinstance(refused.value, NoDaemonError), "tests must not be skipped for it"


def test_a_daemon_on_another_machine_is_refused(path: Path, cache: Cache) -> None:
    docker(path, INFO, "ssh://build.example")
    with pytest.raises(LabError, match=r"the daemon at ssh://build\.example is on another machine"):
        choice.choose(cache, LINUX)


def test_a_snap_that_cannot_read_the_project_is_refused(
    path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(path, {**INFO, "DockerRootDir": "/var/snap/docker/common/var-lib-docker"})
    monkeypatch.setenv("HOME", "/home/ada")
    with pytest.raises(LabError, match="it is installed as a snap, which cannot read"):
        choice.choose(cache, LINUX)
    monkeypatch.setenv("HOME", str(PROJECT.parent))
    assert choice.choose(cache, LINUX).host == SOCKET


# --- no daemon ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("path")
def test_without_docker_linux_gets_a_private_daemon(cache: Cache) -> None:
    because = Choice(None, "a private daemon, because there is no docker command")
    assert choice.choose(cache, LINUX) == because


def test_without_a_daemon_a_mac_is_told_which_to_install(path: Path, cache: Cache) -> None:
    with pytest.raises(NoDaemonError, match=r"there is no docker command\. Install Docker Desktop"):
        choice.choose(cache, MAC)
    (path / "docker").write_text("#!/bin/sh\necho 'Cannot connect' >&2\nexit 1\n")
    (path / "docker").chmod(0o755)
    with pytest.raises(
        NoDaemonError, match=r"docker fails: Cannot connect\. Install Docker Desktop"
    ):
        choice.choose(cache, MAC)


def test_the_private_daemon_can_be_named(
    path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = f"unix://{cache.docker}/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", host)
    reason = f"the lab's private daemon at {host}, named by DOCKER_HOST"
    assert choice.choose(cache, LINUX) == Choice(None, reason)


def test_a_named_daemon_that_is_silent_is_an_error_and_no_lack_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'Cannot connect' >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    found = choice.choose(Cache(tmp_path), LINUX)
    assert found.host is None
    assert found.reason.startswith("a private daemon")
    assert found.reason.endswith("Cannot connect")
    monkeypatch.setenv("DOCKER_HOST", "tcp://build:2375")
    with pytest.raises(LabError, match=r"DOCKER_HOST=tcp://build:2375 does not answer") as silent:
        choice.choose(Cache(tmp_path), LINUX)
    assert not isinstance(silent.value, NoDaemonError)


DENIED = "dial unix /run/docker.sock: connect: permission denied"


@pytest.fixture
def denying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who is not root, and a docker whose daemon this user may not use."""
    context = '[ "$1" = context ] && echo unix:///run/docker.sock && exit 0'
    (tmp_path / "docker").write_text(f"#!/bin/sh\n{context}\necho '{DENIED}' >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.usefixtures("denying")
def test_a_socket_that_the_user_may_not_use_is_named_with_the_cure(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoDaemonError) as refused:
        choice.choose(cache, LINUX)
    assert str(refused.value) == (
        "the Docker socket /run/docker.sock exists, but this user may not use it "
        f"({DENIED}). Add the user to the group docker with `sudo usermod -aG docker $USER` and "
        "log in again, or set DOCKER_HOST to a daemon that you can use"
    )
    monkeypatch.setenv("DOCKER_HOST", "unix:///own.sock")
    with pytest.raises(LabError, match=r"the Docker socket /own\.sock exists, but this") as named:
        choice.choose(cache, LINUX)
    assert not isinstance(named.value, NoDaemonError)


@pytest.mark.usefixtures("denying")
def test_such_a_user_can_use_a_private_daemon_that_runs_and_root_can_start_one(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "answers", lambda _: True)
    assert choice.choose(cache, LINUX).host is None
    monkeypatch.setattr(daemon, "answers", lambda _: False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert choice.choose(cache, LINUX).host is None
