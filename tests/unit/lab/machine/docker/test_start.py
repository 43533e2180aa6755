"""The private Docker daemon: everything that is decided before one is started."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.machine.docker import addresses, programs, start
from lab.machine.docker.daemon import NoDaemonError
from lab.machine.docker.files import Daemon
from lab.paths import Cache

CHOSEN = addresses.choose([])


@pytest.fixture
def cache() -> Iterator[Cache]:
    with tempfile.TemporaryDirectory() as folder:  # short enough for a socket
        yield Cache(Path(folder, "cache"))


def test_everything_of_a_daemon_lies_in_its_folder_and_two_share_no_cgroup(tmp_path: Path) -> None:
    one, other = Daemon(tmp_path / "one"), Daemon(tmp_path / "other")
    settings = start.settings(one, CHOSEN, shim=False)
    assert settings["hosts"] == [f"unix://{tmp_path}/one/docker.sock"]
    paths = [settings[name] for name in ("pidfile", "data-root", "exec-root")]
    assert all(str(path).startswith(f"{tmp_path}/one/") for path in paths)
    assert one.cgroup != other.cgroup
    assert "runtimes" not in settings


def test_a_daemon_has_these_settings_and_no_other(tmp_path: Path) -> None:
    """The pool of its networks does not overlap with the default pools of another daemon."""
    private = Daemon(tmp_path)
    assert start.settings(private, CHOSEN, shim=False) == {
        "hosts": [f"unix://{tmp_path}/docker.sock"],
        "pidfile": f"{tmp_path}/exec/dockerd.pid",
        "data-root": f"{tmp_path}/data",
        "exec-root": f"{tmp_path}/exec",
        "bip": "10.230.254.1/24",
        "default-address-pools": [{"base": "10.230.0.0/17", "size": 24}],
        "userland-proxy-path": f"{tmp_path}/port-proxy",
        "cgroup-parent": f"/{private.cgroup}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "log-opts": {"max-size": "20m"},
        "oom-score-adjust": 0,
    }


def test_the_shim_is_the_runtime_of_every_container(tmp_path: Path) -> None:
    private = Daemon(tmp_path)
    settings = start.settings(private, CHOSEN, shim=True)
    runtime = {"path": str(private.runtime_shim)}
    assert settings["runtimes"] == {settings["default-runtime"]: runtime}


def test_a_path_that_is_too_long_for_a_socket_is_refused_and_is_no_lack_of_a_daemon(
    tmp_path: Path,
) -> None:
    with pytest.raises(LabError, match="set RUNTIME_OBSERVABILITY_CACHE to a shorter") as refused:
        start.ensure(Cache(tmp_path / ("x" * 100)))
    assert not isinstance(refused.value, NoDaemonError)


def test_a_user_who_cannot_run_a_daemon_is_told_so(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoDaemonError, match="dockerd needs root"):
        start.ensure(cache)
    assert not cache.root.exists()


def test_packages_that_cannot_be_unpacked_mean_no_daemon(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Cache) -> dict[str, str]:
        raise LabError("docker.io cannot be fetched")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(programs, "environment", fail)
    with pytest.raises(NoDaemonError, match=r"docker\.io cannot be fetched"):
        start.ensure(cache)


@pytest.fixture
def launched(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the arguments of unshare, which then fails."""
    arguments, tools = tmp_path / "arguments", tmp_path / "tools"
    tools.mkdir()
    (tools / "unshare").write_text(
        f"#!/bin/sh\necho $@ >> {arguments}\necho no rights >&2\nexit 1\n"
    )
    (tools / "unshare").chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(programs, "environment", lambda _: {**os.environ})
    monkeypatch.setattr(addresses, "routes", list)
    return arguments


def test_the_daemon_gets_namespaces_and_copies_of_our_programs(
    cache: Cache, launched: Path
) -> None:
    private = Daemon(cache.docker)
    (private.exec / "containerd").mkdir(parents=True)
    with pytest.raises(NoDaemonError, match=r"dockerd did not start; log .*:\nno rights"):
        start.ensure(cache)
    assert launched.read_text().split() == [
        "--net", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "slave", "--",
        str(private.init), str(private.config_file), str(os.getpid()), "10.230.255.0/24",
    ]  # fmt: skip
    assert not list(private.exec.iterdir())
    for program in (private.init, private.port_proxy, private.runtime_shim):
        interpreter = program.read_text().splitlines()[0].removeprefix("#!").split()
        assert not Path(interpreter[0]).is_symlink()
        imports = [*interpreter, "-c", f"import runpy; runpy.run_path('{program}')"]
        subprocess.run(imports, check=True)


def test_networks_that_dockerd_cannot_read_after_a_kill_are_forgotten(
    cache: Cache, launched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private = Daemon(cache.docker)
    private.networks.parent.mkdir(parents=True)
    private.networks.touch()
    (tmp_path / "tools" / "unshare").write_text(
        f"#!/bin/sh\necho start >> {launched}\n[ -e {private.networks} ] || exit 1\n"
        "echo 'github.com/docker/libnetwork.(*controller).reservePools(0x56?)' >&2\nexit 2\n"
    )
    with pytest.raises(NoDaemonError):
        start.ensure(cache)
    assert not private.networks.exists()
    assert launched.read_text() == "start\n" * 2
    assert "its networks are forgotten" in capsys.readouterr().err


def test_networks_are_kept_where_dockerd_ends_for_another_reason(
    cache: Cache, launched: Path
) -> None:
    private = Daemon(cache.docker)
    private.networks.parent.mkdir(parents=True)
    private.networks.touch()
    with pytest.raises(NoDaemonError):
        start.ensure(cache)
    assert private.networks.exists()
    assert len(launched.read_text().splitlines()) == 1
