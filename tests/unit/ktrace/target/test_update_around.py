"""The update of a stack that was under way at a moment, by Pulumi's history."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from ktrace.target import stack as stacks
from runtime_observability.host.runner import Result

MOMENT = datetime.fromisoformat("2026-11-27T18:27:18+00:00")


def history(monkeypatch: pytest.MonkeyPatch, text: str, code: int = 0) -> None:
    monkeypatch.setattr(stacks, "_pulumi", lambda *argv: Result(argv, code, text, ""))


def update(began: str, ended: str | None, kind: str = "update") -> dict[str, Any]:
    times = {"startTime": f"2026-11-27T{began}.000Z"}
    return {"kind": kind, **times, **({"endTime": f"2026-11-27T{ended}.000Z"} if ended else {})}


def test_it_is_the_one_that_holds_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    newer, own = update("19:00:00", "19:01:00"), update("18:27:13", "18:27:35")
    history(monkeypatch, json.dumps([newer, own, update("18:00:00", "18:01:00")]))
    found = stacks.update_around("dev", MOMENT)
    assert found is not None
    assert [at.isoformat() for at in found if at] == [
        "2026-11-27T18:27:13+00:00",
        "2026-11-27T18:27:35+00:00",
    ]


def test_one_that_runs_has_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    history(monkeypatch, json.dumps([update("18:27:13", None)]))
    found = stacks.update_around(None, MOMENT)
    assert found is not None
    assert found[1] is None


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([update("18:27:13", "18:27:35", "destroy")]),
        json.dumps([update("18:27:20", "18:27:35")]),
        "[]",
        "",
        "no JSON",
        '[{"kind": "update"}]',
        '{"kind": "update"}',
    ],
)
def test_without_such_an_update_nothing_is_told(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    history(monkeypatch, text)
    assert stacks.update_around("dev", MOMENT) is None
