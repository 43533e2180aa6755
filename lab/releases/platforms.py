"""The systems and architectures for which there are official releases."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from lab.errors import LabError
from runtime_observability.host.docker import architecture

SYSTEMS = ("linux", "darwin")
ARCHITECTURES = ("amd64", "arm64")


@dataclass(frozen=True)
class Platform:
    """A system and an architecture, as Go names them."""

    system: str
    architecture: str

    def __str__(self) -> str:
        """Return `linux-amd64`, the name that is usual in releases."""
        return f"{self.system}-{self.architecture}"


def platform_of(system: str, machine: str) -> Platform:
    """Return the platform of a kernel by the names that it reports.

    Raises LabError for one without releases.
    """
    found = Platform(system.lower(), architecture(machine))
    if found.system not in SYSTEMS:
        raise LabError(
            f"{system} is not supported: k3d's nodes need Linux or a Docker that runs it in a "
            "virtual machine. On Windows work inside WSL2; on other systems use a Linux machine"
        )
    if found.architecture not in ARCHITECTURES:
        raise LabError(
            f"{machine} is not supported: the releases of Pulumi, k3d and Kubernetes that are used "
            f"here are for {' and '.join(ARCHITECTURES)}. Use a machine of these"
        )
    return found


def this_platform() -> Platform:
    """Return this machine's platform; raises LabError as `platform_of` does."""
    return platform_of(platform.system(), platform.machine())
