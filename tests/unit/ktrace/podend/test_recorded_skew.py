"""Recorded endings again, of nodes whose clocks differ from the API server's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ktrace.podend import search
from ktrace.podend.model import PodEnding
from tests.fakes import recorded_endings, skew
from tests.fakes.clock import Clock

_AS_EXACT_MS = 50.0
"""The kubelet's delete request follows its last sync by less, and bounds what is not known."""
_SECOND = 1_000_000
_SECONDS = pytest.mark.parametrize("seconds", [0.2, 5])
_KINDS = pytest.mark.parametrize(
    "kind", ["clean", "evicted", "prestop", "rolled-out", "sidecar", "stubborn"]
)


def recorded_and_moved(
    kind: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> tuple[PodEnding, PodEnding]:
    """The ending, and the same of a node whose clock is ahead by ``seconds``."""
    whole = recorded_endings.load(kind)
    Clock(whole.now / 1e6).drive(monkeypatch, search)
    traces = tuple(skew.moved(trace, round(seconds * _SECOND)) for trace in whole.traces)
    before = whole.ending(with_cluster=False)
    after = replace(whole, traces=traces).ending(with_cluster=False)
    assert before
    assert after
    return before, after


@_SECONDS
@_KINDS
def test_a_clock_that_is_ahead_makes_no_ending_longer(
    kind: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = recorded_and_moved(kind, seconds, monkeypatch)
    assert after.ended
    assert before.duration_ms is not None
    assert after.duration_ms == pytest.approx(before.duration_ms, abs=_AS_EXACT_MS)
    assert all(step.start_ms >= 0 and step.duration_ms >= 0 for step in after.steps)
    (note,) = (note for note in after.notes if "the node's clock is at least" in note)
    assert "ahead of the API server's: the node's steps are placed" in note
    assert {step.name for step in after.steps} <= {step.name for step in before.steps}


@_SECONDS
@_KINDS
def test_a_clock_that_is_behind_loses_no_request(
    kind: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the kubelet seems to have seen the pod before it was created."""
    before, after = recorded_and_moved(kind, -seconds, monkeypatch)
    assert (after.asked, after.ended, after.missing) == (before.asked, True, before.missing)
    assert after.duration_ms == pytest.approx(before.duration_ms, abs=_AS_EXACT_MS)
    assert all(step.start_ms >= 0 and step.duration_ms >= 0 for step in after.steps)
    told = any("behind the API server's: the node's steps" in note for note in after.notes)
    assert told or seconds < 1, "what the kubelet began later than that shows nothing"
