"""A private Docker daemon, for a machine that has none.

It is Debian's docker.io run by hand: no service manager, its socket, data, bridge and logs under
one folder of the cache, so that `stop` and deleting that folder leave the machine as it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import packages
from lab.paths import LAB
from lab.steps import LabError, exclusive

PACKAGES = {
    "dockerd": "docker.io", "runc": "runc", "iptables": "iptables", "ip": "iproute2",
}  # fmt: skip
# Root's own tools lie where a user's PATH may not lead.
PATH = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
START_SECONDS = 60
STOP_SECONDS = 30  # dockerd gives its containers 15
# Docker's own defaults are 172.17-31/16 and 192.168/20s, kind's 10.244/16, k3s' 10.42-43/16.
BRIDGE_CANDIDATES = tuple(f"10.{210 + n}.255.1/24" for n in range(20))
NETWORK_POOL = "10.230.0.0/16"
CAP_SYS_RESOURCE = 24  # linux/capability.h
SOCKET_PATH_LIMIT = 107  # unix(7): sun_path holds 108 bytes with its closing zero
IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
LONGEST_SOCKET = "exec/containerd/containerd-debug.sock"


class NoDaemonError(LabError):
    """No Docker daemon can run on this machine, or not by this user."""


@dataclass(frozen=True)
class Daemon:
    """Where one private daemon keeps what is its own, all derived from one folder."""

    folder: Path

    @property
    def socket(self) -> Path:
        """The unix socket of the Docker API."""
        return self.folder / "docker.sock"

    @property
    def host(self) -> str:
        """The value for DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def pid_file(self) -> Path:
        """Written by dockerd itself."""
        return self.folder / "pid"

    @property
    def containerd_pid_file(self) -> Path:
        """Written by dockerd for its containerd child (moby 20.10, libcontainerd/supervisor)."""
        return self.folder / "exec" / "containerd" / "containerd.pid"

    @property
    def config_file(self) -> Path:
        """dockerd's settings; its path on a command line tells our daemon from any other."""
        return self.folder / "daemon.json"

    @property
    def host_before(self) -> Path:
        """The host's forwarding settings as they were before the first start."""
        return self.folder / "host-before.json"

    @property
    def log(self) -> Path:
        """Output of dockerd and its containerd."""
        return self.folder / "log"

    @property
    def bridge(self) -> str:
        """The default bridge; from the folder, so that two caches never share one."""
        return "rolab" + hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]


def answers(daemon: Daemon) -> bool:
    """Whether the daemon's API answers its ping."""
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


def bridges_of(daemon: Daemon) -> list[str]:
    """The bridge devices on the host that are the daemon's, known even when it was killed.

    Docker names a network's bridge after its id, and keeps the ids in this database file.
    """
    store = daemon.folder / "data" / "network" / "files" / "local-kv.db"
    known = store.read_bytes() if store.exists() else b""
    devices = (device.name for device in Path("/sys/class/net").glob("br-*"))
    return [daemon.bridge, *(name for name in devices if name[3:].encode() in known)]


