"""The record of a stack's cluster as ensure left it, in ``.stacks/<stack>/cluster.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.host.files import write_private


def completed(record: Record) -> Record:
    return replace(record, complete=True)


def _path(names: Names) -> Path:
    return names.directory / "cluster.json"


def load(names: Names) -> Record | None:
    """The record, or None when there is none or the file is not a valid record.

    One of another release or that somebody edited counts as lost, and ensure makes another.
    """
    try:
        document = json.loads(_path(names).read_text(encoding="utf-8"))
        record = Record(**(document | {"nodes": tuple(document["nodes"])}))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return record if isinstance(document["nodes"], list) and _is_valid(record) else None


def _is_valid(record: Record) -> bool:
    """Whether each value has the type that its readers rely on: JSON has others too."""
    spec = record.spec
    return (
        type(record.generation) is int
        and isinstance(record.complete, bool)
        and isinstance(record.digest, str)
        and all(isinstance(node, str) for node in record.nodes)
        and isinstance(spec, dict)
        and isinstance(spec.get("k3d"), dict)
        and isinstance(spec["k3d"].get("image"), str)
        and isinstance(spec.get("files"), dict)
        and all(isinstance(digest, str) for digest in spec["files"].values())
        and isinstance(spec.get("settings", {}), dict)
    )


def save(names: Names, record: Record) -> None:
    write_private(_path(names), json.dumps(asdict(record), indent=2))
