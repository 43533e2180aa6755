"""What is used of a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import LabError
from lab.machine import machine
from lab.machine.docker.daemon import NoDaemonError
from lab.paths import Cache


def test_a_named_daemon_that_is_silent_is_an_error_and_no_lack_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'Cannot connect' >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("RUNTIME_OBSERVABILITY_LAB", "1")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    found = machine.examine(Cache(tmp_path))
    assert found.docker_host is None
    (reason,) = (reason for reason in found.reasons if reason.startswith("Docker: "))
    assert reason.startswith("Docker: a private daemon")
    assert reason.endswith("Cannot connect")
    monkeypatch.setenv("DOCKER_HOST", "tcp://build:2375")
    with pytest.raises(LabError, match=r"DOCKER_HOST=tcp://build:2375 does not answer") as silent:
        machine.examine(Cache(tmp_path))
    assert not isinstance(silent.value, NoDaemonError)
