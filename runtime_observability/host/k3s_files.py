"""k3s' own configuration file and folder where `nodeVolumes` mount them (k3s
pkg/configfilearg/parser.go). Read-only."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import yaml

from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.settings.node_extras import source_of
from runtime_observability.host.files import files_in, is_folder

_CONFIG_FILE = "/etc/rancher/k3s/config.yaml"
_NAMED_BY = ("--config", "K3S_CONFIG_FILE")
"""What names another one, of some nodes or of all."""


def arguments(spec: ClusterSpec) -> list[tuple[str, str]]:
    """The names and values of k3s' arguments that it reads from files of the user's.

    Of a file that cannot be read the rehearsal tells.
    """
    found: list[tuple[str, str]] = []
    named = [value for setting, value in spec.given if setting in _NAMED_BY]
    paths = [f"{file}{end}" for file in [_CONFIG_FILE, *named] for end in ("", ".d")]
    for entry in spec.config["volumes"]:
        for path in paths:
            for file in _files_at(source_of(entry["volume"], path)):
                with suppress(OSError, AttributeError, ValueError, yaml.YAMLError):
                    for key, value in yaml.safe_load(file.read_text(encoding="utf-8")).items():
                        name = str(key).removesuffix("+")  # which adds to what was read before
                        found.extend((f"--{name}", each) for each in _texts(value))
    return found


def _files_at(source: str) -> list[Path]:
    """The file ``source`` or, where it is a folder, those in it that k3s reads."""
    if not source:
        return []
    if not is_folder(source):
        return [Path(source)]
    return [file for file in files_in(Path(source)) if file.suffix.lower() in (".yaml", ".yml")]


def _texts(value: object) -> list[str]:
    """A list is a flag that is given more than once."""
    return list(map(str, value)) if isinstance(value, list) else [str(value)]
