"""The cgroups that a killed daemon leaves are removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.machine.docker import cgroups


def test_they_are_removed_from_every_hierarchy_and_nothing_else_is(tmp_path: Path) -> None:
    for folder in ("ours/id/kubepods/pod1", "cpu/ours/id", "memory/ours", "cpu/docker/id"):
        (tmp_path / folder).mkdir(parents=True)
    cgroups.remove("ours", tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"cpu", "cpu/docker", "cpu/docker/id", "memory"}


def test_a_cgroup_that_is_not_empty_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "file").touch()
    with pytest.raises(OSError, match="not empty"):
        cgroups.remove("ours", tmp_path)
