"""An answer's times are those of the clock that a bundle sets."""

from __future__ import annotations

import re
import time as machine

import pytest

from ktrace import clock
from tests.configuration import PROJECT

ANSWERING = ("activity", "expect", "jaeger", "podstart", "rollout", "podend", "boot")
"""The folders of ktrace of which an answer is made; some may come later."""
LIVE = {"podstart/watch.py"}
"""Of a command that goes on until it is ended: it has no bundle."""
_MACHINES = re.compile(
    r"^ *(import time$|from time import|import time as)|datetime\.(utc)?now\(", re.MULTILINE
)


@pytest.mark.parametrize("folder", ANSWERING)
def test_no_answer_depends_on_the_machines_clock(folder: str) -> None:
    """Else --from would wait, or tell other times: `from ktrace.clock import time` is the cure."""
    root = PROJECT / "ktrace"
    wrong = [
        str(file.relative_to(root))
        for file in (root / folder).rglob("*.py")
        if _MACHINES.search(file.read_text())
    ]
    assert set(wrong) <= LIVE


def test_the_rule_sees_what_breaks_it() -> None:
    assert _MACHINES.search("import time\n")
    assert _MACHINES.search("    now = datetime.now(tz=UTC)")
    assert not _MACHINES.search("from ktrace.clock import time\n")


def test_the_past_does_not_wait_and_stands_at_the_last_look() -> None:
    past = clock.Past(10.0, 20.0)
    deadline = past.monotonic() + 3600
    assert past.time() == 10.0
    past.sleep(1)
    assert past.time() == 20.0
    assert past.monotonic() > deadline


def test_a_recordings_clock_stands_still_during_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 101.5])
    monkeypatch.setattr(machine, "time", lambda: next(now))
    slept: list[float] = []
    monkeypatch.setattr(machine, "sleep", slept.append)
    still = clock.Still()
    assert [still.time(), still.time()] == [100.0, 100.0]
    still.sleep(1)
    assert (still.first, still.time(), slept) == (100.0, 101.5, [1])


def test_a_moment_ends_with_its_block() -> None:
    with clock.time.at(5.0):
        assert clock.time.time() == 5.0
    assert clock.time.time() > 1_700_000_000
