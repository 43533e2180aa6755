"""Which Docker engines can run a cluster, row by row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runtime_observability.host import engines
from runtime_observability.host.docker import Daemon

ENGINE = Daemon("28.2.2", "2", "amd64", limits_swap=True, root="/var/lib/docker")
HOME = Path("/home/ada")
FOLDER = HOME / "project"
PROGRAM = Path("/usr/bin/docker")
SNAP = Path("/snap/docker/3265/bin/docker")


def refuse(engine: Daemon, folder: Path = FOLDER, program: Path = PROGRAM) -> list[str]:
    return [str(problem) for problem in engines.refuse(engine, folder, HOME, program)]


@pytest.mark.parametrize(
    "engine",
    [
        ENGINE,
        replace(ENGINE, rootless=True, root="/home/ada/.local/share/docker"),
        replace(ENGINE, cgroup_version="1"),
        replace(ENGINE, version="20.10.5"),
        replace(ENGINE, version="20.10.24+dfsg1"),
        replace(ENGINE, version="dev"),
        replace(ENGINE, root=""),
    ],
)
def test_docker_can(engine: Daemon) -> None:
    assert refuse(engine) == []


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        (
            replace(ENGINE, version="20.10.4"),
            "Docker: 20.10.4 is too old: k3d does not work with a Docker before 20.10.5. Install "
            "Docker 20.10.5 or newer",
        ),
        (
            replace(ENGINE, version="5.4.0", root="/home/ada/.local/share/containers/storage"),
            "Docker: what answers is Podman 5.4.0: k3d's nodes and Pulumi's provider need Docker. "
            "Install Docker and name its socket in DOCKER_HOST",
        ),
        (
            replace(ENGINE, rootless=True, cgroup_version="1"),
            "Docker: the daemon runs rootless on cgroup v1: its nodes cannot create the cgroups of "
            "their pods. Boot the machine with systemd.unified_cgroup_hierarchy=1, or use a daemon "
            "that runs as root",
        ),
    ],
)
def test_another_engine_cannot_and_the_cure_is_named(engine: Daemon, told: str) -> None:
    assert told in refuse(engine)


def test_every_problem_is_told_at_once() -> None:
    broken = Daemon("5.4.0", "1", "amd64", True, rootless=True, root="/x/containers/storage")
    assert len(refuse(broken)) == 3
    assert len(engines.refuse_others(broken, FOLDER, HOME, PROGRAM)) == 2


@pytest.mark.parametrize(
    ("folder", "sees"),
    [
        (FOLDER, True),
        (HOME / "project" / ".hidden" / "inside", True),
        (HOME / ".cache" / "project", False),
        (HOME / "snap" / "project", False),
        (HOME, False),
        (Path("/opt/project"), False),
        (Path("/home/adalbert/project"), False),
    ],
)
@pytest.mark.parametrize(
    ("engine", "program"),
    [
        (ENGINE, SNAP),
        (replace(ENGINE, root="/var/snap/docker/common/var-lib-docker"), PROGRAM),
    ],
)
def test_a_snap_sees_only_what_is_not_hidden_in_the_home_folder(
    engine: Daemon, program: Path, folder: Path, sees: bool
) -> None:
    told = refuse(engine, folder, program)
    assert (told == []) is sees
    if not sees:
        assert told[0].startswith(
            f"Docker: it is installed as a snap, which cannot read {folder}: a snap sees only "
            "/home/ada, without its hidden folders. Move the project to a folder in /home/ada"
        )


@pytest.mark.parametrize(
    ("folder", "kernel", "warned"),
    [
        ("/mnt/c/project", "5.15.0-microsoft-standard-WSL2", True),
        ("/mnt/c", "4.4.0-19041-Microsoft", True),
        ("/mnt/data/project", "5.15.0-microsoft-standard-WSL2", False),
        ("/home/ada/project", "5.15.0-microsoft-standard-WSL2", False),
        ("/mnt/c/project", "6.12.0-amd64", False),
    ],
)
def test_a_drive_of_windows_is_slow(folder: str, kernel: str, warned: bool) -> None:
    assert bool(engines.advise(Path(folder), kernel)) is warned
