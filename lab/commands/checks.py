"""`make test` and the other checks: tiers, the quick ones first, and a summary at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.build import images, programs
from lab.build.steps import Step, prepare
from lab.errors import LabError
from lab.machine import apt, machine, ready, venv
from lab.machine.docker.daemon import NoDaemonError
from lab.paths import PROJECT, Cache
from lab.providers import install
from lab.providers.install import Plugin

PYTEST = ("-m", "pytest")
VERBOSE = "-vv"  # these tests take minutes: the user sees which one runs
NOT_RUN = "NOT RUN"
BROWSERS = ("chromium", "google-chrome")


PYTHON = "python"


@dataclass(frozen=True)
class Tier:
    """One group of checks: a program with its arguments."""

    name: str
    arguments: tuple[str, ...]
    program: str = PYTHON
    """The program's file in .venv/bin."""
    files: tuple[str, ...] = ()
    """Patterns, relative to the project's folder, of the files that the program gets at its end."""
    step: Step | None = None
    """Builds the program, which is no Python package, where PATH does not have it."""
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


SHELL_FILES = (".ci/*", ".github/scripts/*.sh")
DELETES = ("runtime_observability/host/scripts/*.sh",)
"""Texts that Pulumi hands to sh. Their lists of Docker ids are split into words on purpose."""
YAML_FILES = (
    "*.yaml",
    "*.yml",
    ".*.yaml",
    ".github/**/*.yml",
    "config_templates/*.yaml",
    "examples/*/*.y*ml",
    "ktrace/expect/builtin/*.yaml",
)
"""Those that people write; tests/ has files that a program wrote."""
LINT = (
    Tier("ruff", ("-m", "ruff", "check", ".")),
    Tier("ruff format", ("-m", "ruff", "format", "--check", ".")),
    Tier("mypy", ("-m", "mypy", ".")),
    Tier("shellcheck", (), program="shellcheck", files=SHELL_FILES),
    Tier(
        "shellcheck of deletes",
        ("--shell", "sh", "--exclude", "SC2086"),
        program="shellcheck",
        files=DELETES,
    ),
    Tier("codespell", ("-m", "codespell_lib")),
    Tier("yamllint", ("-m", "yamllint", "--strict"), files=YAML_FILES),
    Tier(
        "actionlint",
        ("-shellcheck", ".venv/bin/shellcheck", "-pyflakes", ""),
        program="actionlint",
        step=programs.actionlint,
    ),
    Tier(
        "zizmor",
        ("--offline", "--no-progress", "--persona", "auditor", "."),
        program="zizmor",
    ),
    *(
        Tier(
            f"schema of {title}",
            ("-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"),
            files=(pattern,),
        )
        for title, schema, pattern in (
            ("workflows", "github-workflows", ".github/workflows/*.yml"),
            ("actions", "github-actions", "action.yml"),
            ("issue forms", "github-issue-forms", ".github/ISSUE_TEMPLATE/[0-9]*.yml"),
            ("issue links", "github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
            ("Renovate", "renovate", "renovate.json"),
        )
    ),
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
    nodes = tuple(node for tier in tiers for node in tier.nodes)
    plugins = tuple(plugin for tier in tiers for plugin in tier.plugins)
    variables = ready.make_ready(ready.Needs(found, nodes, plugins))
    if any(tier.needs_browser for tier in tiers):
        _prepare_browser()
    return {**variables, "RUNTIME_OBSERVABILITY_STACK": found.default_stack}


def _prepare_browser() -> None:
    """Install a browser where there is none; if that fails, only its own test is affected."""
    if not any(map(shutil.which, BROWSERS)):
        try:
            apt.install(["chromium"], "the test of ktrace's page")
        except LabError as error:
            print(error, flush=True)


def _run(tier: Tier, program: Path, variables: Mapping[str, str]) -> Outcome:
    print(f"\n== {tier.name}: {' '.join((*tier.arguments, *tier.files))}", flush=True)
    begun = time.monotonic()
    environ = {**os.environ, **variables, "PYTHONUNBUFFERED": "1"}
    # Not subprocess.run: after a Ctrl-C it would kill the tests, which then destroy their stacks.
    arguments = [*tier.arguments, *matching(tier.files)]
    with subprocess.Popen([program, *arguments], cwd=PROJECT, env=environ) as process:
        process.wait()
    good = process.returncode == 0
    return Outcome(tier, "passed" if good else "FAILED", time.monotonic() - begun, good=good)


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
    sys.stdout.flush()
