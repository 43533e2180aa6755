"""A cache of its own for every test of the lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.paths import Cache


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")
