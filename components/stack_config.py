"""Reads the selected stack's configuration. Nothing else reads ``pulumi.Config``.

Pulumi itself checks types and fills in the defaults of Pulumi.yaml; ranges, clashes and unknown
keys are left to the program (Pulumi accepts any key).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import yaml

from .environment_args import TracedEnvironmentArgs


@dataclass(frozen=True, kw_only=True)
class StackConfig(TracedEnvironmentArgs):
    """The Args of the selected stack: whatever its configuration holds, unknown keys too."""

    config: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> StackConfig:
        """The configuration of the project in ``folder``, whose Pulumi.yaml has its schema."""
        schema = yaml.safe_load((folder / "Pulumi.yaml").read_text())["config"]
        return cls(folder=str(folder), config=_read(schema))

    def values(self) -> dict[str, Any]:
        return dict(self.config)


def _read(schema: Mapping[str, Any]) -> dict[str, Any]:
    config = pulumi.Config()
    known = {
        key.partition(":")[2]
        for key in (pulumi.runtime.config.get_config_env() | pulumi.runtime.config.CONFIG.get())
        if key.startswith(f"{config.name}:")
    }
    raw: dict[str, Any] = {}
    for key in schema.keys() | known:
        structured = schema.get(key, {}).get("type") in ("array", "object")
        value = config.get_object(key) if structured else config.get(key)
        if value is not None:
            raw[key] = value
    return raw
