"""When the API server's objects say that something was so: times to the second."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ktrace.boot.model import OBJECT, READY, Mark
from ktrace.podstart.pod import READY as CONDITION
from ktrace.podstart.pod import SECOND, condition_of, moment


def marks_of(document: Any, name: str) -> tuple[list[Mark], bool | None]:
    """Of a node's object; and whether it is Ready, None if the object does not tell."""
    meta = document.get("metadata") if isinstance(document, dict) else None
    created = moment(meta.get("creationTimestamp")) if isinstance(meta, dict) else None
    ready = condition_of(document, CONDITION)
    marks = []
    if created is not None:
        marks.append(Mark(_at(created), "node object created", OBJECT, name))
    if ready and ready.status and ready.since is not None:
        marks.append(Mark(_at(ready.since), READY, OBJECT, name))
    return marks, ready.status if ready else None


def _at(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds // SECOND, tz=UTC)
