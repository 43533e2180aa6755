"""A machine without Docker is the same before a private daemon was there and after it is removed.

The machine's own Docker is hidden in a mount namespace in which the lab's commands run, so that
they unpack every package; /etc, /opt and /run are as if there never had been one. The machine is
looked at from outside.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.build.workbench import Workbench
from lab.machine import apt
from lab.machine.docker import kernel_settings
from lab.machine.docker.files import Daemon
from lab.paths import Cache
from tests.live.docker import Docker
from tests.live.stack import copy_files
from tests.live.waiting import until

HIDDEN = ("dockerd", "containerd", "runc", "iptables", "docker", "slirp4netns", "docker-proxy")
PACKAGES = {"docker.io", "docker-cli", "containerd", "runc", "iptables", "slirp4netns"}
LOOKED_AT = ("/etc", "/opt", "/run", "/srv", "/usr", "/var", "/var/log/apt")
"""The folders in which no file may change, but for those that the machine itself writes."""
BUSY = ("/run/user", "/run/systemd", "/run/udev", "/var/log", "/var/lib/systemd")
OF_TESTS = "/pytest-of-"
"""In the paths of the folders in which the tests beside these mount something for a while."""
START = "from lab.machine.docker import start; start.ensure(start.Cache.of_this_user())"
STOP = "from lab.commands import stop; stop.run(stop.Cache.of_this_user())"
CLEAN = "from lab.commands import clean; clean.run(clean.Cache.of_this_user())"
SERVE = "mkdir /w; echo from the container > /w/page; exec httpd -f -p {port} -h /w"
AT_ONCE = "--stop-timeout=0"  # its first process has no handler of SIGTERM
HERE = "127.0.0.1"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="a private Docker daemon needs root"),
    pytest.mark.skipif(not shutil.which("apt-get"), reason="its packages come from Debian"),
]


class Machine:
    """This machine, on which the lab's commands find no Docker."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.cache = Cache(folder / "c")
        self.daemon = Daemon(self.cache.docker)
        self.before: dict[str, Any] = {}
        self.reference = folder / "reference"
        self.reference.touch()
        time.sleep(0.01)  # the clock of files is coarse
        self.seen = folder / "seen"
        self._hiding = folder / "hide"
        # `clean` removes the .venv of its own project.
        self._project = copy_files(folder / "project")
        nothing, status = folder / "nothing", folder / "status"
        nothing.touch()
        status.write_text(_status_without(PACKAGES, folder))
        fresh = [f"mount -n --rbind '{self.seen / name}' /{name}" for name in ("etc", "run")]
        self.seen.mkdir()
        (self.seen / "run").mkdir()
        shutil.copytree("/etc", self.seen / "etc", symlinks=True)
        shutil.rmtree(self.seen / "etc/docker", ignore_errors=True)
        (self.seen / "etc/resolv.conf").unlink(missing_ok=True)
        shutil.copy("/etc/resolv.conf", self.seen / "etc")
        for entry in Path("/opt").iterdir():
            if entry.is_dir() and entry.name != "containerd":
                place = self.seen / "opt" / entry.name
                place.mkdir(parents=True)
                fresh.append(f"mount -n --rbind /opt/{entry.name} '{place}'")
        (self.seen / "opt").mkdir(exist_ok=True)
        fresh.append(f"mount -n --rbind '{self.seen / 'opt'}' /opt")
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        places = {
            os.path.realpath(f"{place}/{tool}") for place in path.split(":") for tool in HIDDEN
        }
        mounts = [
            f"mount -n --bind '{nothing}' '{place}'" for place in places if Path(place).exists()
        ]
        self._hiding.write_text(
            "\n".join(
                [
                    "set -e",
                    f"mount -n --bind '{status}' {apt.INSTALLED}",
                    *mounts,
                    *fresh,
                    'exec "$@"',
                ]
            )
        )

    @property
    def docker(self) -> Docker:
        (program,) = self.cache.steps.glob("docker-programs-*/cli")
        return Docker({"PATH": f"{program}:{os.environ['PATH']}", "DOCKER_HOST": self.daemon.host})

    def run(self, code: str) -> str:
        """Run a line of Python where Docker is hidden; return what it wrote to stderr."""
        done = subprocess.run(
            ["unshare", "--mount", "sh", self._hiding, sys.executable, "-c", code],
            cwd=self._project,
            env={**os.environ, "RUNTIME_OBSERVABILITY_CACHE": str(self.cache.root)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def state(self) -> dict[str, Any]:
        """What a program could have changed on this machine."""
        return {
            "firewall": [_firewall("iptables-legacy-save"), _firewall("iptables-nft-save")],
            "network settings": {
                str(path): _read(path)
                for path in sorted(Path("/proc/sys/net").rglob("*"))
                if path.name != "nf_conntrack_count"  # of the machine's own connections
            },
            "kernel settings": {
                name: _read(kernel_settings.SYSCTLS / name) for name in kernel_settings.OF_A_KUBELET
            },
            "devices": sorted(device.name for device in Path("/sys/class/net").iterdir()),
            "addresses": [_read(Path("/proc/net", name)) for name in ("fib_trie", "if_inet6")],
            "routes": [_read(Path("/proc/net", name)) for name in ("route", "ipv6_route")],
            "mounts": [
                line
                for line in _read(Path("/proc/self/mountinfo")).splitlines()
                if OF_TESTS not in line
            ],
            "cgroups": self._cgroups("*/"),
            "cgroups of controllers": self._cgroups("*/*/"),
            "security": sorted(map(str, Path("/sys/kernel/security").glob("*"))),
            "packages": _read(apt.INSTALLED),
            "files": {
                str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode)
                for path in sorted(self.seen.rglob("*"))
            },
        }

    def _cgroups(self, pattern: str) -> list[str]:
        """Without those of the containers of another private daemon, which come and go."""
        own, stem = self.daemon.cgroup, self.daemon.cgroup.rpartition("-")[0]
        others = re.compile(f"/(?!{own}/){stem}-[^/]+/.")
        found = map(str, Path("/sys/fs/cgroup").glob(pattern))
        return sorted(path for path in found if not others.search(path))

    def changed_files(self) -> list[str]:
        """The files in LOOKED_AT whose content or attributes changed since this object exists."""
        folders = [folder for folder in LOOKED_AT if Path(folder).is_dir()]
        pruned = " -o ".join(f"-path {folder}" for folder in BUSY).split()
        newer = ["-cnewer", str(self.reference), "-print"]
        found = subprocess.run(
            ["find", *folders, "-xdev", "(", *pruned, ")", "-prune", "-o", *newer],
            capture_output=True,
            text=True,
            check=False,
        )
        return found.stdout.splitlines()

    def processes(self) -> list[str]:
        """The command lines of the daemon and of everything below it."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            words = _read(folder / "cmdline").replace("\0", " ")
            if str(self.daemon.folder) in words or self.daemon.cgroup in _read(folder / "cgroup"):
                found.append(words)
        return found


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _firewall(tool: str) -> str:
    """The rules of the machine, without counters and times."""
    if not shutil.which(tool):
        return "unknown"
    rules = subprocess.run([tool], capture_output=True, text=True, check=False).stdout
    return re.sub(r"^#.*\n|\[\d+:\d+\]", "", rules, flags=re.MULTILINE)


def _status_without(packages: set[str], folder: Path) -> str:
    """The machine's dpkg status without packages and all that needs them."""
    stanzas = apt.INSTALLED.read_text().split("\n\n")
    name = re.compile(r"^Package: (\S+)$", re.MULTILINE)
    installed = {found[1] for found in map(name.search, stanzas) if found}
    ours = ("-o", "Debug::NoLocking=1", "-o", f"Dir::Log={folder}")
    simulate = ["apt-get", "--simulate", *ours, "remove"]
    output = subprocess.run(
        [*simulate, *(packages & installed)], capture_output=True, text=True, check=True
    ).stdout
    removed = set(re.findall(r"^Remv (\S+)", output, re.MULTILINE))
    kept = [s for s in stanzas if not ((found := name.search(s)) and found[1] in removed)]
    return "\n\n".join(kept)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="ro", dir="/tmp"))
    found = Machine(folder)
    yield found
    found.run(STOP)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def prepared(machine: Machine) -> Path:
    """The folder of `machine` with the daemon's programs and, in image.tar, busybox.

    All of it is made after the machine was looked at.
    """
    machine.state()  # listing a firewall's rules may make its empty tables
    machine.before = machine.state()
    folder = machine.cache.root.parent
    image = folder / "image"
    (image / "bin").mkdir(parents=True)
    with (folder / "log").open("wb") as log:
        bench = Workbench(folder, {}, machine.cache, log)
        packages = apt.fetch(bench, ["busybox-static"], folder / "apt", installed=apt.NOTHING)
    apt.unpack([path for path in packages if "busybox" in path.name], folder / "tree")
    (program,) = folder.glob("tree/**/bin/busybox")
    shutil.copy(program, image / "bin")
    for applet in ("sh", "httpd", "mkdir", "sleep", "wget"):
        (image / "bin" / applet).symlink_to("busybox")
    subprocess.run(["tar", "-C", image, "-cf", folder / "image.tar", "bin"], check=True)
    machine.run(START)
    return folder


