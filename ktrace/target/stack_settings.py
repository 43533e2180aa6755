"""Reads a stack's settings from its file, without Pulumi's engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ktrace.errors import UsageError
from ktrace.target import stack_file
from runtime_observability.core.naming import PROJECT
from runtime_observability.core.settings.exporter import HIDDEN
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.settings.parse import SettingsError, parse
from runtime_observability.core.settings.store_rules import CREDENTIAL


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


def _of_stack(folder: Path, stack: str) -> dict[str, Any]:
    file = folder / f"Pulumi.{stack}.yaml"
    if not file.is_file():
        raise UsageError(
            f"there is no stack {stack}: {file} does not exist. `pulumi stack ls` names the stacks"
        )
    return stack_file.keys(file, PROJECT)


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
        return HIDDEN
    return {key: _with_placeholders(item) for key, item in value.items()}
