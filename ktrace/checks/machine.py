"""This machine's kernel, disk and memory, as far as they can be read."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from ktrace.checks.finding import Finding
from runtime_observability.core.settings.model import Settings

_INOTIFY = {"max_user_watches": 524_288, "max_user_instances": 512}
"""What kind recommends for several nodes (kind site/content/docs/user/known-issues.md)."""
_NODE_MIB = 1024
_GIB = 1 << 30
_DISK_REQUIRED, _DISK_COMFORTABLE = 3 * _GIB, 10 * _GIB
_DISK_SHARE = 0.05
"""k3s evicts pods when a smaller share of the image disk is free (k3s docs: eviction-hard)."""


def inotify() -> Iterator[Finding]:
    """One finding for each limit."""
    for name, enough in _INOTIFY.items():
        file = Path("/proc/sys/fs/inotify") / name
        if not file.is_file():
            continue
        value = int(file.read_text(encoding="utf-8"))
        if value >= enough:
            yield Finding(f"inotify {name}", "ok", str(value))
        else:
            yield Finding(
                f"inotify {name}",
                "warning",
                str(value),
                'with several nodes or stacks kubelets fail with "too many open files"',
                f"`sudo sysctl -w fs.inotify.{name}={enough}`",
            )


def disk(folder: Path) -> Finding:
    """The disk of ``folder``, or of the current folder where this user sees no ``folder``."""
    # Path.exists fails below a folder that may not be read.
    place = folder if os.path.exists(folder) else Path.cwd()  # noqa: PTH110
    usage = shutil.disk_usage(place)
    free_share = usage.free / usage.total
    seen = f"{usage.free / _GIB:.1f} GiB ({free_share:.0%}) free at {place}"
    if usage.free >= _DISK_COMFORTABLE and free_share >= 2 * _DISK_SHARE:
        return Finding("disk", "ok", seen)
    short = usage.free < _DISK_REQUIRED or free_share < _DISK_SHARE
    return Finding(
        "disk",
        "failure" if short else "warning",
        seen,
        f"below {_DISK_SHARE:.0%} the kubelet evicts pods; images need 2 GiB",
        "`docker system df` shows what takes the space, `docker system prune` frees it",
    )


def memory(settings: Settings) -> Iterator[Finding]:
    """One finding, or none where the kernel does not tell the available memory."""
    file = Path("/proc/meminfo")
    match = (
        re.search(r"MemAvailable:\s+(\d+) kB", file.read_text(encoding="utf-8"))
        if file.is_file()
        else None
    )
    if not match:
        return
    available = int(match[1]) // 1024
    nodes = (settings.servers + settings.agents) * _NODE_MIB
    jaeger = settings.jaeger_memory_mib if settings.has_jaeger else 0
    needed = jaeger + settings.collector_memory_mib + nodes
    seen = f"{available} MiB available; this stack may take {needed} MiB"
    if available >= needed:
        yield Finding("memory", "ok", seen)
        return
    yield Finding(
        "memory",
        "warning",
        seen,
        "the kernel kills nodes or Jaeger when memory runs out",
        "`pulumi config set jaegerMemoryMiB 512` and fewer jaegerMaxTraces, or fewer agents",
    )