@pytest.fixture
def other(machine: Machine, prepared: Path) -> Iterator[Machine]:
    """The same machine with another cache."""
    found = Machine(prepared / "o")
    shutil.copytree(machine.cache.steps, found.cache.steps, symlinks=True)
    yield found
    found.run(STOP)


def _page(address: str, port: int) -> str:
    """The page that a container serves, or nothing."""
    request = f"GET /page HTTP/1.0\r\nHost: {address}\r\n\r\n".encode()
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            connection.sendall(request)
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    except OSError:
        return ""
    return answer.decode().partition("\r\n\r\n")[2]


def _differences(machine: Machine) -> dict[str, Any]:
    """What is not as it was before, by its kind, with the two values."""
    found: dict[str, Any] = {}
    for kind, after in machine.state().items():
        before = machine.before[kind]
        if before == after:
            continue
        found[kind] = (before, after)
        if isinstance(after, dict):
            names = [name for name in after | before if after.get(name) != before.get(name)]
            found[kind] = {name: (before.get(name), after.get(name)) for name in names}
    return found


def _dockerd(machine: Machine) -> int:
    command = ["dockerd", "--config-file", str(machine.daemon.config_file)]
    (found,) = (
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if _read(path).split("\0")[:3] == command
    )
    return found


def _free_port() -> int:
    with socket.create_server((HERE, 0)) as server:
        return int(server.getsockname()[1])


