"""Stacks of the engine tier: the real engine, plugins, Docker and nodes, without the trace probe.

The tests share the stacks, because creating a cluster is slow. A fixture brings a stack into the
state that its test needs; the test may leave it in any state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.fixtures import environ, stack_in
from tests.live.stack import Stack

__all__ = ["environ"]


@pytest.fixture(scope="package")
def _standing(tmp_path_factory: Any, environ: dict[str, str]) -> Iterator[Stack]:
    with stack_in(tmp_path_factory.mktemp("standing"), environ, traceProbe=False) as stack:
        yield stack


@pytest.fixture
def standing(_standing: Stack) -> Stack:
    """A stack that is up and has no pending changes."""
    _standing.settle()
    return _standing


@pytest.fixture(scope="package")
def _spare(tmp_path_factory: Any, environ: dict[str, str]) -> Iterator[Stack]:
    with stack_in(tmp_path_factory.mktemp("spare"), environ, traceProbe=False) as stack:
        yield stack


@pytest.fixture
def absent(_spare: Stack) -> Stack:
    """A stack that has no resources."""
    _spare.configure()
    if _spare.left_overs() or _spare.state:
        _spare.destroy()
    return _spare


@pytest.fixture
def doomed(_spare: Stack) -> Stack:
    """A stack that is up and may be destroyed."""
    _spare.settle()
    return _spare
