"""A daemon's programs: the machine's own where it has them, and unpacked ones where not."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from lab.build.workbench import Workbench
from lab.machine import apt
from lab.machine.docker import processes, programs
from lab.paths import Cache

TREE = (
    "usr/sbin/dockerd",
    "usr/bin/docker",
    "usr/sbin/xtables-nft-multi",
    "usr/sbin/iptables-nft",
    "usr/sbin/ip6tables-nft-restore",
    "usr/sbin/iptables-legacy-save",
    "usr/lib/x86_64-linux-gnu/xtables/libxt_nat.so",
)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], list[str]]]:
    """The needed and the optional packages of every fetch, on a machine with runc alone."""
    calls: list[tuple[list[str], list[str]]] = []

    def fetch(
        _: Workbench, packages: Iterable[str], folder: Path, *, optional: Iterable[str]
    ) -> list[Path]:
        calls.append((list(packages), list(optional)))
        folder.mkdir()
        return []

    def unpack(_: object, tree: Path) -> None:
        for file in TREE:
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            (tree / file).touch()

    machine = tmp_path / "machine"
    machine.mkdir()
    (machine / "runc").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(machine))
    monkeypatch.setattr(processes, "PATH", str(machine))
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    monkeypatch.setattr(apt, "fetch", fetch)
    monkeypatch.setattr(apt, "unpack", unpack)
    return calls


def test_what_is_missing_is_unpacked_once_and_found_behind_the_machines_own(
    asked: list[object], cache: Cache, tmp_path: Path
) -> None:
    variables = programs.environment(cache)
    again = programs.environment(cache)
    assert again["PATH"] == variables["PATH"]
    assert asked == [
        (["docker.io", "containerd", "iptables"], ["docker-cli", "slirp4netns"]),
    ]
    (output,) = cache.steps.glob("docker-programs-*")
    assert variables["PATH"].split(":") == [
        str(tmp_path / "machine"),
        f"{output}/iptables-nft",
        f"{output}/tree/usr/sbin",
        f"{output}/tree/usr/bin",
    ]
    assert variables["LD_LIBRARY_PATH"].startswith(f"{output}/tree/usr/lib/x86_64-linux-gnu")
    assert variables["XTABLES_LIBDIR"] == f"{output}/tree/usr/lib/x86_64-linux-gnu/xtables"
    links = {
        str(link.relative_to(output)): str(link.readlink()) for link in output.glob("iptables-*/*")
    }
    assert links == {
        "iptables-nft/iptables": "../tree/usr/sbin/xtables-nft-multi",
        "iptables-nft/ip6tables-restore": "../tree/usr/sbin/xtables-nft-multi",
        "iptables-legacy/iptables-save": "../tree/usr/sbin/xtables-legacy-multi",
    }
    assert (output / "iptables-nft/iptables").exists()


def test_the_docker_command_alone_is_put_on_path(
    asked: list[object], cache: Cache, tmp_path: Path
) -> None:
    programs.environment(cache)
    (output,) = cache.steps.glob("docker-programs-*")
    assert os.environ["PATH"] == f"{tmp_path}/machine:{output}/cli"
    assert [path.name for path in (output / "cli").iterdir()] == ["docker"]
    assert (output / "cli/docker").resolve() == output / "tree/usr/bin/docker"


def test_nothing_is_unpacked_on_a_machine_that_has_everything(
    asked: list[object], cache: Cache, tmp_path: Path
) -> None:
    for tool in (*programs.NEEDED, *programs.OPTIONAL):
        (tmp_path / "machine" / tool).touch(mode=0o755)
    variables = programs.environment(cache)
    assert asked == []
    assert variables["PATH"] == str(tmp_path / "machine")
    assert "LD_LIBRARY_PATH" not in variables


def test_other_packages_are_another_step(asked: list[object], cache: Cache, tmp_path: Path) -> None:
    programs.environment(cache)
    (tmp_path / "machine" / "iptables").touch(mode=0o755)
    programs.environment(cache)
    assert asked[1:] == [(["docker.io", "containerd"], ["docker-cli", "slirp4netns"])]
