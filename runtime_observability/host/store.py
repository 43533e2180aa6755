"""The record of a stack's cluster as ensure left it, in ``.stacks/<stack>/cluster.json``."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from pathlib import Path

from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.host.files import write_private


def completed(record: Record) -> Record:
    return replace(record, complete=True)


def unused_generation() -> int:
    """A generation that no lost record can have had: the Unix time in seconds.

    A generation is otherwise incremented by one, so it stays below the time.
    """
    return int(time.time())


def _path(names: Names) -> Path:
    return names.directory / "cluster.json"


def load(names: Names) -> Record | None:
    """The record, or None when there is none or the file is not a valid record."""
    try:
        document = json.loads(_path(names).read_text())
        return Record(**(document | {"nodes": tuple(document["nodes"])}))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def save(names: Names, record: Record) -> None:
    write_private(_path(names), json.dumps(asdict(record), indent=2))
