"""The one stack of the e2e tier: complete, with the trace probe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import chromium
from tests.live.fixtures import environ, stack_in
from tests.live.stack import Stack

__all__ = ["chromium", "environ"]


@pytest.fixture(scope="package")
def _stack(tmp_path_factory: Any, environ: dict[str, str]) -> Iterator[Stack]:
    with stack_in(tmp_path_factory.mktemp("traced"), environ) as stack:
        yield stack


@pytest.fixture
def stack(_stack: Stack) -> Stack:
    """A stack that is up with one node."""
    _stack.settle()
    return _stack


@pytest.fixture
def unsettled(_stack: Stack) -> Stack:
    """The stack as the previous test left it, for tests that change its configuration."""
    return _stack


@pytest.fixture
def neighbour(environ: dict[str, str], tmp_path: Path) -> Iterator[Stack]:
    """The stack of another developer, which is up too."""
    with stack_in(tmp_path, environ) as stack:
        stack.up()
        yield stack


@pytest.fixture
def two_nodes(_stack: Stack) -> Stack:
    """A stack that is up with a server and an agent."""
    _stack.settle(agents=1)
    return _stack
