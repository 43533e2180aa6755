"""Reads the keys in a stack's settings file, without their rules: the model is slow to import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ktrace.errors import UsageError

_BROKEN = (ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError)
"""What a text raises that is not YAML of the expected shape."""


def of_docker(folder: Path, stack: str) -> dict[str, Any]:
    """The keys ``docker:…`` in Pulumi.<stack>.yaml without their namespace; none without a file.

    UsageError for an encrypted ``docker:host``: only Pulumi can decrypt it.
    """
    file = folder / f"Pulumi.{stack.rpartition('/')[2]}.yaml"
    found = keys(file, "docker") if file.is_file() else {}
    if isinstance(found.get("host"), dict):
        raise UsageError(
            f"docker:host in {file} is a secret, which ktrace cannot read: set it as plain text "
            "with `pulumi config set docker:host ADDRESS`"
        )
    return found


def keys(file: Path, namespace: str) -> dict[str, Any]:
    """Those of ``namespace`` without it; UsageError for a file that cannot be read."""
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        config = dict(document.get("config") or {})
    except (OSError, *_BROKEN) as error:
        raise UsageError(f"{file} cannot be read: {error}: correct it") from None
    own = f"{namespace}:"
    return {
        str(key).removeprefix(own): value
        for key, value in config.items()
        if str(key).startswith(own)
    }
