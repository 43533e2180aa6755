"""What a stack could leave behind on a machine without anybody noticing, as sets and numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.live.stack import Stack

_OF_PULUMI = (".pulumi/history", ".pulumi/backups")
"""Pulumi's file backend adds an entry to each for every update, by design, and removes none."""
_PYCACHE = "__pycache__"
"""Python compiles a module at its first import, whenever that is."""
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Footprint:
    """What is there at one moment."""

    docker: frozenset[str]
    """Ids of all images, and names of all volumes that no container uses."""
    files: frozenset[str]
    """Files in the stack's project, in its home and in its folder of temporary files."""
    counts: dict[str, int]
    """Numbers of the whole machine, which other programs change too."""

    @classmethod
    def of(cls, stack: Stack, *folders: Path) -> Footprint:
        images = stack.docker("images", "--all", "--quiet", "--no-trunc").split()
        return cls(
            docker=frozenset({*images, *stack.docker.volumes("dangling=true")}),
            files=frozenset(_files(stack.folder, *folders)),
            counts={
                "inotify instances": sum(1 for _ in _inotify_instances()),
                "mounts": _in_each_namespace("mnt", _mounts),
                "network devices": _in_each_namespace("net", _network_devices),
                "cgroups": sum(len(folders) for _, folders, _ in os.walk(_CGROUPS)),
            },
        )


def checkpoint_bytes(stack: Stack) -> dict[str, int]:
    """The size of the stack's state, and of its newest entry in Pulumi's history."""
    backend = stack.folder / ".pulumi"
    (state,) = backend.glob(f"stacks/**/{stack.name}.json")
    newest = max(
        backend.glob(f"history/**/{stack.name}/*.checkpoint.json"),
        key=lambda path: path.stat().st_mtime_ns,
    )
    return {"state": state.stat().st_size, "newest of the history": newest.stat().st_size}


def _files(*folders: Path) -> Iterator[str]:
    for folder in folders:
        for place, _, names in os.walk(folder):
            inside = Path(place).relative_to(folder)
            if inside.as_posix().startswith(_OF_PULUMI) or _PYCACHE in inside.parts:
                continue
            yield from (f"{folder}/{inside / name}" for name in names)


def _processes() -> Iterator[Path]:
    return Path("/proc").glob("[0-9]*")


def _inotify_instances() -> Iterator[str]:
    for process in _processes():
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    if "inotify" in (target := str(descriptor.readlink())):
                        yield target


def _in_each_namespace(kind: str, count: Callable[[Path], int]) -> int:
    """The sum over all namespaces of a kind: a private Docker daemon has its own."""
    found: dict[str, int] = {}
    for process in _processes():
        with suppress(OSError):
            namespace = str((process / "ns" / kind).readlink())
            if namespace not in found:
                found[namespace] = count(process)
    return sum(found.values())


def _mounts(process: Path) -> int:
    return len((process / "mountinfo").read_text().splitlines())


def _network_devices(process: Path) -> int:
    return len((process / "net" / "dev").read_text().splitlines())
