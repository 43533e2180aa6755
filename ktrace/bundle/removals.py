"""What became of the objects that a command removed, of the entries that a bundle keeps. Pure."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ktrace.bundle import typed
from ktrace.following.followed_pod import EndCause
from ktrace.following.refused_removals import Budget, RefusedRemoval
from ktrace.following.removed import Removed, State

_STATES: tuple[State, ...] = typing.get_args(State)
_CAUSES: tuple[EndCause, ...] = typing.get_args(EndCause)


def removed(found: Mapping[str, Any]) -> Removed:
    """LookupError, TypeError or ValueError if it is not what ``Removed.document`` returns."""
    return Removed(
        typed.text(found["resource"]),
        _text(found["namespace"]),
        typed.text(found["name"]),
        _text(found["uid"]),
        _text(found["auditId"]),
        _STATES[_STATES.index(found["state"])],
        _moment(found["terminatingSince"]),
        _texts(found["finalizers"]),
        _texts(found["conditions"]),
        _texts(found["usedBy"]),
        _text(found["reason"]),
        _moment(found.get("madeAgainAt")),
        _text(found.get("madeAgainBy")),
    )


def _moment(found: Any) -> datetime | None:
    return None if found is None else typed.moment(found)


def refused(found: Mapping[str, Any]) -> RefusedRemoval:
    """The same of ``RefusedRemoval.document``."""
    return RefusedRemoval(
        _text(found["auditId"]),
        typed.text(found["resource"]),
        _text(found["namespace"]),
        _text(found["name"]),
        int(found["status"]),
        _text(found["message"]),
        int(found["times"]),
        tuple(map(_budget, typed.items(found["budgets"]))),
        _text(found["budgetsUnread"]),
    )


def end_cause(found: Any) -> EndCause | None:
    """ValueError for what is none."""
    return None if found is None else _CAUSES[_CAUSES.index(found)]


def _budget(found: Mapping[str, Any]) -> Budget:
    return Budget(
        typed.text(found["name"]),
        {name: typed.text(value) for name, value in typed.members(found["wants"]).items()},
        _number(found["disruptionsAllowed"]),
        _number(found["currentHealthy"]),
        _number(found["desiredHealthy"]),
        _number(found["expectedPods"]),
    )


def _text(found: Any) -> str:
    return "" if found is None else typed.text(found)


def _texts(found: Any) -> tuple[str, ...]:
    return tuple(map(typed.text, typed.items(found)))


def _number(found: Any) -> int | None:
    return None if found is None else int(found)
