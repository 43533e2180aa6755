"""Starts and stops a private Docker daemon."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError
from lab.locks import exclusive
from lab.machine import apt
from lab.machine.docker import host, processes
from lab.machine.docker.files import Daemon

PACKAGES = {
    "dockerd": "docker.io", "runc": "runc", "iptables": "iptables", "ip": "iproute2",
}  # fmt: skip
START_SECONDS = 60
STOP_SECONDS = 30  # dockerd gives its containers 15
NETWORK_POOL = "10.230.0.0/16"
SOCKET_PATH_LIMIT = 107  # unix(7): sun_path holds 108 bytes with its closing zero
RUNTIME_SHIM = Path(__file__).with_name("runtime_shim.py")


class NoDaemonError(LabError):
    """No Docker daemon can run on this machine, or this user cannot run one."""


def answers(daemon: Daemon) -> bool:
    """Whether the daemon's API answers a ping."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(5)
    try:
        connection.sock.connect(str(daemon.socket))
        connection.request("GET", "/_ping")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def settings(daemon: Daemon, shim: Path | None) -> dict[str, object]:
    """Return dockerd's daemon.json; `shim` only where the machine needs it."""
    runtime = {"path": str(shim)}
    return {
        "hosts": [daemon.host],
        "pidfile": str(daemon.pid_file),
        "data-root": str(daemon.data),
        "exec-root": str(daemon.folder / "exec"),
        "bridge": daemon.bridge,
        "default-address-pools": [{"base": NETWORK_POOL, "size": 24}],
        "log-opts": {"max-size": "20m"},
        "oom-score-adjust": 0,
        **({"runtimes": {"lab": runtime}, "default-runtime": "lab"} if shim else {}),
    }


def ensure(daemon: Daemon) -> Daemon:
    """Return the daemon, running: fast when it is up, else it is started.

    Raises NoDaemonError where no daemon can run, and LabError for a cache folder that is too deep.
    """
    if answers(daemon):
        return daemon
    longest = str(daemon.longest_socket)
    if len(longest) > SOCKET_PATH_LIMIT:
        raise LabError(
            f"the cache folder's path is too long: {longest} has {len(longest)} characters, a unix "
            f"socket's path may have {SOCKET_PATH_LIMIT}; set RUNTIME_OBSERVABILITY_CACHE to a "
            "shorter one"
        )
    install()
    if os.geteuid() != 0:
        raise NoDaemonError(
            "dockerd needs root; run as root, or set DOCKER_HOST to a daemon that you can use"
        )
    with exclusive(daemon.lock, "the private Docker daemon"):
        pid = processes.running_pid(daemon.pid_file, daemon.config_file)
        # One that runs and does not answer is starting, or its machine is busy: wait for it first.
        if not pid or not _wait_until_up(daemon, lambda: None if processes.alive(pid) else pid):
            _end_processes(daemon)
            _launch(daemon)
    return daemon


def stop(daemon: Daemon) -> bool:
    """Stop the daemon with its containers and restore the host; False if it was not running.

    Images, containers, volumes and networks stay in the data folder for the next start.
    """
    if not daemon.folder.exists():
        return False
    with exclusive(daemon.lock, "the private Docker daemon"):
        was_up = processes.running_pid(daemon.pid_file, daemon.config_file) is not None
        if not was_up and daemon.pid_file.exists():
            # A killed daemon's containers still run, and only a new daemon can stop them.
            _end_processes(daemon)
            _launch(daemon)
        _end_processes(daemon)
        host.restore(daemon, host.bridges_of(daemon))
        daemon.socket.unlink(missing_ok=True)
    return was_up


def install() -> None:
    """Install the missing Debian packages that a private daemon needs."""
    missing = [
        package for tool, package in PACKAGES.items() if not shutil.which(tool, path=processes.PATH)
    ]
    try:
        apt.install(missing, "a private Docker daemon")
    except LabError as error:
        raise NoDaemonError(str(error)) from error


def _end_processes(daemon: Daemon) -> None:
    """End the daemon and its containerd, and remove their pid files, so that a new one can start.

    dockerd refuses to start while its pid file names any live process, and takes any live process
    named by containerd's pid file for its own containerd (moby 20.10, pkg/pidfile and
    libcontainerd/supervisor/remote_daemon.go).
    """
    for pid_file, mark in (
        (daemon.pid_file, daemon.config_file),
        (daemon.containerd_pid_file, daemon.containerd_config_file),
    ):
        pid = processes.running_pid(pid_file, mark)
        if pid:
            processes.end(pid, STOP_SECONDS)
        pid_file.unlink(missing_ok=True)


def _launch(daemon: Daemon) -> None:
    """Start dockerd as a process that outlives this one."""
    shim: Path | None = None
    if host.lacks_sys_resource():
        # A copy, because the daemon may outlive this checkout.
        shim = daemon.folder / "runtime-shim"
        source = RUNTIME_SHIM.read_text(encoding="utf-8")
        shim.write_text(f"#!{sys.executable} -SE\n{source}", encoding="utf-8")
        shim.chmod(0o755)
    daemon.config_file.write_text(json.dumps(settings(daemon, shim), indent=2), encoding="utf-8")
    try:
        host.record(daemon)
        host.make_bridge(daemon)
    except LabError as error:
        raise NoDaemonError(str(error)) from error
    with daemon.log.open("ab") as log:
        start = log.tell()
        process = subprocess.Popen(
            ["dockerd", "--config-file", str(daemon.config_file)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
            env={**os.environ, "PATH": processes.PATH}, start_new_session=True,
        )  # fmt: skip
    if _wait_until_up(daemon, process.poll):
        return
    tail = daemon.log.read_bytes()[start:].decode(errors="replace").splitlines()[-5:]
    raise NoDaemonError(f"dockerd did not start; log {daemon.log}:\n" + "\n".join(tail))


def _wait_until_up(daemon: Daemon, ended: Callable[[], object]) -> bool:
    """Wait until the API answers; False once the process has ended or the time is up."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and ended() is None:
        if answers(daemon):
            return True
        time.sleep(0.1)
    return False
