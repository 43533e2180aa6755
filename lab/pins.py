"""The releases that the lab builds and installs, as lab/pins.toml has them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("pins.toml")


@dataclass(frozen=True)
class Pins:
    """Every release as MAJOR.MINOR.PATCH, by the names of the file."""

    programs: Mapping[str, str]
    """containerd, jaeger, collector, k3d, etcd, pulumi and language-host."""
    kubernetes: Mapping[str, str]
    """By MAJOR.MINOR, oldest first."""
    kubernetes_default: str
    """The MAJOR.MINOR of the default stack's nodes."""
    plugins: Mapping[str, str]
    """Provider plugins, by the name of their package for Python."""
    java: Mapping[str, str]
    """cassandra, elasticsearch, opensearch, log4j, and the plugin of Maven that fetches them."""
    modules: Mapping[str, str]
    """Go module versions of programs and plugins that have others: NAME-module."""


def read(file: Path = FILE) -> Pins:
    """Read the pins; KeyError if a table is missing."""
    pins = tomllib.loads(file.read_text(encoding="utf-8"))
    tables = {name: pins.pop(name) for name in ("kubernetes", "plugins", "java", "modules")}
    default = pins.pop("kubernetes-default")
    return Pins(programs=pins, kubernetes_default=default, **tables)


PINS = read()
