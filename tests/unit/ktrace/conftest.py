"""Fixtures of ktrace's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.configuration import PROJECT
from tests.fakes.http import FakeServer, Reply
from tests.fakes.ktrace import Ktrace


@pytest.fixture
def ktrace(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ktrace:
    """The command line, in the project's folder."""
    monkeypatch.chdir(PROJECT)
    return Ktrace(monkeypatch, capfd)


@pytest.fixture
def api() -> Iterator[FakeServer]:
    """An API server beside the Jaeger of `server`; a test gives it what it answers."""
    fake = FakeServer(lambda _: Reply(404))
    yield fake
    fake.stop()
