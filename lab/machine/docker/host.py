"""The bridge, firewall and mounts of the host: made for a private daemon, and restored."""

from __future__ import annotations

import contextlib
import ipaddress
import json
from pathlib import Path

from lab.errors import LabError
from lab.machine.docker.files import Daemon
from lab.machine.docker.processes import alive, run

# Docker's own defaults are 172.17-31/16 and 192.168/20s, kind's 10.244/16, k3s' 10.42-43/16.
BRIDGE_CANDIDATES = tuple(f"10.{210 + n}.255.1/24" for n in range(20))
IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
CAP_SYS_RESOURCE = 24  # linux/capability.h


def lacks_sys_resource() -> bool:
    """Whether this machine's root cannot give CAP_SYS_RESOURCE to a container."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    bounding = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    return not int(bounding.split()[1], 16) >> CAP_SYS_RESOURCE & 1


def bridges_of(daemon: Daemon) -> list[str]:
    """Return the daemon's bridge devices on the host, even when the daemon was killed.

    Docker names a network's bridge after its id, and keeps the ids in this database file.
    """
    store = daemon.data / "network" / "files" / "local-kv.db"
    known = store.read_bytes() if store.exists() else b""
    devices = (device.name for device in Path("/sys/class/net").glob("br-*"))
    return [daemon.bridge, *(name for name in devices if name[3:].encode() in known)]


def make_bridge(daemon: Daemon) -> None:
    """Make the default bridge, with an address that no route of the machine covers."""
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
        raise LabError(
            "no address is free for the private daemon's bridge: this machine has routes to all of "
            f"{', '.join(BRIDGE_CANDIDATES)}"
        )
    run("ip", "link", "add", "name", daemon.bridge, "type", "bridge")
    run("ip", "address", "add", free[0], "dev", daemon.bridge)
    run("ip", "link", "set", daemon.bridge, "up")


def record(daemon: Daemon) -> None:
    """Store the host's settings that dockerd is going to change, for `restore`."""
    if daemon.host_before.exists():
        return
    settings = {
        "ip_forward": IP_FORWARD.read_text().strip(),
        "forward_policy": run("iptables", "-S", "FORWARD").split()[2],
    }
    daemon.host_before.write_text(json.dumps(settings), encoding="utf-8")


def restore(daemon: Daemon, bridges: list[str]) -> None:
    """Remove the mounts, bridges and firewall rules that dockerd leaves, and restore settings."""
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
    run("iptables-restore", stdin="\n".join([*kept, ""]))
    if not shared:
        run("iptables", "-P", "FORWARD", before["forward_policy"])
        IP_FORWARD.write_text(before["ip_forward"])
    daemon.host_before.unlink()


def another_dockerd_runs() -> bool:
    """Whether another dockerd uses the chains named DOCKER and the forwarding settings too."""
    for name in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if name.read_text() == "dockerd\n" and alive(int(name.parent.name)):
                return True
    return False
