"""The project's checks in tiers, the quick ones first, and a summary at the end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

from lab import builds, environment, images, machine
from lab.paths import PROJECT, Cache
from lab.steps import LabError

PYTEST = ("-m", "pytest")
NAMING_EACH = "-vv"  # tests of minutes: who waits sees which one runs


@dataclass(frozen=True)
class Tier:
    """One group of checks; the arguments are for the Python of .venv."""

    name: str
    arguments: tuple[str, ...]
    needs_lab: bool = False
    nodes: tuple[images.Image, ...] = ()
    """Those that its tests ask for besides the usual one."""


@dataclass(frozen=True)
class Outcome:
    """How a tier ended; `word` is what the summary says of it."""

    tier: Tier
    word: str
    seconds: float = 0.0
    detail: str = ""
    good: bool = True


LINT = (
    Tier("ruff", ("-m", "ruff", "check", ".")),
    Tier("mypy", ("-m", "mypy", ".")),
)
FAST = (*LINT, Tier("unit, graph", (*PYTEST, "tests/unit", "tests/graph")))
ALL = (
    *FAST,
    Tier("engine", (*PYTEST, NAMING_EACH, "tests/engine"), needs_lab=True),
    Tier(
        "e2e",
        (*PYTEST, NAMING_EACH, "-m", "not every_version", "tests/e2e"),
        needs_lab=True,
        nodes=(images.NODES[builds.NEWEST_KUBERNETES], images.STOCK_NODE),
    ),
)
VERSIONS = (
    Tier(
        "versions",
        (*PYTEST, NAMING_EACH, "tests/e2e/test_versions.py"),
        needs_lab=True,
        nodes=(*images.NODES.values(), images.STOCK_NODE),
    ),
)
TIERS = {"lint": LINT, "test-fast": FAST, "test": ALL, "test-versions": VERSIONS}


def run(command: str, cache: Cache) -> int:
    """Run the tiers of one make target; return the exit code."""
    python = environment.make_venv(cache, "requirements-dev.txt")
    outcomes: list[Outcome] = []
    obstacle: str | None = None
    ready = False
    for tier in TIERS[command]:
        if tier.needs_lab and not ready and obstacle is None:
            if not all(outcome.good for outcome in outcomes):
                obstacle = "the quick tiers come first, and one of them failed"
            else:
                nodes = (node for each in TIERS[command] for node in each.nodes)
                obstacle = _prepare_lab(cache, nodes)
                ready = obstacle is None
        if tier.needs_lab and not ready:
            good = not os.environ.get("CI") and all(outcome.good for outcome in outcomes)
            outcomes.append(Outcome(tier, "NOT RUN", detail=obstacle or "", good=good))
        else:
            outcomes.append(_run(tier, str(python)))
    _summarise(outcomes)
    return 0 if all(outcome.good for outcome in outcomes) else 1


def _prepare_lab(cache: Cache, nodes: Iterable[images.Image]) -> str | None:
    """Make the machine ready for real stacks; return what stands in the way, if anything does."""
    print("\n== preparing the lab", flush=True)
    try:
        found = machine.look(cache)
        print("\n".join(found.reasons), flush=True)
        environment.make_ready(found, nodes)
    except (LabError, OSError, subprocess.CalledProcessError) as error:
        return str(error)
    return None


def _run(tier: Tier, python: str) -> Outcome:
    print(f"\n== {tier.name}: {' '.join(tier.arguments)}", flush=True)
    begun = time.monotonic()
    last = ""
    with subprocess.Popen(
        [python, *tier.arguments],
        cwd=PROJECT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
            last = line.strip("= \n") or last
    good = process.returncode == 0
    word = "passed" if good else "FAILED"
    return Outcome(tier, word, time.monotonic() - begun, re.sub(r"\s+", " ", last), good)


def _summarise(outcomes: list[Outcome]) -> None:
    print("\n== summary")
    for outcome in outcomes:
        minutes, seconds = divmod(int(outcome.seconds), 60)
        took = f"{minutes}:{seconds:02d}"
        print(f"{outcome.tier.name:<12} {outcome.word:<8} {took:>6}  {outcome.detail}")
    sys.stdout.flush()
