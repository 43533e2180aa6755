"""The private Docker daemon, as far as it is decided before one is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import daemon, machine
from lab.daemon import Daemon, NoDaemonError
from lab.paths import Cache
from lab.steps import LabError


def test_everything_of_a_daemon_lies_in_its_folder_and_two_share_no_bridge(tmp_path: Path) -> None:
    one, other = Daemon(tmp_path / "one"), Daemon(tmp_path / "other")
    settings = daemon.settings(one, shim=None)
    assert settings["hosts"] == [f"unix://{tmp_path}/one/docker.sock"]
    paths = [settings[name] for name in ("pidfile", "data-root", "exec-root")]
    assert all(str(path).startswith(f"{tmp_path}/one/") for path in paths)
    assert one.bridge != other.bridge
    assert len(one.bridge) <= 15  # the kernel's limit for a device's name
    assert "runtimes" not in settings


def test_the_shim_is_the_runtime_of_every_container(tmp_path: Path) -> None:
    settings = daemon.settings(Daemon(tmp_path), shim=tmp_path / "shim")
    assert settings["runtimes"] == {settings["default-runtime"]: {"path": str(tmp_path / "shim")}}


def test_a_pid_file_counts_only_while_its_process_is_ours(tmp_path: Path) -> None:
    pid_file, mark = tmp_path / "pid", tmp_path / "daemon.json"
    assert daemon.running_pid(pid_file, mark) is None
    pipe, waits = subprocess.PIPE, "print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", waits, mark], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()  # before it runs, it has no command line yet
        pid_file.write_text(f"{process.pid}\n")
        assert daemon.running_pid(pid_file, mark) == process.pid
        assert daemon.running_pid(pid_file, tmp_path / "another.json") is None
        process.communicate(b"\n")
    assert daemon.running_pid(pid_file, mark) is None
    pid_file.write_text(str(os.getpid()))
    assert daemon.running_pid(pid_file, mark) is None


def test_a_path_that_is_too_long_for_a_socket_is_refused_and_is_no_lack_of_a_daemon(
    tmp_path: Path,
) -> None:
    with pytest.raises(LabError, match="set RUNTIME_OBSERVABILITY_CACHE to a shorter") as refused:
        daemon.ensure(Daemon(tmp_path / ("x" * 100)))
    assert not isinstance(refused.value, NoDaemonError)


def test_a_named_daemon_that_is_silent_is_an_error_and_no_lack_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'Cannot connect' >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("RUNTIME_OBSERVABILITY_LAB", "1")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    found = machine.look(Cache(tmp_path))
    assert found.docker_host is None
    (reason,) = (reason for reason in found.reasons if reason.startswith("Docker: "))
    assert reason.startswith("Docker: a private daemon")
    assert reason.endswith("Cannot connect")
    monkeypatch.setenv("DOCKER_HOST", "tcp://build:2375")
    with pytest.raises(LabError, match=r"DOCKER_HOST=tcp://build:2375 does not answer") as silent:
        machine.look(Cache(tmp_path))
    assert not isinstance(silent.value, NoDaemonError)
