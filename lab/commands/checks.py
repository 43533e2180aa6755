"""`make test` and the other checks: tiers, the quick ones first, and a summary at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.build import maven
from lab.build.images import Image
from lab.build.steps import prepare
from lab.commands import failures, parts
from lab.commands.tiers import PYTHON, TIERS, Tier
from lab.errors import LabError
from lab.machine import browser, machine, ready, venv
from lab.machine.docker.daemon import NoDaemonError
from lab.paths import PROJECT, Cache

NOT_RUN = "NOT RUN"


@dataclass(frozen=True)
class Outcome:
    """How a tier ended; `word` stands for it in the summary, `good` fails the run if False."""

    tier: Tier
    word: str
    seconds: float = 0.0
    detail: str = ""
    good: bool = True
    failed: Sequence[str] = ()
    """A line for each test that failed."""


def run(command: str, cache: Cache) -> int:
    """Run the tiers of one make target; return the exit code."""
    python = venv.make(cache, venv.TESTS)
    outcomes = [_run_quick(tier, python, cache) for tier in TIERS[command] if not tier.needs_lab]
    in_lab = [tier for tier in TIERS[command] if tier.needs_lab]
    if all(outcome.good for outcome in outcomes):
        outcomes += _run_in_the_lab(in_lab, python, cache)
    else:
        reason = "the quick tiers come first, and one of them failed"
        outcomes += [Outcome(tier, NOT_RUN, detail=reason, good=False) for tier in in_lab]
    _summarise(outcomes)
    return 0 if all(outcome.good for outcome in outcomes) else 1


def _run_quick(tier: Tier, python: Path, cache: Cache) -> Outcome:
    """Run a tier that needs no stack; one whose program cannot be had fails in CI alone."""
    program = _program(tier, python, cache)
    if program is None:
        reason = f"no {tier.program} is on PATH, and no Go that could build it"
        return Outcome(tier, NOT_RUN, detail=reason, good=not os.environ.get("CI"))
    if tier.steps and not shutil.which("go"):
        reason = "no Go is on PATH, which builds what it needs"
        return Outcome(tier, NOT_RUN, detail=reason, good=not os.environ.get("CI"))
    try:
        prepare(cache, tier.steps)
    except LabError as error:
        return Outcome(tier, NOT_RUN, detail=str(error), good=False)
    return _run(tier, program, {})


def _program(tier: Tier, python: Path, cache: Cache) -> Path | None:
    """Return the file that a tier runs, built if need be; None where it cannot be built."""
    if tier.program == PYTHON:
        return python
    if tier.step is None:
        return python.parent / tier.program
    if found := shutil.which(tier.program):
        return Path(found)
    if not shutil.which("go"):
        return None
    return prepare(cache, [tier.step])[tier.step.name] / tier.program


def _run_in_the_lab(tiers: Sequence[Tier], python: Path, cache: Cache) -> list[Outcome]:
    """Run tiers on real stacks; a machine without a Docker daemon is a failure in CI alone."""
    if not tiers:
        return []
    try:
        variables = _prepare_lab(tiers, cache)
    except (LabError, OSError, subprocess.CalledProcessError) as error:
        excused = isinstance(error, NoDaemonError) and not os.environ.get("CI")
        return [Outcome(tier, NOT_RUN, detail=str(error), good=excused) for tier in tiers]
    return [_run(tier, python, variables) for tier in tiers]


def _prepare_lab(tiers: Sequence[Tier], cache: Cache) -> dict[str, str]:
    """Make the machine ready for real stacks; return the environment variables of their tests."""
    print("\n== preparing the lab", flush=True)
    found = machine.examine(cache)
    print("\n".join(found.reasons), flush=True)
    if any(tier.needs_browser for tier in tiers):
        _prepare_browser(cache)
    more = [image for tier in tiers for image in tier.images]
    if wanted := [image for tier in tiers for image in tier.images_of_maven if found.lab_images]:
        more += _images_of_maven(wanted)
    plugins = tuple(plugin for tier in tiers for plugin in tier.plugins)
    variables = ready.make_ready(ready.Needs(found, tuple(more), plugins))
    return {**variables, "RUNTIME_OBSERVABILITY_STACK": found.default_stack}


def _prepare_browser(cache: Cache) -> None:
    """Unpack a browser where there is none; if that fails, only its own test is affected."""
    try:
        browser.provide(cache)
    except LabError as error:
        print(error, flush=True)


def _images_of_maven(wanted: list[Image]) -> list[Image]:
    """Return `wanted`, or none where they cannot be built, which their tests alone notice."""
    try:
        maven.refuse_a_machine_without_maven("what some tests need")
    except LabError as error:
        print(error, flush=True)
        return []
    return wanted


def _run(tier: Tier, program: Path, variables: Mapping[str, str]) -> Outcome:
    patterns = [pattern for part in tier.parts for pattern in part]
    print(f"\n== {tier.name}: {' '.join((*tier.arguments, *patterns))}", flush=True)
    begun = time.monotonic()
    commands: list[parts.Command] = [
        (program, *tier.arguments, *matching(part)) for part in tier.parts
    ]
    with tempfile.TemporaryDirectory() as folder:
        failed = Path(folder) / "failed"
        good = parts.run(commands, {**variables, failures.FILE: str(failed)})
        word, seconds = "passed" if good else "FAILED", time.monotonic() - begun
        return Outcome(tier, word, seconds, good=good, failed=failures.told(failed))


def matching(patterns: Sequence[str]) -> list[str]:
    """Return the project's files that match a pattern, relative to its folder."""
    found = {file for pattern in patterns for file in PROJECT.glob(pattern) if file.is_file()}
    return sorted(str(file.relative_to(PROJECT)) for file in found)


def _summarise(outcomes: list[Outcome]) -> None:
    print("\n== summary")
    width = max(12, *(len(outcome.tier.name) for outcome in outcomes))
    for outcome in outcomes:
        minutes, seconds = divmod(int(outcome.seconds), 60)
        took = f"{minutes}:{seconds:02d}"
        print(f"{outcome.tier.name:<{width}} {outcome.word:<8} {took:>6}  {outcome.detail}")
        for line in outcome.failed:
            print(f"  {line}")
    sys.stdout.flush()
