"""What doctor finds at the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ktrace.checks import machine
from tests.configuration import parsed


@pytest.mark.parametrize(("available", "status"), [(3584, "ok"), (3583, "warning")])
def test_a_stack_needs_a_gibibyte_for_each_node_and_the_limits_of_its_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, available: int, status: str
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal: 99999999 kB\nMemAvailable:   {available * 1024} kB\n")
    monkeypatch.setattr(machine, "Path", lambda _: meminfo)
    settings = parsed(agents=1, jaegerMemoryMiB=1024, collectorMemoryMiB=512)
    (found,) = machine.memory(settings)
    assert found.status == status
    assert found.seen == f"{available} MiB available; this stack may take 3584 MiB"


def test_a_folder_that_this_user_may_not_see_has_no_disk_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker's own folder can be below root's."""
    docker, see = tmp_path / "of-root" / "docker", os.stat

    def denied(path: object, *rest: object, **more: object) -> os.stat_result:
        if str(path) == str(docker):
            raise PermissionError(13, os.strerror(13))
        return see(path, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", denied)
    assert f"free at {Path.cwd()}" in machine.disk(docker).seen
