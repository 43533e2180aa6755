"""The private Docker daemon: everything that is decided before one is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.machine.docker import daemon, processes
from lab.machine.docker.daemon import NoDaemonError
from lab.machine.docker.files import Daemon


def test_everything_of_a_daemon_lies_in_its_folder_and_two_share_no_bridge(tmp_path: Path) -> None:
    one, other = Daemon(tmp_path / "one"), Daemon(tmp_path / "other")
    settings = daemon.settings(one, shim=None)
    assert settings["hosts"] == [f"unix://{tmp_path}/one/docker.sock"]
    paths = [settings[name] for name in ("pidfile", "data-root", "exec-root")]
    assert all(str(path).startswith(f"{tmp_path}/one/") for path in paths)
    assert one.bridge != other.bridge
    assert len(one.bridge) <= 15  # the kernel's limit for a device's name
    assert "runtimes" not in settings


def test_a_daemon_has_these_settings_and_no_other(tmp_path: Path) -> None:
    """The pool of its networks does not overlap with the default pools of another daemon."""
    private = Daemon(tmp_path)
    assert daemon.settings(private, shim=None) == {
        "hosts": [f"unix://{tmp_path}/docker.sock"],
        "pidfile": f"{tmp_path}/pid",
        "data-root": f"{tmp_path}/data",
        "exec-root": f"{tmp_path}/exec",
        "bridge": private.bridge,
        "default-address-pools": [{"base": "10.230.0.0/16", "size": 24}],
        "log-opts": {"max-size": "20m"},
        "oom-score-adjust": 0,
    }


def test_the_shim_is_the_runtime_of_every_container(tmp_path: Path) -> None:
    settings = daemon.settings(Daemon(tmp_path), shim=tmp_path / "shim")
    assert settings["runtimes"] == {settings["default-runtime"]: {"path": str(tmp_path / "shim")}}


def test_a_pid_file_counts_only_while_its_process_is_ours(tmp_path: Path) -> None:
    pid_file, mark = tmp_path / "pid", tmp_path / "daemon.json"
    assert processes.running_pid(pid_file, mark) is None
    pipe, waits = subprocess.PIPE, "print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", waits, mark], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()  # before it runs, it has no command line yet
        pid_file.write_text(f"{process.pid}\n")
        assert processes.running_pid(pid_file, mark) == process.pid
        assert processes.running_pid(pid_file, tmp_path / "another.json") is None
        process.communicate(b"\n")
    assert processes.running_pid(pid_file, mark) is None
    pid_file.write_text(str(os.getpid()))
    assert processes.running_pid(pid_file, mark) is None


def test_a_path_that_is_too_long_for_a_socket_is_refused_and_is_no_lack_of_a_daemon(
    tmp_path: Path,
) -> None:
    with pytest.raises(LabError, match="set RUNTIME_OBSERVABILITY_CACHE to a shorter") as refused:
        daemon.ensure(Daemon(tmp_path / ("x" * 100)))
    assert not isinstance(refused.value, NoDaemonError)


def test_a_user_who_cannot_run_a_daemon_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "install", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoDaemonError, match="dockerd needs root"):
        daemon.ensure(Daemon(tmp_path))


def test_packages_that_cannot_be_installed_mean_no_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoDaemonError, match=r"only root can install.*docker\.io"):
        daemon.ensure(Daemon(tmp_path))
