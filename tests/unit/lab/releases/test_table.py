"""The table of releases, row by row."""

from __future__ import annotations

import re

import pytest

from lab.build import programs
from lab.releases.platforms import ARCHITECTURES, SYSTEMS, Platform
from lab.releases.release import Release
from lab.releases.table import CHECKSUMS, K3D, KUBECTL, PULUMI, TOOLS, Checksum

PLATFORMS = [Platform(system, arch) for system in SYSTEMS for arch in ARCHITECTURES]
GITHUB = "https://github.com"


@pytest.mark.parametrize(
    ("release", "platform", "file", "checksums"),
    [
        *(
            (
                PULUMI,
                Platform(system, arch),
                f"https://get.pulumi.com/releases/sdk/pulumi-v{programs.PULUMI}-{system}-{name}.tar.gz",
                f"{GITHUB}/pulumi/pulumi/releases/download/v{programs.PULUMI}/"
                f"pulumi-{programs.PULUMI}-checksums.txt",
            )
            for system in ("linux", "darwin")
            for arch, name in (("amd64", "x64"), ("arm64", "arm64"))
        ),
        *(
            (
                K3D,
                Platform(system, arch),
                f"{GITHUB}/k3d-io/k3d/releases/download/v{programs.K3D}/k3d-{system}-{arch}",
                f"{GITHUB}/k3d-io/k3d/releases/download/v{programs.K3D}/checksums.txt",
            )
            for system in ("linux", "darwin")
            for arch in ("amd64", "arm64")
        ),
        *(
            (
                KUBECTL,
                Platform(system, arch),
                f"https://dl.k8s.io/release/v{programs.KUBERNETES}/bin/{system}/{arch}/kubectl",
                f"https://dl.k8s.io/release/v{programs.KUBERNETES}/bin/{system}/{arch}/kubectl.sha256",
            )
            for system in ("linux", "darwin")
            for arch in ("amd64", "arm64")
        ),
    ],
)
def test_every_release_has_its_address_on_every_platform(
    release: Release, platform: Platform, file: str, checksums: str
) -> None:
    assert release.address(platform) == file
    unpinned = Release(**{**vars(release), "pinned": {}})
    assert unpinned.addresses(platform) == (file, checksums)


@pytest.mark.parametrize("known", CHECKSUMS, ids=lambda known: known.address)
def test_a_pinned_checksum_is_of_a_file_in_the_table_and_names_its_source(known: Checksum) -> None:
    """A raised version leaves no checksum of the one before."""
    addresses = {tool.release.address(platform) for tool in TOOLS for platform in PLATFORMS}
    assert known.address in addresses
    assert re.fullmatch(r"[0-9a-f]{64}", known.sha256)
    assert known.source


def test_a_file_is_pinned_once() -> None:
    addresses = [known.address for known in CHECKSUMS]
    assert len(addresses) == len(set(addresses))


def test_a_tool_is_its_release_and_its_build() -> None:
    assert {tool.name: tool.built for tool in TOOLS} == {
        "pulumi": programs.pulumi,
        "k3d": programs.k3d,
        "kubectl": programs.kubectl,
    }
