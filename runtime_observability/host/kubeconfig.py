"""A stack's kubeconfig: what k3d gives, beside what others have written into the file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from runtime_observability.core.naming import Names
from runtime_observability.host import api_server, k3d
from runtime_observability.host.files import write_private

_LISTS = ("clusters", "contexts", "users")


def write(names: Names) -> None:
    """Writes k3d's kubeconfig of the stack's cluster, whose context becomes the current one.

    KUBECONFIG of a shell that works with the stack names this file, so `kubectl config` and the
    tools of other clusters write into it: their entries stay, and so does the namespace that was
    set for the cluster's context. Those that a destroy has kept come back. A file that is no
    kubeconfig is replaced.
    """
    text = k3d.kubeconfig(names.cluster)
    with suppress(*api_server.UNUSABLE):
        text = _with_others(text, _read(names.kubeconfig))
    taken_back = False
    with suppress(*api_server.UNUSABLE):
        text = _with_others(text, _read(names.kept_kubeconfig))
        taken_back = True
    write_private(names.kubeconfig, text)
    if taken_back:
        names.kept_kubeconfig.unlink()


def foreign_context(path: Path, cluster: str) -> str:
    """The current context of the kubeconfig of a stack's ``cluster`` where that is another
    cluster's; else empty, also where that is not known."""
    own = f"k3d-{cluster}"
    try:
        document = _read(path)
        current = document["current-context"]
        clusters = {entry["name"] for entry in document["clusters"]}
        of = {entry["name"]: entry["context"]["cluster"] for entry in document["contexts"]}[current]
    except api_server.UNUSABLE:
        return ""
    return str(current) if own in clusters and of != own else ""


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _with_others(text: str, before: dict[str, Any]) -> str:
    """``text`` itself where ``before``, another kubeconfig, has nothing of others."""
    document = yaml.safe_load(text)
    found = False
    for kind in _LISTS:
        own = {entry["name"] for entry in document[kind]}
        others = [entry for entry in before.get(kind) or () if entry["name"] not in own]
        document[kind] += others
        found = found or bool(others)
    contexts = {entry["name"]: entry["context"] for entry in before.get("contexts") or ()}
    for entry in document["contexts"]:
        namespace = contexts.get(entry["name"], {}).get("namespace")
        if namespace and "namespace" not in entry["context"]:
            entry["context"]["namespace"] = namespace
            found = True
    return yaml.safe_dump(document, sort_keys=False) if found else text
