"""The registries.yaml of k3s, of which mirrors are supported: containerd reads a file for each.

As in k3s (pkg/agent/containerd/config.go): a mirror's endpoints are asked in turn, then the
registry itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from .node import CONTAINERD_CONFIG, KUBECONFIG
from .processes import FatalError

FILE = KUBECONFIG.with_name("registries.yaml")
HOSTS = CONTAINERD_CONFIG / "certs.d"
"""Has a folder for each registry, named after it."""


def write(file: Path = FILE, folder: Path = HOSTS) -> None:
    """Replace the hosts files by those of registries.yaml; none without it."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        document = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        return
    except yaml.YAMLError as error:
        raise FatalError(f"{file}: {error}") from error
    for registry, text in hosts_files(document or {}).items():
        (folder / registry).mkdir(parents=True)
        (folder / registry / "hosts.toml").write_text(text)


def hosts_files(document: Mapping[str, Any]) -> dict[str, str]:
    """The text of a hosts.toml for each registry, by the name of its folder."""
    _refuse_all_but("mirrors", document)
    files = {}
    for registry, mirror in (document.get("mirrors") or {}).items():
        _refuse_all_but("endpoint", mirror)
        own = "registry-1.docker.io" if registry == "docker.io" else registry
        lines = [f'server = "https://{own}/v2"'] if registry != "*" else []
        for endpoint in mirror.get("endpoint") or []:
            lines += [f'[host."{endpoint.rstrip("/")}/v2"]', 'capabilities = ["pull", "resolve"]']
        files["_default" if registry == "*" else registry] = "\n".join(lines) + "\n"
    return files


def _refuse_all_but(supported: str, given: Mapping[str, Any]) -> None:
    """k3d writes the other keys too, without a value."""
    unknown = sorted(key for key, value in given.items() if value and key != supported)
    if unknown:
        raise FatalError(f"registries.yaml: {unknown[0]} is not supported by this stand-in")
