"""A Debian root file system in one tar, made of packages: without root, chroot or debootstrap.

It has the packages' files with their owners and modes, and of what their maintainer scripts do the
few things that a node needs.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import IO

from lab.machine import apt

MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""The folders of the root that are links into usr/ (Debian's usrmerge)."""
COPIED = {
    "usr/share/base-passwd/passwd.master": "etc/passwd",
    "usr/share/base-passwd/group.master": "etc/group",
    "usr/share/libc-bin/nsswitch.conf": "etc/nsswitch.conf",
}
LINKS = {
    **{
        f"usr/sbin/{family}{action}": "xtables-nft-multi"
        for family in ("iptables", "ip6tables")
        for action in ("", "-save", "-restore")
    },
    "usr/bin/awk": "mawk",
    "usr/bin/which": "which.debianutils",
    "var/run": "/run",
    "var/lock": "/run/lock",
}
AUTHORITIES, BUNDLE = "usr/share/ca-certificates/*.crt", "etc/ssl/certs/ca-certificates.crt"


def write(
    packages: Sequence[Path],
    is_unwanted: Callable[[str], bool],
    links: Mapping[str, str],
    stream: IO[bytes],
) -> None:
    """Write the files of packages as a tar whose names begin with `./`.

    Paths that are unwanted are left out; `links` are symbolic links by their path, in place of the
    packages' files there. The unpacked tar of each package is written next to the package.
    """

    def unpack(package: Path) -> None:
        with package.with_suffix(".tar").open("wb") as file:
            command = ["dpkg-deb", "--fsys-tarfile", str(package)]
            subprocess.run(command, check=True, stdout=file, stderr=subprocess.PIPE)

    apt.in_parallel(unpack, packages)
    made = {**LINKS, **links}
    ours = [*MERGED, *made, *COPIED.values(), BUNDLE]
    copied: dict[str, bytes] = {}
    authorities: list[bytes] = []
    written: set[str] = set()
    with tarfile.open(fileobj=stream, mode="w|") as tree:
        for package in packages:
            for entry, content in _entries(package.with_suffix(".tar")):
                if content and entry.name in COPIED:
                    copied[COPIED[entry.name]] = content.read()
                    content.seek(0)
                if content and fnmatch(entry.name, AUTHORITIES):
                    authorities.append(content.read())
                    content.seek(0)
                if entry.name in written or is_within(entry.name, ours) or is_unwanted(entry.name):
                    continue
                written.add(entry.name)
                entry.name = f"./{entry.name}"
                tree.addfile(entry, content)
        made.update({name: f"usr/{name}" for name in MERGED if f"usr/{name}" in written})
        for name, target in made.items():
            tree.addfile(_new(name, 0o777, tarfile.SYMTYPE, target))
        for name, data in {**copied, BUNDLE: b"".join(authorities)}.items():
            entry = _new(name, 0o644)
            entry.size = len(data)
            tree.addfile(entry, io.BytesIO(data))


def is_within(name: str, patterns: Iterable[str]) -> bool:
    """Whether a path matches a pattern, or lies in a folder that does."""
    return any(fnmatch(name, pattern) or fnmatch(name, f"{pattern}/*") for pattern in patterns)


def in_usr(name: str) -> str:
    """Return where a package's file is in a tree with merged folders, without a leading `./`."""
    path = os.path.normpath(name).lstrip("/")
    return f"usr/{path}" if path.partition("/")[0] in MERGED else path


def _entries(package: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    with tarfile.open(package) as files:
        for entry in files:
            # In base-files of newer releases these are the links themselves.
            if entry.issym() and os.path.normpath(entry.name) in MERGED:
                continue
            entry.name = in_usr(entry.name)
            if entry.islnk():
                entry.linkname = f"./{in_usr(entry.linkname)}"
            yield entry, files.extractfile(entry) if entry.isreg() else None


def _new(name: str, mode: int, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(f"./{name}")
    entry.mode, entry.type, entry.linkname = mode, kind, target
    entry.uname = entry.gname = "root"
    return entry
