"""Fixtures of the tiers engine and e2e; their conftest files import them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live import environment
from tests.live.stack import Stack, copy_project


@pytest.fixture(scope="session")
def environ() -> dict[str, str]:
    """The user's environment; without a Docker daemon every test here fails."""
    return environment.of_make()


@contextmanager
def stack_in(folder: Path, environ: dict[str, str], **config: Any) -> Iterator[Stack]:
    """A stack that is destroyed at the end; the test fails if anything of it is left."""
    stack = Stack(copy_project(folder / "project"), environ, **config)
    try:
        yield stack
    finally:
        stack.finish()
