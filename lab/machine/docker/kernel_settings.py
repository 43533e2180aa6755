"""Settings of the kernel that every kubelet changes, also one in a container.

They have no namespace, so they are recorded before the daemon starts and restored after it stops.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from lab.machine.docker.files import Daemon

SYSCTLS = Path("/proc/sys")
# kubernetes v1.34 pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables
OF_A_KUBELET = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def record(daemon: Daemon, sysctls: Path = SYSCTLS) -> None:
    """Store the settings, unless those before an earlier start are still stored."""
    if daemon.settings_before.exists():
        return
    found = {name: _read(sysctls / name) for name in OF_A_KUBELET if (sysctls / name).exists()}
    daemon.settings_before.write_text(json.dumps(found), encoding="utf-8")


def restore(daemon: Daemon, sysctls: Path = SYSCTLS) -> None:
    """Restore the settings that have a kubelet's value now; another value is the user's own."""
    with contextlib.suppress(FileNotFoundError):
        before = json.loads(daemon.settings_before.read_text(encoding="utf-8"))
        for name, value in before.items():
            if value != _read(sysctls / name) == OF_A_KUBELET[name]:
                (sysctls / name).write_text(value)
        daemon.settings_before.unlink()


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()
