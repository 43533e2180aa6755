"""Fixtures of ktrace's tests."""

from __future__ import annotations

import pytest

from tests.configuration import PROJECT
from tests.fakes.ktrace import Ktrace


@pytest.fixture
def ktrace(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ktrace:
    """The command line, in the project's folder."""
    monkeypatch.chdir(PROJECT)
    return Ktrace(monkeypatch, capfd)
