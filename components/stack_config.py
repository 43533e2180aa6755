"""Reads the selected stack's configuration. Nothing else reads it.

Pulumi itself checks types and fills in the defaults of Pulumi.yaml; ranges, clashes and unknown
keys are left to the program (Pulumi accepts any key).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import yaml

from .environment_args import TracedEnvironmentArgs

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's reads Pulumi.yaml in 0.003 s and not 0.042 s. Only for a file that Pulumi has read: too
many brackets end the process, where Python's loader raises an error."""

_DOCKER = "docker"


@dataclass(frozen=True, kw_only=True)
class StackConfig(TracedEnvironmentArgs):
    """The Args of the selected stack: whatever its configuration holds, unknown keys too."""

    config: Mapping[str, Any]
    secret: frozenset[str] = frozenset()
    """Keys whose value, or a part of it, was set with ``--secret``."""

    @classmethod
    def read(cls, folder: Path) -> StackConfig:
        """The configuration of the project in ``folder``, whose Pulumi.yaml has its schema."""
        schema = yaml.load((folder / "Pulumi.yaml").read_text(encoding="utf-8"), _LOADER)["config"]  # noqa: S506
        config = _read(schema)
        secret = _secret(pulumi.Config().name, config)
        return cls(folder=str(folder), config=config, secret=secret)

    def values(self) -> dict[str, Any]:
        return dict(self.config)

    @property
    def secret_keys(self) -> frozenset[str]:
        return self.secret


def _secret(namespace: str, keys: Iterable[str]) -> frozenset[str]:
    """``Config.get`` returns a secret without its mark, so the marks are read for themselves."""
    marked = pulumi.runtime.config.get_config_secret_keys_env()
    return frozenset(
        key
        for key in keys
        if (full := f"{namespace}:{key}") in marked or pulumi.runtime.is_config_secret(full)
    )


def of_docker() -> dict[str, str]:
    """The keys ``docker:…`` of the stack without their namespace: those of Pulumi's provider."""
    return _all(_DOCKER)


def secret_of_docker() -> frozenset[str]:
    """Those of them that were set with ``--secret``."""
    return _secret(_DOCKER, of_docker())


def _all(namespace: str) -> dict[str, str]:
    """The keys of ``namespace`` without it, whether the program knows them or not."""
    every = pulumi.runtime.config.get_config_env() | pulumi.runtime.config.CONFIG.get()
    prefix = f"{namespace}:"
    return {key.removeprefix(prefix): every[key] for key in every if key.startswith(prefix)}


def _read(schema: Mapping[str, Any]) -> dict[str, Any]:
    config = pulumi.Config()
    raw: dict[str, Any] = {}
    for key in schema.keys() | _all(config.name).keys():
        structured = schema.get(key, {}).get("type") in ("array", "object")
        value = _structured(config, key) if structured else config.get(key)
        if value is not None:
            raw[key] = value
    return raw


def _structured(config: pulumi.Config, key: str) -> Any:
    """Text that is no JSON stays text: Pulumi's own error would repeat it, a secret too."""
    try:
        return config.get_object(key)
    except pulumi.ConfigTypeError:
        return config.get(key)
