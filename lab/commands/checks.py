"""`make test` and the other checks: tiers, the quick ones first, and a summary at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.build import images, programs
from lab.errors import LabError
from lab.machine import browser, machine, ready, venv
from lab.machine.docker.daemon import NoDaemonError
from lab.paths import PROJECT, Cache
from lab.providers import install
from lab.providers.install import Plugin

PYTEST = ("-m", "pytest")
VERBOSE = "-vv"  # these tests take minutes: the user sees which one runs
NOT_RUN = "NOT RUN"


@dataclass(frozen=True)
class Tier:
    """One group of checks; the arguments are those of .venv's Python."""

    name: str
    arguments: tuple[str, ...]
    needs_lab: bool = False
    nodes: tuple[images.Image, ...] = ()
    """The nodes that its tests need besides the default one."""
    plugins: tuple[Plugin, ...] = ()
    """The provider plugins that its tests need besides those of the project's program."""
    needs_browser: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a tier ended; `word` stands for it in the summary, `good` fails the run if False."""

    tier: Tier
    word: str
    seconds: float = 0.0
    detail: str = ""
    good: bool = True


LINT = (
    Tier("ruff", ("-m", "ruff", "check", ".")),
    Tier("mypy", ("-m", "mypy", ".")),
)
FAST = (
    *LINT,
    Tier("unit, graph, wheel", (*PYTEST, "tests/unit", "tests/graph", "tests/packaging")),
)
ALL = (
    *FAST,
    Tier("engine", (*PYTEST, VERBOSE, "tests/engine"), needs_lab=True),
    Tier(
        "e2e",
        (*PYTEST, VERBOSE, "-m", "not every_version and not kubernetes_provider", "tests/e2e"),
        needs_lab=True,
        nodes=(images.NODES[programs.NEWEST_KUBERNETES], images.STOCK_NODE),
        needs_browser=True,
    ),
)
VERSIONS = (
    Tier(
        "versions",
        (*PYTEST, VERBOSE, "tests/e2e/test_versions.py"),
        needs_lab=True,
        nodes=(*images.NODES.values(), images.STOCK_NODE),
    ),
)
EXAMPLES = (
    Tier(
        "examples",
        (*PYTEST, VERBOSE, "tests/e2e/test_examples.py"),
        needs_lab=True,
        plugins=(install.KUBERNETES,),
    ),
)
TIERS = {
    "lint": LINT,
    "test-fast": FAST,
    "test": ALL,
    "test-versions": VERSIONS,
    "test-examples": EXAMPLES,
}


def run(command: str, cache: Cache) -> int:
    """Run the tiers of one make target; return the exit code."""
    python = venv.make(cache, "requirements-dev.txt")
    outcomes = [_run(tier, python, {}) for tier in TIERS[command] if not tier.needs_lab]
    in_lab = [tier for tier in TIERS[command] if tier.needs_lab]
    if all(outcome.good for outcome in outcomes):
        outcomes += _run_in_the_lab(in_lab, python, cache)
    else:
        reason = "the quick tiers come first, and one of them failed"
        outcomes += [Outcome(tier, NOT_RUN, detail=reason, good=False) for tier in in_lab]
    _summarise(outcomes)
    return 0 if all(outcome.good for outcome in outcomes) else 1


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
    variables = ready.make_ready(
        found,
        [node for tier in tiers for node in tier.nodes],
        [plugin for tier in tiers for plugin in tier.plugins],
    )
    return {**variables, "RUNTIME_OBSERVABILITY_STACK": found.default_stack}


def _prepare_browser(cache: Cache) -> None:
    """Unpack a browser where there is none; if that fails, only its own test is affected."""
    try:
        browser.provide(cache)
    except LabError as error:
        print(error, flush=True)


def _run(tier: Tier, python: Path, variables: Mapping[str, str]) -> Outcome:
    print(f"\n== {tier.name}: {' '.join(tier.arguments)}", flush=True)
    begun = time.monotonic()
    environ = {**os.environ, **variables, "PYTHONUNBUFFERED": "1"}
    # Not subprocess.run: after a Ctrl-C it would kill the tests, which then destroy their stacks.
    with subprocess.Popen([python, *tier.arguments], cwd=PROJECT, env=environ) as process:
        process.wait()
    good = process.returncode == 0
    return Outcome(tier, "passed" if good else "FAILED", time.monotonic() - begun, good=good)


def _summarise(outcomes: list[Outcome]) -> None:
    print("\n== summary")
    for outcome in outcomes:
        minutes, seconds = divmod(int(outcome.seconds), 60)
        took = f"{minutes}:{seconds:02d}"
        print(f"{outcome.tier.name:<12} {outcome.word:<8} {took:>6}  {outcome.detail}")
    sys.stdout.flush()
