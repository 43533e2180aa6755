"""Which tests can notice a mutant, from what each test runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from tests.mutants.coverage_plugin import Recorded
from tests.mutants.mutation import Mutant, statements

_AT_IMPORT = ""


class Selection:
    """``sources`` are the mutated files, ``test_sources`` the files with tests."""

    def __init__(
        self,
        recordings: Sequence[Recorded],
        sources: Mapping[str, str],
        test_sources: Mapping[str, str],
    ) -> None:
        self._seconds: dict[str, float] = {}
        self._lines: dict[str, dict[str, set[int]]] = {file: {} for file in sources}
        for recorded in recordings:
            self._seconds |= recorded["seconds"]
            for file, by_test in recorded["lines"].items():
                for test, lines in by_test.items():
                    self._lines.setdefault(file, {}).setdefault(test, set()).update(lines)
        self._statements = {
            file: statements(source) if file.endswith(".py") else {}
            for file, source in sources.items()
        }
        self._sources = sources
        self._test_sources = test_sources

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that run the mutant, those of its mirror first, then the fastest."""
        by_test = self._lines[mutant.file]
        ranges = self._statements[mutant.file]
        first, _ = ranges.get(mutant.line, (mutant.line, 0))
        _, last = ranges.get(mutant.last_line, (0, mutant.last_line))
        lines = set(range(min(first, mutant.line), max(last, mutant.last_line) + 1))
        found = {test for test, run in by_test.items() if run & lines}
        if _AT_IMPORT in found or mutant.file.endswith(".sh"):
            found |= by_test.keys() | self._tests_of_importers(mutant.file)
        found |= self._tests_of_processes(mutant.file)
        found &= self._seconds.keys()
        mirror = f"test_{PurePath(mutant.file).stem.strip('_')}.py"
        return sorted(
            found,
            key=lambda test: (f"/{mirror}::" not in test, self._seconds[test], test),
        )

    def seconds(self, tests: Sequence[str]) -> float:
        return sum(self._seconds[test] for test in tests)

    def _tests_of_importers(self, file: str) -> set[str]:
        """Of the files that name the module or the script, since its lines may run only once."""
        path = PurePath(file)
        name = path.name if path.suffix == ".sh" else path.stem
        if name == "__init__":
            name = path.parent.name
        word = re.compile(rf"^.*import.*\b{name}\b|\bfrom .*\b{name} import|[\"']{name}[\"']", re.M)
        return {
            test
            for other, source in self._sources.items()
            if other != file and word.search(source)
            for test in self._lines[other]
        }

    def _tests_of_processes(self, file: str) -> set[str]:
        """Of the test files that run the module with ``python -m``, or the script."""
        path = PurePath(file)
        name = path.name if path.suffix == ".sh" else ".".join(path.with_suffix("").parts)
        files = {test for test, source in self._test_sources.items() if f'"{name}"' in source}
        return {test for test in self._seconds if test.partition("::")[0] in files}
