"""A kubeconfig's current context: its user, and a copy with another server and no credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_IMPERSONATION = {"as", "as-uid", "as-groups", "as-user-extra"}


def user(kubeconfig: Path) -> dict[str, Any]:
    """The entry of the current context's user; empty if the context names none."""
    document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    name = _current_context(document)["context"].get("user", "")
    entries = [entry for entry in document.get("users") or [] if entry["name"] == name]
    return (entries[0].get("user") if entries else None) or {}


def namespace(kubeconfig: Path) -> str:
    """The namespace of the current context."""
    context = _current_context(yaml.safe_load(kubeconfig.read_text(encoding="utf-8")))["context"]
    return str(context.get("namespace") or "default")


def redirected(kubeconfig: Path, url: str) -> dict[str, Any]:
    """The current context with its cluster at ``url``.

    Names stay, so that ``--context`` with the current context's name works. The user keeps its
    impersonation, which is a header of the command's requests and no credential.
    """
    context = _current_context(yaml.safe_load(kubeconfig.read_text(encoding="utf-8")))
    kept = {key: value for key, value in user(kubeconfig).items() if key in _IMPERSONATION}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context["name"],
        "contexts": [context],
        "clusters": [{"name": context["context"]["cluster"], "cluster": {"server": url}}],
        "users": [{"name": context["context"].get("user", ""), "user": kept}],
    }


def _current_context(document: dict[str, Any]) -> dict[str, Any]:
    name = document["current-context"]
    found: dict[str, Any] = next(
        context for context in document["contexts"] if context["name"] == name
    )
    return found
