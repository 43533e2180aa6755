"""What all tiers share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from lab.commands import failures

# An Output in an f-string raises an error, instead of becoming a text that explains the mistake.
os.environ["PULUMI_ERROR_OUTPUT_STRING"] = "1"

# The same examples in every run: a failing test keeps failing until it is fixed.
settings.register_profile("project", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("project")

_OF_REAL_STACKS = ("engine", "e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real stacks take minutes, and the first one may pull every image."""
    for item in items:
        if item.path.parent.name in ("contract", "pipelines"):
            item.add_marker(pytest.mark.timeout(300))
        if item.path.parent.name in _OF_REAL_STACKS:
            item.add_marker(pytest.mark.timeout(900))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what failed to `make test`, whose last lines repeat it."""
    if file := os.environ.get(failures.FILE):
        reports = [terminalreporter.getreports(outcome) for outcome in ("failed", "error")]
        failures.add(
            Path(file),
            [(report.nodeid, report.longreprtext) for of_one in reports for report in of_one],
        )
