"""An official release of a command-line tool, and the build step that fetches it."""

from __future__ import annotations

import re
import shutil
import sys
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lab.build.steps import Step
from lab.build.workbench import Workbench
from lab.errors import LabError
from lab.releases.platforms import Platform
from runtime_observability.host import downloads

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Release:
    """One version of a tool, with the address of its file for each platform.

    In addresses, `{version}`, `{system}` and `{architecture}` stand for their values.
    """

    tool: str
    """The name of the program."""
    version: str
    file: str
    """The address of the file."""
    checksums: str
    """The address of its checksum: alone, or in a list of `SHA256  NAME`."""
    mebibytes: int
    """A size that the file never has, in MiB."""
    folder: str = ""
    """Where the file is an archive: the folder in it that holds the programs. Else it is one."""
    architectures: Mapping[str, str] = field(default_factory=dict)
    """The architectures that have another name in this release's addresses."""
    pinned: Mapping[str, str] = field(default_factory=dict)
    """The known sha256 of files, by their address."""

    def address(self, platform: Platform) -> str:
        """Return the address of the platform's file."""
        return self._filled(self.file, platform)

    def addresses(self, platform: Platform) -> tuple[str, ...]:
        """Return every address that a fetch needs: none for a checksum that is pinned."""
        file = self.address(platform)
        if file in self.pinned:
            return (file,)
        return (file, self._filled(self.checksums, platform))

    def step(self, platform: Platform) -> Step:
        """Return the step whose output is a folder for PATH with the release's programs."""
        inputs = (self.version, *self.addresses(platform), str(platform))
        pinned = self.pinned.get(self.address(platform), "")
        return Step(
            f"{self.tool}-release",
            (*inputs, pinned, self.folder),
            partial(self._fetch, platform),
        )

    def _fetch(self, platform: Platform, bench: Workbench) -> None:
        """Download, verify and unpack; whatever fails leaves nothing that is used."""
        address = self.address(platform)
        file = bench.out / f".{self.tool}.download"

        def report(line: str) -> None:
            text = f"{self.tool} {self.version}: {line}"
            bench.log.write(f"{text}\n".encode())
            print(text, file=sys.stderr, flush=True)

        bench.log.write(f"fetching {address}\n".encode())
        try:
            downloads.save(
                address,
                file,
                sha256=self._sha256(platform),
                mebibytes=self.mebibytes,
                report=report,
            )
        except downloads.DownloadError as error:
            raise LabError(
                f"{error}. Or put a {self.tool} of your own on PATH, {self.version} for instance"
            ) from error
        if self.folder:
            _unpack(file, self.folder, bench.out)
            file.unlink()
        else:
            file.rename(bench.out / self.tool)
        program = bench.out / self.tool
        if not program.is_file():
            raise LabError(f"{address} has no {self.folder}/{self.tool}")
        program.chmod(0o755)

    def _sha256(self, platform: Platform) -> str:
        """Return the pinned checksum, else the one that the release's own site serves.

        The latter proves that the file arrived as its site serves it, which TLS proves as well. It
        is no proof against the site, nor against a mirror that serves both: pin where a checksum
        is known.
        """
        address = self.address(platform)
        if address in self.pinned:
            return self.pinned[address]
        list_address = self._filled(self.checksums, platform)
        found = checksum_of(address.rpartition("/")[2], downloads.text(list_address))
        if found is None:
            raise LabError(f"{list_address} has no sha256 of {address.rpartition('/')[2]}")
        return found

    def _filled(self, address: str, platform: Platform) -> str:
        return address.format(
            version=self.version,
            system=platform.system,
            architecture=self.architectures.get(platform.architecture, platform.architecture),
        )


def checksum_of(name: str, checksums: str) -> str | None:
    """Return the sha256 of a file in a list of checksums, or the one that is the whole text.

    A list may name files with a folder, and with the `*` of sha256sum's binary mode.
    """
    lines = [line.split() for line in checksums.splitlines() if line.strip()]
    if len(lines) == 1 and len(lines[0]) == 1:
        lines = [[lines[0][0], name]]
    for line in lines:
        if len(line) == 2 and line[1].lstrip("*").rpartition("/")[2] == name:
            return line[0] if _SHA256.fullmatch(line[0]) else None
    return None


def _unpack(archive: Path, folder: str, into: Path) -> None:
    """Put what an archive's folder holds directly into another folder.

    The filter refuses members that would be written anywhere else (tarfile, PEP 706).
    """
    if not hasattr(tarfile, "data_filter"):
        raise LabError(
            f"Python {sys.version.split()[0]} cannot unpack archives safely: use 3.11.4 or newer, "
            "for instance with `make up PYTHON=python3.12`"
        )
    inside = into / ".unpacked"
    try:
        with tarfile.open(archive, mode="r:gz") as tar:
            tar.extractall(inside, filter="data")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise LabError(f"the archive cannot be unpacked: {error}") from error
    if not (inside / folder).is_dir():
        raise LabError(f"the archive has no folder {folder}")
    for found in (inside / folder).iterdir():
        found.rename(into / found.name)
    shutil.rmtree(inside)