def _own_address() -> str:
    """An address of this machine that other machines know, or a second one of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            any_socket.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "127.0.0.2"
        return str(any_socket.getsockname()[0])


def _serve(machine: Machine, prepared: Path, name: str, *options: str, port: int = 80) -> None:
    machine.docker("import", str(prepared / "image.tar"), "tools")
    machine.docker(
        "run", "--detach", f"--name={name}", AT_ONCE, *options, "tools",
        "sh", "-c", SERVE.format(port=port),
    )  # fmt: skip


def test_two_daemons_do_not_notice_each_other(
    machine: Machine, other: Machine, prepared: Path
) -> None:
    other.run(START)
    ports = {daemon: _free_port() for daemon in (machine, other)}
    for daemon, port in ports.items():
        _serve(daemon, prepared, "twin", f"--publish={HERE}:{port}:80")
    for port in ports.values():
        until("the container's page", partial(_page, HERE, port), 10)
    other.run(CLEAN)
    assert [_page(HERE, port) for port in ports.values()] == ["from the container\n", ""]
    assert other.processes() == []


def test_a_daemon_that_comes_and_goes_changes_nothing_on_the_machine(
    machine: Machine, prepared: Path
) -> None:
    (programs,) = machine.cache.steps.glob("docker-programs-*")
    assert (programs / "tree/usr/sbin/dockerd").exists()
    docker, port, hidden = machine.docker, _free_port(), 8081
    docker("network", "create", "apart")
    publish = f"--publish={HERE}:{port}:80"
    _serve(machine, prepared, "web", publish, "--restart=unless-stopped", "--network=apart")
    _serve(machine, prepared, "secret", port=hidden)
    until("the container's page", lambda: _page(HERE, port) == "from the container\n", 10)
    assert _page("127.0.0.2", port) == _page(_own_address(), port) == ""
    for name, inside in (("web", 80), ("secret", hidden)):
        networks = docker.inspect(name)["NetworkSettings"]["Networks"]
        (address,) = (network["IPAddress"] for network in networks.values())
        assert _page(address, inside) == ""
    cgroups = {"cgroups", "cgroups of controllers"}
    assert set(_differences(machine)) <= cgroups

    # As a kubelet does.
    set_panic = f"echo {kernel_settings.OF_A_KUBELET['kernel/panic']} > /proc/sys/kernel/panic"
    docker("run", "--rm", "--privileged", "tools", "sh", "-c", set_panic)
    os.kill(_dockerd(machine), signal.SIGKILL)
    until("the end of everything", lambda: not machine.processes(), 10)
    assert _page(HERE, port) == ""
    machine.run(START)
    until("the page again", lambda: _page(HERE, port) == "from the container\n", 10)

    machine.run(CLEAN)
    assert machine.processes() == []
    assert not machine.cache.root.exists()
    assert _differences(machine) == {}
    assert machine.changed_files() == []
