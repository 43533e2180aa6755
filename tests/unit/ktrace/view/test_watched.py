"""The line of ``ktrace watch`` on terminals of any width."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ktrace.podstart.model import PodStart
from ktrace.view import watched
from tests.fakes import rollouts


@pytest.fixture(scope="module")
def start() -> PodStart:
    found = rollouts.rollout_of(1).pods[0].start
    assert found
    return found


@pytest.mark.parametrize("columns", [60, 80, 100, 120, 200])
def test_it_fits_a_terminal_and_names_pod_and_length(start: PodStart, columns: int) -> None:
    whole, shown = watched.line(start), watched.line(start, columns)
    assert len(shown) <= columns
    assert f"{start.namespace}/{start.pod}" in shown
    assert " s" in shown.removeprefix(whole[:8]) or " ms" in shown
    if columns >= len(whole):
        assert shown == whole


def test_what_is_not_known_is_never_left_out(start: PodStart) -> None:
    """A line that seems to tell of a whole start would be wrong."""
    rough = replace(start, wanted_known=False)
    assert watched.line(rough, 40).endswith("whether more were wanted is not known")
