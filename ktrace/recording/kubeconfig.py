"""A kubeconfig's current context: its user, and itself with another server and no credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_IMPERSONATION = {"as", "as-uid", "as-groups", "as-user-extra"}


def user(kubeconfig: Path) -> dict[str, Any]:
    """As the file has it; empty where the context names none."""
    document = yaml.safe_load(kubeconfig.read_text())
    name = _context(document)["context"].get("user", "")
    found = [each for each in document.get("users") or [] if each["name"] == name]
    return (found[0].get("user") if found else None) or {}


def redirected(kubeconfig: Path, url: str) -> dict[str, Any]:
    """The current context with its cluster at ``url``.

    Names stay, so that ``--context`` with the current one's works. The user keeps whom to
    impersonate: the command asks for that itself.
    """
    context = _context(yaml.safe_load(kubeconfig.read_text()))
    kept = {key: value for key, value in user(kubeconfig).items() if key in _IMPERSONATION}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context["name"],
        "contexts": [context],
        "clusters": [{"name": context["context"]["cluster"], "cluster": {"server": url}}],
        "users": [{"name": context["context"].get("user", ""), "user": kept}],
    }


def _context(document: dict[str, Any]) -> dict[str, Any]:
    current = document["current-context"]
    found: dict[str, Any] = next(c for c in document["contexts"] if c["name"] == current)
    return found
