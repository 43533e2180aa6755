"""Which releases are fetched, from where, and the checksums that are known.

A new version needs no change here but of its checksums: the numbers are those of the programs that
the lab builds. Every pinned checksum names the public package definition that has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.build import programs
from lab.build.steps import Step
from lab.releases.release import Release
from runtime_observability.core.compatibility import OLDEST_K3D, OLDEST_PULUMI
from runtime_observability.core.versions import Version


@dataclass(frozen=True)
class Checksum:
    """The sha256 of a release's file, and where it was found."""

    address: str
    sha256: str
    source: str


_FOUND: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    (
        "https://github.com/k3d-io/k3d/releases/download/v5.9.0/",
        "the release's checksums.txt, as flamingo-stack/openframe-cli and others pin it",
        {
            "k3d-linux-amd64": "06d8f25bc3a971c4eb29e0ff08429b180402db0f4dec838c9eac427e296800a0",
            "k3d-linux-arm64": "03cde5cf23e6e8e67de5a039ecf26e5b85aca82fba3e5d13dadf904cd218a250",
            "k3d-darwin-amd64": "b4aabc37534f95b9c764e7823f2df923f50d57600837aa60a06266cce47db732",
            "k3d-darwin-arm64": "fe106541d5d0a3f18debcd4d432a16f8c0ce3e6ddc06f8fbb6f696a122313e00",
        },
    ),
    (
        "https://dl.k8s.io/release/v1.36.3/bin/",
        "kubectl_*_SHA256SUM of cert-manager/makefile-modules, modules/tools/00_mod.mk",
        {
            "linux/amd64/kubectl": (
                "ebbd080e7c2e275093b55915722043257eb24004363e20acb3c4d71919f88336"
            ),
            "linux/arm64/kubectl": (
                "3d86f24401c41ae5a46ac50eef8865fe891d3647d324a0836f6c63757a126e62"
            ),
            "darwin/amd64/kubectl": (
                "158b3b46cf74e8b6bd9b1d7cd30f665e3efb2bc1ec3c843ec925bcfdd2930de0"
            ),
            "darwin/arm64/kubectl": (
                "fc8582acde13869a606730a79379d6515f30c68afcced0b5ac8789d5d002b7d6"
            ),
        },
    ),
)
"""The folder of a release, the source of its checksums, and these by the rest of the address."""

CHECKSUMS = tuple(
    Checksum(folder + file, sha256, source)
    for folder, source, files in _FOUND
    for file, sha256 in files.items()
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
