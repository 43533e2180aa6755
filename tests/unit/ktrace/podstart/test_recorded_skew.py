"""Recorded starts again, of nodes whose clocks differ from the API server's.

What is said is what was said without that, or less: a length of another clock is never told.
"""

from __future__ import annotations

import pytest

from ktrace.podstart import search
from tests.fakes import recorded_pods
from tests.fakes.clock import Clock
from tests.fakes.recorded import FOLDER
from tests.fakes.recorded_pods import Recorded
from tests.fakes.skew import skewed

KINDS = sorted(file.name.removesuffix(".json.gz") for file in (FOLDER / "v1.36").glob("*.json.gz"))
_SECOND = 1_000_000
_AS_EXACT_MS = 400.0
"""The kubelet's first report follows its first sync by less, and bounds what is not known."""
_ROUNDING_MS = 0.1
_STATIC = "static"


@pytest.fixture(params=KINDS)
def recorded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    found = recorded_pods.load("v1.36", request.param)
    Clock(found.now / 1e6).drive(monkeypatch, search)
    return found


@pytest.mark.parametrize("seconds", [0.2, -0.2, 5, -5, 3600, -3600])
def test_another_clock_makes_no_other_length(recorded: Recorded, seconds: float) -> None:
    before = recorded.start()
    start = skewed(recorded, round(seconds * _SECOND)).start()
    assert before
    assert start
    for step in (*start.steps, *start.ready.steps):
        assert step.start_ms >= 0
        assert step.duration_ms >= 0
        assert step.end_ms <= start.length_ms + _ROUNDING_MS
    assert (start.complete, start.containers) == (before.complete, before.containers)
    for said, found in zip(before.waiting, start.waiting, strict=True):
        assert said.what.startswith(found.what)
    if start.length_known and (start.complete or start.so_far):
        assert start.duration_ms == pytest.approx(before.duration_ms, abs=_AS_EXACT_MS)
    if start.ready.after_ms is not None and recorded.kind != _STATIC:
        assert before.ready.after_ms is not None
        assert start.ready.after_ms == pytest.approx(before.ready.after_ms, abs=_AS_EXACT_MS)


@pytest.mark.parametrize(("seconds", "differs"), [(5, "ahead of"), (-5, "behind")])
def test_that_steps_were_placed_is_told(
    monkeypatch: pytest.MonkeyPatch, seconds: int, differs: str
) -> None:
    recorded = recorded_pods.load("v1.36", "recreated")
    Clock(recorded.now / 1e6).drive(monkeypatch, search)
    start = skewed(recorded, seconds * _SECOND).start()
    assert start
    (note,) = (note for note in start.notes if "the node's clock is at least" in note)
    assert f"ms {differs} the API server's: the node's steps are placed" in note


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_clock_that_cannot_be_the_api_servers_is_told(
    monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    recorded = recorded_pods.load("v1.36", "slow-ready")
    Clock(recorded.now / 1e6).drive(monkeypatch, search)
    start = skewed(recorded, seconds * _SECOND).start()
    assert start
    assert start.complete
    assert not start.length_known
    assert start.ready.after_ms is None
    assert any(note.startswith("the node's clock is not the API server's") for note in start.notes)
