"""Fixtures of both tiers; their conftest files import them."""

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
    """The user's environment; a daemon that does not answer fails every test here."""
    return environment.of_make()


@contextmanager
def stack_in(folder: Path, environ: dict[str, str], **config: Any) -> Iterator[Stack]:
    """A stack that is destroyed at the end, with the proof that nothing is left."""
    stack = Stack(copy_project(folder / "project"), environ, **config)
    try:
        yield stack
    finally:
        stack.finish()