def running_pid(pid_file: Path, mark: Path) -> int | None:
    """The live process of a pid file, if its command line names our own path.

    Pid files outlive a killed daemon, and their number may since belong to a stranger.
    """
    try:
        pid = int(pid_file.read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if str(mark).encode() in arguments else None


def lacks_sys_resource() -> bool:
    """Whether this machine's root can't give CAP_SYS_RESOURCE to a container."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    bounding = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    return not int(bounding.split()[1], 16) >> CAP_SYS_RESOURCE & 1


def settings(daemon: Daemon, shim: Path | None) -> dict[str, object]:
    """dockerd's daemon.json; `shim` only where the machine needs it."""
    runtime = {"path": str(shim)}
    return {
        "hosts": [daemon.host],
        "pidfile": str(daemon.pid_file),
        "data-root": str(daemon.folder / "data"),
        "exec-root": str(daemon.folder / "exec"),
        "bridge": daemon.bridge,
        "default-address-pools": [{"base": NETWORK_POOL, "size": 24}],
        "log-opts": {"max-size": "20m"},
        "oom-score-adjust": 0,
        **({"runtimes": {"lab": runtime}, "default-runtime": "lab"} if shim else {}),
    }


def run(*arguments: str, words: str | None = None) -> str:
    """Run a tool and return its output; its own words are the error."""
    environment = {**os.environ, "PATH": PATH}
    result = subprocess.run(
        arguments, env=environment, input=words, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise LabError(f"{' '.join(arguments)}: {result.stderr.strip() or result.stdout}")
    return result.stdout


def make_bridge(daemon: Daemon) -> None:
    """The default bridge with an address that no route of the machine covers."""
    if Path("/sys/class/net", daemon.bridge).exists():
        return
    routes = [
        ipaddress.ip_network(route["dst"], strict=False)
        for route in json.loads(run("ip", "-4", "-json", "route", "show", "table", "all"))
        if route["dst"] != "default"
    ]
    free = [
        candidate
        for candidate in BRIDGE_CANDIDATES
        if not any(ipaddress.ip_interface(candidate).network.overlaps(route) for route in routes)
    ]
    if not free:
        raise LabError(f"no address is free for a bridge: {BRIDGE_CANDIDATES} are all routed")
    run("ip", "link", "add", "name", daemon.bridge, "type", "bridge")
    run("ip", "address", "add", free[0], "dev", daemon.bridge)
    run("ip", "link", "set", daemon.bridge, "up")


def note_the_host(daemon: Daemon) -> None:
    """Keep what dockerd is going to change on the host, for `stop` to put back."""
    if daemon.host_before.exists():
        return
    note = {
        "ip_forward": IP_FORWARD.read_text().strip(),
        "forward_policy": run("iptables", "-S", "FORWARD").split()[2],
    }
    daemon.host_before.write_text(json.dumps(note), encoding="utf-8")


def another_dockerd_runs() -> bool:
    """Whether the chains named DOCKER and the forwarding settings are somebody else's too."""
    for name in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if name.read_text() == "dockerd\n" and alive(int(name.parent.name)):
                return True
    return False


def restore_the_host(daemon: Daemon, bridges: list[str]) -> None:
    """Take away the bridges, firewall rules and mounts that dockerd leaves behind."""
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        if line.split()[1].startswith(f"{daemon.folder}/"):
            run("umount", "--lazy", line.split()[1])
    for bridge in bridges:
        if Path("/sys/class/net", bridge).exists():
            run("ip", "link", "delete", bridge)
    if not daemon.host_before.exists():
        return
    before = json.loads(daemon.host_before.read_text(encoding="utf-8"))
    shared = another_dockerd_runs()
    ours = bridges if shared else [*bridges, "DOCKER"]
    kept = [
        line for line in run("iptables-save").splitlines() if not any(word in line for word in ours)
    ]
    run("iptables-restore", words="\n".join([*kept, ""]))
    if not shared:
        run("iptables", "-P", "FORWARD", before["forward_policy"])
        IP_FORWARD.write_text(before["ip_forward"])
    daemon.host_before.unlink()


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead but not yet reaped by its parent does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def end(pid: int, grace_seconds: float) -> None:
    """End one process of ours: politely, then surely."""
    for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not alive(pid):
                return
            time.sleep(0.05)
    raise LabError(f"process {pid} survives SIGKILL: it hangs in the kernel")


def clear_the_way(daemon: Daemon) -> None:
    """Remove what a killed daemon left, so that a new one starts.

    dockerd refuses to start while a pid file names any live process, and takes any live process
    named by containerd's pid file for its own containerd (moby 20.10, pkg/pidfile and
    libcontainerd/supervisor/remote_daemon.go).
    """
    containerd_mark = daemon.containerd_pid_file.parent / "containerd.toml"
    for pid_file, mark in (
        (daemon.pid_file, daemon.config_file),
        (daemon.containerd_pid_file, containerd_mark),
    ):
        pid = running_pid(pid_file, mark)
        if pid:
            end(pid, STOP_SECONDS)
        pid_file.unlink(missing_ok=True)


def wait_until_up(daemon: Daemon, ended: Callable[[], object]) -> bool:
    """Wait for the API, until the process has ended."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and ended() is None:
        if answers(daemon):
            return True
        time.sleep(0.1)
    return False


def launch(daemon: Daemon) -> None:
    """Start dockerd as a process that outlives this one."""
    shim: Path | None = None
    if lacks_sys_resource():
        # A copy: the daemon may outlive the checkout that this file lies in.
        shim = daemon.folder / "runtime-shim"
        source = (LAB / "runtime_shim.py").read_text(encoding="utf-8")
        shim.write_text(f"#!{sys.executable} -SE\n{source}", encoding="utf-8")
        shim.chmod(0o755)
    daemon.config_file.write_text(json.dumps(settings(daemon, shim), indent=2), encoding="utf-8")
    try:
        note_the_host(daemon)
        make_bridge(daemon)
    except LabError as error:
        raise NoDaemonError(str(error)) from error
    with daemon.log.open("ab") as log:
        start = log.tell()
        process = subprocess.Popen(
            ["dockerd", "--config-file", str(daemon.config_file)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
            env={**os.environ, "PATH": PATH}, start_new_session=True,
        )  # fmt: skip
    if wait_until_up(daemon, process.poll):
        return
    said = daemon.log.read_bytes()[start:].decode(errors="replace").splitlines()[-5:]
    raise NoDaemonError(f"dockerd did not come up; log {daemon.log}:\n" + "\n".join(said))


def install() -> None:
    """Install what is missing of the Debian packages that a private daemon needs."""
    missing = [package for tool, package in PACKAGES.items() if not shutil.which(tool, path=PATH)]
    try:
        packages.ensure(missing, "a private Docker daemon")
    except LabError as error:
        raise NoDaemonError(str(error)) from error


def ensure(daemon: Daemon) -> Daemon:
    """A running daemon: the one that is up, or a new one. Fast when it is up."""
    if answers(daemon):
        return daemon
    longest = str(daemon.folder / LONGEST_SOCKET)
    if len(longest) > SOCKET_PATH_LIMIT:
        raise LabError(
            f"the cache folder's path is too long: {longest} has {len(longest)} characters, a unix "
            f"socket holds {SOCKET_PATH_LIMIT}; set RUNTIME_OBSERVABILITY_CACHE to a shorter one"
        )
    install()
    if os.geteuid() != 0:
        raise NoDaemonError(
            "dockerd needs root; run as root, or set DOCKER_HOST to a daemon of yours"
        )
    with exclusive(daemon.folder / "lock"):
        pid = running_pid(daemon.pid_file, daemon.config_file)
        # One that is there and silent is starting, or its machine is busy: not yet one to end.
        if not pid or not wait_until_up(daemon, lambda: None if alive(pid) else pid):
            clear_the_way(daemon)
            launch(daemon)
    return daemon


def stop(daemon: Daemon) -> bool:
    """End our own daemon with its containers, and put the host back; False if none was there.

    Images, containers, volumes and networks stay in the data folder for the next start.
    """
    if not daemon.folder.exists():
        return False
    with exclusive(daemon.folder / "lock"):
        was_up = running_pid(daemon.pid_file, daemon.config_file) is not None
        if not was_up and daemon.pid_file.exists():
            # A killed daemon's containers run on, and only a new daemon knows how to end them.
            clear_the_way(daemon)
            launch(daemon)
        clear_the_way(daemon)
        restore_the_host(daemon, bridges_of(daemon))
        daemon.socket.unlink(missing_ok=True)
    return was_up
