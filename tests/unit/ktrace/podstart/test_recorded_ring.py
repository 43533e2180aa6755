"""Recorded starts again, of which Jaeger's memory has dropped the oldest traces meanwhile.

What is said then is what was said before, or less, and never anything else.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ktrace.podstart import search
from ktrace.podstart.model import PodStart
from ktrace.view import waterfall
from tests.fakes import recorded_pods
from tests.fakes.clock import Clock
from tests.fakes.recorded import FOLDER
from tests.fakes.recorded_pods import Recorded
from tests.fakes.ring import dropped

KINDS = sorted(file.name.removesuffix(".json.gz") for file in (FOLDER / "v1.36").glob("*.json.gz"))
_SECOND_MS = 1000
_AS_EXACT_MS = 1.0


@pytest.fixture(params=KINDS)
def whole(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    found = recorded_pods.load("v1.36", request.param)
    Clock(found.now / 1e6).drive(monkeypatch, search)
    return found


def _is_told_as(value: float, before: float, start: PodStart) -> bool:
    return abs(value - before) <= (_SECOND_MS if start.to_the_second else _AS_EXACT_MS)


def test_with_the_pod_object_the_answer_stays(whole: Recorded) -> None:
    before = whole.start()
    assert before
    for left in dropped(whole.traces):
        start = replace(whole, traces=left).start()
        assert start
        assert (start.complete, start.containers) == (before.complete, before.containers)
        assert [w.what for w in start.waiting] == [w.what for w in before.waiting]
        assert start.so_far is before.so_far
        if start.length_known:
            assert before.length_known
            assert _is_told_as(start.duration_ms, before.duration_ms, start)
        if start.ready.after_ms is not None:
            assert before.ready.after_ms is not None
            assert _is_told_as(start.ready.after_ms, before.ready.after_ms, start)
        elif before.ready.after_ms is not None:
            assert "not known" in start.ready.note or not start.length_known


def test_without_the_pod_object_no_other_length_is_told(whole: Recorded) -> None:
    before = whole.start(with_cluster=False)
    for left in dropped(whole.traces):
        start = replace(whole, traces=left).start(with_cluster=False)
        if start is None:
            continue
        assert before
        assert not start.complete
        if start.length_known and start.beginning_known:
            assert start.duration_ms == pytest.approx(before.duration_ms, abs=_AS_EXACT_MS)
            assert start.containers == before.containers
        else:
            title = waterfall.title(start)
            assert "is not known: Jaeger no longer has" in title or "after its first span" in title
