"""A pytest plugin: which lines of the mutated code does each test run?

``python -m tests.mutants.coverage_plugin OUTPUT FILE...`` runs the tests in FILE... in the current
folder and writes OUTPUT, a JSON document of the shape ``Recorded``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import pytest
from coverage import Coverage

from tests.mutants.project import PACKAGES

_COLLECTION = ""
_FIXTURE = "fixture "


class Recorded(TypedDict):
    seconds: dict[str, float]
    """How long each test function takes, by its node id without parameters."""
    lines: dict[str, dict[str, list[int]]]
    """By file and test function: the lines that run in it. Imports have the function ""."""


class Recorder:
    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self.seconds: dict[str, float] = {}
        self.fixtures: dict[str, set[str]] = {}
        """The shared fixtures that each test function uses."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        test = function(item.nodeid)
        self.fixtures.setdefault(test, set()).update(getattr(item, "fixturenames", ()))
        self._current = test
        self._coverage.switch_context(test)
        try:
            return (yield)
        finally:
            self._coverage.switch_context(_COLLECTION)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Iterator[None]:
        """What a shared fixture runs belongs to every test that uses it."""
        if fixturedef.scope == "function":
            return (yield)
        self._coverage.switch_context(f"{_FIXTURE}{fixturedef.argname}")
        try:
            return (yield)
        finally:
            self._coverage.switch_context(self._current)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = function(report.nodeid)
        self.seconds[test] = self.seconds.get(test, 0) + report.duration


def function(node_id: str) -> str:
    return node_id.partition("[")[0]


def main(output: Path, files: list[str]) -> int:
    folder = Path.cwd()
    places = [f"{folder / name}/*" for name in PACKAGES]
    coverage = Coverage(data_file=None, config_file=False, include=places)
    recorder = Recorder(coverage)
    coverage.start()
    code = pytest.main(["-p", "no:cacheprovider", *files], plugins=[recorder])
    coverage.stop()
    lines: dict[str, dict[str, list[int]]] = {}
    data = coverage.get_data()
    for measured in data.measured_files():
        by_test: dict[str, set[int]] = {}
        for line, contexts in data.contexts_by_lineno(measured).items():
            for context in contexts:
                for test in _tests(context, recorder.fixtures):
                    by_test.setdefault(test, set()).add(line)
        lines[str(Path(measured).relative_to(folder))] = {
            test: sorted(found) for test, found in by_test.items()
        }
    recorded = Recorded(seconds=recorder.seconds, lines=lines)
    output.write_text(json.dumps(recorded))
    return int(code)


def _tests(context: str, fixtures: dict[str, set[str]]) -> list[str]:
    if not context.startswith(_FIXTURE):
        return [context]
    name = context.removeprefix(_FIXTURE)
    return [test for test, used in fixtures.items() if name in used]


if __name__ == "__main__":
    result = main(Path(sys.argv[1]), sys.argv[2:])
    sys.stdout.flush()
    os._exit(result)  # no server of a test keeps the run
