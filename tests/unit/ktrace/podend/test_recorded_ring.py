"""Recorded endings again, of which Jaeger's memory has dropped the oldest traces meanwhile.

What is said then is what was said before, or less, and never anything else.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ktrace.podend import search
from tests.fakes import recorded_endings
from tests.fakes.clock import Clock
from tests.fakes.recorded import FOLDER
from tests.fakes.ring import dropped

FILES = (FOLDER / "endings/v1.36").glob("*.json.gz")
KINDS = sorted(file.name.removesuffix(".json.gz") for file in FILES)
_SECOND_MS = 1000
_AS_EXACT_MS = 1.0
_GUESSED = ("deleted by force", "clock is at least", "nothing bound it")


@pytest.mark.parametrize("with_cluster", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_no_other_ending_is_told(
    kind: str, monkeypatch: pytest.MonkeyPatch, *, with_cluster: bool
) -> None:
    """Seen: "ended in 17 ms" of an eviction that took 3.37 s, once its request was gone."""
    whole = recorded_endings.load(kind)
    Clock(whole.now / 1e6).drive(monkeypatch, search)
    before = whole.ending(with_cluster=with_cluster)
    for left in dropped(whole.traces):
        after = replace(whole, traces=left).ending(with_cluster=with_cluster)
        if after is None or (before and after.uid not in ("", before.uid)):
            continue  # nothing, or the newer pod of that name
        assert before
        assert after.ended in (before.ended, None)
        assert after.deleted in (before.deleted, None)
        assert [asked.by for asked in after.asked] in ([asked.by for asked in before.asked], [])
        assert set(after.killed) <= {*before.killed, "a container" if before.killed else ""}
        for now, then in zip(after.waiting, before.waiting, strict=True):
            # Which containers still run, the kubelet tells last before it ends them.
            assert now.what == then.what or now.what.startswith("containers ")
        if after.duration_ms is not None:
            assert before.duration_ms is not None
            exact = _SECOND_MS if after.to_the_second else _AS_EXACT_MS
            assert after.duration_ms == pytest.approx(before.duration_ms, abs=exact)
        for guess in _GUESSED:
            told = any(guess in note for note in after.notes)
            assert not told or any(guess in note for note in before.notes)
