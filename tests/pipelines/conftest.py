"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipelines.backends import Backend
from tests.pipelines.collectors import Collectors


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Collectors]:
    found = Collectors(tmp_path)
    try:
        yield found
    finally:
        found.kill()


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend().running() as found:
        yield found
