"""Undoes what a daemon of this project did to the host when it had no namespaces of its own.

Such a daemon is used until it is stopped; `make lab-stop`, `make clean` and the next start do this
once. It can be removed when no such daemon is left anywhere.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from lab.machine.docker.files import Daemon
from lab.machine.docker.processes import run

IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def restore(daemon: Daemon) -> None:
    """Remove its mounts, bridges and firewall rules, and restore the settings that it recorded.

    A rule is removed if it names one of its bridges; Docker's chains stay, which have no effect
    without such rules. The settings stay while another dockerd runs, which needs them too.
    """
    recorded = daemon.folder / "host-before.json"
    if not recorded.exists():
        return
    for line in reversed(Path("/proc/mounts").read_text(encoding="utf-8").splitlines()):
        if line.split()[1].startswith(f"{daemon.folder}/"):
            run("umount", "--lazy", line.split()[1])
    store = daemon.data / "network" / "files" / "local-kv.db"
    known = store.read_bytes() if store.exists() else b""
    bridges = [
        name
        for name in sorted(devices())
        if name == f"rolab{daemon.hash}" or (name[:3] == "br-" and name[3:].encode() in known)
    ]
    for bridge in bridges:
        run("ip", "link", "delete", bridge)
    rules = run("iptables-save").splitlines()
    kept = [rule for rule in rules if not any(bridge in rule for bridge in bridges)]
    run("iptables-restore", stdin="\n".join([*kept, ""]))
    if not another_dockerd_runs():
        before = json.loads(recorded.read_text(encoding="utf-8"))
        run("iptables", "-P", "FORWARD", before["forward_policy"])
        IP_FORWARD.write_text(before["ip_forward"], encoding="utf-8")
    recorded.unlink()


def devices() -> set[str]:
    """Return the names of the host's network devices."""
    return {device.name for device in Path("/sys/class/net").iterdir()}


def another_dockerd_runs() -> bool:
    """Whether a dockerd runs, which may need the settings too."""
    for name in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if name.read_text() == "dockerd\n":
                return True
    return False
