"""Changes the code in small ways and checks that a test fails each time.

A run tries MUTANTS changes (150, or all), chosen by --seed, in copies of the project. It fails if
a mutant survives that tests/mutants/survivors.toml does not list with a reason, if an entry of that
list no longer holds, or if fewer than 85 of 100 are killed. Ctrl-C ends it, and the same command
goes on from there.

Exit codes: 0 passed, 1 not passed, 2 wrong usage, or the tests fail without any change.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.paths import Cache
from tests.mutants import jobs, project, report, survivors
from tests.mutants.coverage_plugin import Recorded
from tests.mutants.mutation import Mutant, mutants
from tests.mutants.report import Progress
from tests.mutants.sample import sample
from tests.mutants.selection import Selection

_DEFAULT_NUMBER = "150"
_STARTUP_SECONDS = 30
_SLOWER = 5
"""How many times slower than unchanged code a mutant may be, on a busy machine."""


class StoppedError(Exception):
    """Ends the run with one line and exit code 2."""


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    cache = Cache.of_this_user().root / "mutants"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with _alone(cache), tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
            return _run(options, cache, Path(scratch))
    except (StoppedError, ValueError, RuntimeError) as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmutants: stopped; the same command goes on from here", file=sys.stderr)
        return 130


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--mutants",
        type=_number,
        default=os.environ.get("MUTANTS") or _DEFAULT_NUMBER,
        metavar="N|all",
        help="how many to try (default: $MUTANTS, or 150)",
    )
    parser.add_argument("--seed", type=int, default=1, help="chooses other mutants (default: 1)")
    parser.add_argument(
        "--jobs",
        type=int,
        default=len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
        help="processes at a time (default: one for each core)",
    )
    parser.add_argument("--only", action="append", metavar="FILE", help="mutants of FILE alone")
    return parser.parse_args(arguments)


def _number(text: str) -> int | None:
    """None for all."""
    if text == "all":
        return None
    number = int(text)
    if number < 1:
        raise ValueError
    return number


@contextlib.contextmanager
def _alone(cache: Path) -> Iterator[None]:
    with (cache / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoppedError(f"another run is using {cache}: wait until it has ended") from None
        yield


def _run(options: argparse.Namespace, cache: Path, scratch: Path) -> int:
    listed = survivors.load(survivors.LIST.read_text())
    all_files = project.files()
    folder = cache / project.digest(all_files)
    for other in cache.iterdir():
        if other.is_dir() and other != folder:
            shutil.rmtree(other)
    with _tests_of_unchanged_code(all_files, folder, options.jobs, scratch) as recording:
        sources = _read(project.mutated_files(all_files))
        by_file = {file: mutants(file, text) for file, text in sources.items()}
    wanted = {file: found for file, found in by_file.items() if file in (options.only or by_file)}
    chosen = sample(wanted, options.mutants, options.seed)
    selection = Selection(recording, sources, _read(project.test_files(all_files)))
    results = _results(folder / "results.jsonl")
    tasks = [_task(mutant, selection) for mutant in chosen if mutant.id not in results]
    copies = [folder / f"copy-{number}" for number in range(min(options.jobs, len(tasks)))]
    for copy in copies:
        if not copy.exists():
            shutil.copytree(folder / "copy-0", copy, symlinks=True)
        project.restore(copy, sources)
    with (
        Progress("mutants", len(tasks)) as progress,
        (folder / "results.jsonl").open("a", buffering=1) as log,
    ):
        for mutant, result in _tried(tasks, copies, scratch):
            results[mutant.id] = result
            log.write(json.dumps([mutant.id, result]) + "\n")
            progress.advance(survived=result == "survived")
    judged = [(mutant, results[mutant.id] == "survived") for mutant in chosen]
    existing = [mutant for found in by_file.values() for mutant in found]
    return report.print_report(
        judged, listed, survivors.stale(listed, existing, judged), folder / "unlisted.toml"
    )


@contextlib.contextmanager
def _tests_of_unchanged_code(
    all_files: list[str], folder: Path, number: int, scratch: Path
) -> Iterator[list[Recorded]]:
    """Runs the tests, and meanwhile the block; afterwards the list that it yields is complete."""
    files = project.test_files(all_files)
    parts = [files[first::number] for first in range(number)]
    outputs = [folder / f"recording-{part}-of-{number}.json" for part in range(number)]
    recording: list[Recorded] = []
    running: dict[Path, subprocess.Popen[bytes]] = {}
    original = folder / "copy-0"
    if not all(output.exists() for output in outputs):
        shutil.rmtree(folder, ignore_errors=True)
        project.copy(all_files, original)
        for output, part in zip(outputs, parts, strict=True):
            home = scratch / output.stem
            home.mkdir()
            temporary = scratch / output.name
            values = jobs.environment(home)
            del values["PYTHONDONTWRITEBYTECODE"]  # the copy's modules are compiled once
            with (scratch / f"{output.stem}.log").open("wb") as log:
                running[output] = subprocess.Popen(
                    [sys.executable, "-m", "tests.mutants.coverage_plugin", temporary, *part],
                    cwd=original,
                    env=values,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
    try:
        if running:
            print("running the tests of the unchanged code", file=sys.stderr, flush=True)
        yield recording
        for output, process in running.items():
            if process.wait():
                log_text = (scratch / f"{output.stem}.log").read_text()
                raise StoppedError(f"tests fail without any change:\n{log_text[-4000:]}")
        for output in running:
            shutil.move(scratch / output.name, output)
        recording += [json.loads(output.read_text()) for output in outputs]
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def _read(files: Sequence[str]) -> dict[str, str]:
    return {file: (project.PROJECT / file).read_text() for file in files}


def _results(file: Path) -> dict[str, str]:
    """What an earlier run of the same project has found, by mutant."""
    if not file.exists():
        return {}
    found: dict[str, str] = {}
    for line in file.read_text().splitlines():
        with contextlib.suppress(ValueError):  # the last line of a killed run
            mutant, result = json.loads(line)
            found[mutant] = result
    return found


def _task(mutant: Mutant, selection: Selection) -> jobs.Task:
    tests = selection.tests(mutant)
    return jobs.Task(mutant, tests, _STARTUP_SECONDS + _SLOWER * selection.seconds(tests))


def _tried(
    tasks: Sequence[jobs.Task], copies: Sequence[Path], scratch: Path
) -> Iterator[tuple[Mutant, str]]:
    """A mutant that no test runs has survived."""
    yield from ((task.mutant, "survived") for task in tasks if not task.tests)
    yield from jobs.run([task for task in tasks if task.tests], copies, scratch)


if __name__ == "__main__":
    begun = time.monotonic()
    code = main(sys.argv[1:])
    print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr)
    sys.exit(code)
