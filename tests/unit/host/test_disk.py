"""A folder that cannot be written and a disk that is full stop a run before it begins."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from runtime_observability.core.naming import Names
from runtime_observability.core.wanted import Wanted
from runtime_observability.host import disk
from runtime_observability.host.preflight import observe
from tests.fakes.daemon import FakeDaemon


def read_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As mounted read-only, or another user's: what root may write is decided elsewhere."""
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder or not mode & os.W_OK)


def free(mebibytes: Mapping[Path, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """So much is free on each disk, and enough on all others."""

    def usage(folder: str) -> SimpleNamespace:
        free = mebibytes.get(Path(folder), 1 << 20) << 20
        return SimpleNamespace(free=free, total=1 << 40)

    monkeypatch.setattr(shutil, "disk_usage", usage)


def test_an_ordinary_folder_is_no_problem(names: Names, tmp_path: Path) -> None:
    assert disk.refuse(names, str(tmp_path)) == []


def test_the_nearest_folder_that_exists_must_be_writable(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_only(names.folder, monkeypatch)
    (problem,) = map(str, disk.refuse(names, ""))
    assert problem.startswith(f"state folder: {names.folder} cannot be written: the stack keeps")
    assert "Make it writable for this user, or move the project" in problem
    names.directory.mkdir(parents=True)
    assert disk.refuse(names, "") == []


def test_the_folder_of_the_nodes_files_must_be_writable_too(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a run as root it is root's."""
    names.node_directory.mkdir(parents=True)
    read_only(names.node_directory, monkeypatch)
    (problem,) = disk.refuse(names, "")
    assert problem.seen == f"{names.node_directory} cannot be written"


def test_what_is_in_the_place_of_a_folder_is_told(names: Names) -> None:
    names.state_folder.symlink_to(names.folder / "gone")
    (problem,) = map(str, disk.refuse(names, ""))
    assert problem.startswith(
        f"state folder: {names.state_folder} is a link to {names.folder}/gone, where no folder is: "
    )
    assert problem.endswith("Make that folder, or remove the link")
    (names.folder / "gone").mkdir()
    assert disk.refuse(names, "") == [], "another disk may have it"
    names.directory.touch()
    (problem,) = map(str, disk.refuse(names, ""))
    assert problem.startswith(f"state folder: {names.directory} is no folder: ")
    names.directory.unlink()
    names.directory.mkdir()
    names.node_directory.touch()
    (problem,) = map(str, disk.refuse(names, ""))
    assert problem.endswith("Move it away")


def test_files_of_a_run_with_sudo_are_told_and_not_taken_for_lost(
    names: Names, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is the user's, and root's run has replaced files in it, mode 0600."""
    names.node_directory.mkdir(parents=True)
    of_root = [names.record, names.kubeconfig, names.node_directory / "kubelet-tracing.yaml"]
    for file in (names.claim_file, *of_root):
        file.write_text("{}")
    (names.directory / "to nowhere").symlink_to(names.directory / "nowhere")
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) not in of_root)
    (problem,) = map(str, observe(names, Wanted()).problems)
    assert problem == (
        f"state folder: {names.record} and 2 more of its files cannot be read: another user made "
        "them, as root does in a run with sudo, and up would take what they tell of the cluster "
        f'for lost. Run `sudo chown -R "$USER" {names.directory}`, and pulumi without sudo'
    )
    names.kubeconfig.unlink()
    (names.node_directory / "kubelet-tracing.yaml").unlink()
    (alone,) = disk.refuse_unusable(names)
    assert alone.seen == f"{names.record} cannot be read"


def test_a_full_disk_is_told_with_what_is_free(
    names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.mkdir()
    free({names.folder: 63, docker: 64}, monkeypatch)
    (problem,) = map(str, disk.refuse(names, str(docker)))
    assert problem.startswith(f"disk: 63 MiB are free in {names.folder}: the stack's files are")
    assert problem.endswith("Free some space, 64 MiB at least")
    free({docker: 0}, monkeypatch)
    (problem,) = map(str, disk.refuse(names, str(docker)))
    assert problem.startswith(f"disk: 0 MiB are free in {docker}: Docker keeps images and nodes")
    assert "`docker image prune`" in problem


@pytest.mark.parametrize(("percent", "told"), [(4, True), (5.9, True), (6, False), (50, False)])
def test_a_disk_on_which_nodes_evict_pods_is_told(
    daemon: FakeDaemon,
    names: Names,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    percent: float,
    told: bool,
) -> None:
    daemon.info["DockerRootDir"] = str(tmp_path)
    free({tmp_path: 1 + int((1 << 20) * percent / 100)}, monkeypatch)
    observed = observe(names, Wanted())
    assert observed.problems == ()
    warning = f"less than 6 % of the disk of {tmp_path} is free: nodes evict pods when less than 5"
    assert [notice[: len(warning)] for notice in observed.notices] == [warning] * told


@pytest.mark.parametrize(
    ("inodes", "left", "told"),
    [(1 << 20, 3, True), (1 << 20, disk.LEAST_INODES, False), (0, 0, False)],
    ids=["none left", "enough", "no limit"],
)
def test_a_disk_without_inodes_is_full_too(
    names: Names, monkeypatch: pytest.MonkeyPatch, inodes: int, left: int, told: bool
) -> None:
    """Its free space says nothing of it. Btrfs has no number of them, and says 0."""
    shown = SimpleNamespace(f_files=inodes, f_favail=left)
    monkeypatch.setattr(os, "statvfs", lambda _: shown)
    free({}, monkeypatch)
    problems = list(map(str, disk.refuse(names, "")))
    assert problems == told * [
        f"disk: 3 inodes are free in {names.folder}: the stack's files are written there. Remove "
        "files that are not needed, so that 1024 more can be made"
    ]


@pytest.mark.parametrize("root", ["", "/nonexistent/of another machine"])
def test_a_disk_that_is_not_here_is_not_looked_at(names: Names, root: str) -> None:
    assert disk.refuse(names, root) == []


def test_it_stops_a_run(
    daemon: FakeDaemon, names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.info["DockerRootDir"] = str(tmp_path)
    free({tmp_path: 1}, monkeypatch)
    read_only(names.folder, monkeypatch)
    assert [problem.key for problem in observe(names, Wanted()).problems] == [
        "state folder",
        "disk",
    ]


def test_the_folder_of_another_user_is_told_and_not_looked_into(
    names: Names, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a checkout that two users share: the one who came first has .stacks."""
    names.node_directory.mkdir(parents=True)
    see = os.stat

    def denied(path: object, *rest: object, **more: object) -> os.stat_result:
        if str(path).startswith(str(names.directory)):
            raise PermissionError(13, os.strerror(13))
        return see(path, *rest, **more)  # type: ignore[arg-type]

    def read(path: Path, **_: object) -> str:
        path.stat()
        return ""

    monkeypatch.setattr(os, "stat", denied)
    monkeypatch.setattr(os, "lstat", denied)
    monkeypatch.setattr(Path, "read_text", read)
    read_only(names.state_folder, monkeypatch)
    found = observe(names, Wanted(node_volumes=(f"{names.directory}:/theirs",)))
    told = "\n".join(map(str, found.problems))
    assert "another user" not in told, "there may be no folder of that name"
    assert f"{names.state_folder} cannot be written" in told
    assert "does not exist" not in told, "nobody can tell that"
