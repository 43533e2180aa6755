"""Which releases are fetched, from where, and the checksums that are known.

A new version needs no change here: the numbers are those of the programs that the lab builds. Its
checksums are in checksums.toml, each with the public place that has it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.build import programs
from lab.build.steps import Step
from lab.releases.release import Release
from runtime_observability.core.compatibility import OLDEST_K3D, OLDEST_PULUMI
from runtime_observability.core.versions import Version

FILE = Path(__file__).with_name("checksums.toml")


@dataclass(frozen=True)
class Checksum:
    """The sha256 of a release's file, and where it was found."""

    address: str
    sha256: str
    source: str


CHECKSUMS = tuple(
    Checksum(release["folder"] + file, sha256, release["source"])
    for release in tomllib.loads(FILE.read_text(encoding="utf-8"))["release"]
    for file, sha256 in release["sha256"].items()
)
"""A file without one here is checked against its release's own list."""

PINNED: Mapping[str, str] = {known.address: known.sha256 for known in CHECKSUMS}

PULUMI = Release(
    "pulumi",
    programs.PULUMI,
    "https://get.pulumi.com/releases/sdk/pulumi-v{version}-{system}-{architecture}.tar.gz",
    "https://github.com/pulumi/pulumi/releases/download/v{version}/pulumi-{version}-checksums.txt",
    mebibytes=500,
    folder="pulumi",
    architectures={"amd64": "x64"},
    pinned=PINNED,
)
"""With the language hosts, which the engine runs from the folder of its own program."""

K3D = Release(
    "k3d",
    programs.K3D,
    "https://github.com/k3d-io/k3d/releases/download/v{version}/k3d-{system}-{architecture}",
    "https://github.com/k3d-io/k3d/releases/download/v{version}/checksums.txt",
    mebibytes=100,
    pinned=PINNED,
)

_KUBECTL = "https://dl.k8s.io/release/v{version}/bin/{system}/{architecture}/kubectl"
KUBECTL = Release(
    "kubectl",
    programs.KUBERNETES,
    _KUBECTL,
    f"{_KUBECTL}.sha256",
    mebibytes=200,
    pinned=PINNED,
)


@dataclass(frozen=True)
class Tool:
    """A command-line tool, and where it comes from on a machine that has none."""

    label: str
    """Its name for the user."""
    release: Release
    built: Step
    version_arguments: tuple[str, ...]
    """With which it prints its version."""
    oldest: Version | None = None
    """The oldest that is used from PATH; None: any."""
    built_with_nodes: bool = False
    """Whether it is built only where the nodes' Kubernetes is: alone it would cost minutes."""

    @property
    def name(self) -> str:
        """The name of the program."""
        return self.release.tool


TOOLS = (
    Tool("Pulumi CLI", PULUMI, programs.pulumi, ("version",), OLDEST_PULUMI),
    Tool("k3d", K3D, programs.k3d, ("version",), OLDEST_K3D),
    Tool(
        "kubectl",
        KUBECTL,
        programs.kubectl,
        ("version", "--client"),
        built_with_nodes=True,
    ),
)
