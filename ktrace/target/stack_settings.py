"""Reads a stack's settings from its file, without Pulumi's engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ktrace.errors import UsageError
from runtime_observability.core.naming import PROJECT
from runtime_observability.core.settings.exporter import PEM
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.settings.parse import SettingsError, parse
from runtime_observability.core.settings.store_rules import CREDENTIAL

_BROKEN = (ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError)
"""What a text raises that is not YAML of the expected shape."""

_PLACEHOLDER = f"[secret] {PEM}PEM"
"""What a secret header or key is taken for."""


def read(folder: Path, stack: str | None, *, without_secrets: bool = False) -> Settings:
    """The settings in Pulumi.<stack>.yaml, and the defaults for the others.

    ``stack`` None: the defaults alone. Pulumi alone decrypts a secret: UsageError for a stack that
    has one, or its default ``without_secrets``. Secrets inside ``exporters`` and the password of
    a trace store are placeholders.
    """
    try:
        raw = _of_stack(folder, stack) if stack else {}
        if isinstance(raw.get("exporters"), list):
            raw["exporters"] = _with_placeholders(raw["exporters"])
        hidden = {CREDENTIAL} if _is_secret(raw.get(CREDENTIAL)) else set()
        raw |= dict.fromkeys(hidden, "[secret]")
        secret = sorted(key for key, value in raw.items() if _is_secret(value))
        if secret and not without_secrets:
            raise UsageError(
                f"Pulumi.{stack}.yaml: {', '.join(secret)}: secret, and only Pulumi can decrypt it"
            )
        return parse({key: raw[key] for key in raw.keys() - set(secret)}, hidden)
    except SettingsError as error:
        raise UsageError(f"Pulumi.{stack}.yaml: {error}") from None


def of_docker(folder: Path, stack: str) -> dict[str, Any]:
    """The keys ``docker:…`` in Pulumi.<stack>.yaml without their namespace; none without a file.

    UsageError for an encrypted ``docker:host``: only Pulumi can decrypt it.
    """
    file = folder / f"Pulumi.{stack.rpartition('/')[2]}.yaml"
    keys = _keys(file, "docker") if file.is_file() else {}
    if isinstance(keys.get("host"), dict):
        raise UsageError(
            f"docker:host in {file} is a secret, which ktrace cannot read: set it as plain text "
            "with `pulumi config set docker:host ADDRESS`"
        )
    return keys


def _of_stack(folder: Path, stack: str) -> dict[str, Any]:
    file = folder / f"Pulumi.{stack}.yaml"
    if not file.is_file():
        raise UsageError(f"there is no stack {stack}: {file} does not exist")
    return _keys(file, PROJECT)


def _keys(file: Path, namespace: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text()) or {}
        config = dict(document.get("config") or {})
    except (OSError, *_BROKEN) as error:
        raise UsageError(f"{file} cannot be read: {error}: correct it") from None
    own = f"{namespace}:"
    return {
        str(key).removeprefix(own): value
        for key, value in config.items()
        if str(key).startswith(own)
    }


def _is_secret(value: Any) -> bool:
    """Whether ``value`` or a part of it was set with ``--secret``."""
    if isinstance(value, dict):
        return "secure" in value or any(map(_is_secret, value.values()))
    return isinstance(value, list) and any(map(_is_secret, value))


def _with_placeholders(value: Any) -> Any:
    """``value`` with a text in place of every secret in it: a header's value may be any text."""
    if isinstance(value, list):
        return [_with_placeholders(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "secure" in value:
        return _PLACEHOLDER
    return {key: _with_placeholders(item) for key, item in value.items()}
