"""The releases that the lab builds and installs, as lab/pins.toml has them.

Standard library only: the stand-in plugins read it too, in a Python environment of their own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("pins.toml")


@dataclass(frozen=True)
class Pins:
    """Every release as MAJOR.MINOR.PATCH; ``modules`` are Go module versions."""

    kubernetes: str
    """The release of the default stack's nodes, one of ``kubernetes_releases``."""
    kubernetes_releases: tuple[str, ...]
    """Oldest first."""
    containerd: str
    jaeger: str
    collector: str
    k3d: str
    pulumi: str
    language_host: str
    plugins: Mapping[str, str]
    """The provider plugins by their package's name."""
    modules: Mapping[str, str]
    """Where a program's Go module has another version than the program."""


def read(file: Path = FILE) -> Pins:
    """Read the pins; KeyError if one is missing."""
    pins = tomllib.loads(file.read_text(encoding="utf-8"))
    return Pins(
        kubernetes=pins["kubernetes"]["default"],
        kubernetes_releases=tuple(pins["kubernetes"]["releases"]),
        containerd=pins["containerd"],
        jaeger=pins["jaeger"],
        collector=pins["collector"],
        k3d=pins["k3d"],
        pulumi=pins["pulumi"],
        language_host=pins["language-host"],
        plugins=pins["plugins"],
        modules=pins["modules"],
    )


PINS = read()
