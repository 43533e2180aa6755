"""Why an API server refused a request, as its answer says: read from JSON or protobuf."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ktrace.recording import protobuf
from ktrace.text import clean


@dataclass(frozen=True)
class Cause:
    reason: str
    """A word, such as ``DisruptionBudget``."""
    message: str


@dataclass(frozen=True)
class Refused:
    message: str = ""
    causes: tuple[Cause, ...] = ()


UNTOLD = Refused()
"""The answer is no Status, such as plain text."""


def read(body: bytes) -> Refused:
    """What a Status says; UNTOLD of any other answer."""
    try:
        if body.startswith(protobuf.PREFIX):
            return _from_protobuf(*protobuf.unknown(body))
        return _from_json(json.loads(body))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return UNTOLD


def _from_json(document: Any) -> Refused:
    if document.get("kind") != "Status":
        return UNTOLD
    causes = (document.get("details") or {}).get("causes") or ()
    return Refused(
        clean(str(document.get("message") or "")),
        tuple(
            _cause(str(cause.get("reason") or ""), str(cause.get("message") or ""))
            for cause in causes
        ),
    )


def _from_protobuf(kind: str, message: protobuf.Fields) -> Refused:
    """By the field numbers of Status, its StatusDetails and their StatusCauses."""
    if kind != "Status":
        return UNTOLD
    details = protobuf.fields(message[5][-1]) if 5 in message else {}
    causes = map(protobuf.fields, details.get(4, ()))
    return Refused(
        clean(protobuf.text(message, 3)),
        tuple(_cause(protobuf.text(cause, 1), protobuf.text(cause, 2)) for cause in causes),
    )


def _cause(reason: str, message: str) -> Cause:
    return Cause(clean(reason), clean(message))
