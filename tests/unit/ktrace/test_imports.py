"""What a program loads: Pulumi and the Kubernetes client take most of a second each."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.configuration import PROJECT


def loaded(module: str) -> set[str]:
    """The modules in a fresh interpreter that has imported ``module``."""
    program = f"import sys, {module}; print(*sys.modules)"
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return set(finished.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "ktrace.commands.show",
        "ktrace.pipeline.probe",
        "runtime_observability.host.readiness",
        "runtime_observability.host.ensure",
        "runtime_observability.host.build_node_image",
        "ktrace.cli",
    ],
)
def test_what_only_reads_or_runs_commands_loads_no_pulumi(module: str) -> None:
    assert "pulumi" not in loaded(module)


SLOW = {"pulumi", "kubernetes", "httpx", "urllib3"}


def loaded_by_ktrace(*arguments: str, **variables: str) -> set[str]:
    """The modules that are loaded when ktrace ends."""
    program = (
        "import atexit, sys\n"
        f"sys.argv = ['ktrace', *{arguments!r}]\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from ktrace.cli import main\n"
        "main()\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout, "it has printed something"
    return set(finished.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [("show", "--help"), ("open", "--help"), ("assert", "--help"), ("--help",), ("--version",)],
    ids=" ".join,
)
def test_help_loads_nothing_slow(arguments: tuple[str, ...]) -> None:
    modules = loaded_by_ktrace(*arguments)
    assert "ktrace.cli" in modules
    assert modules & SLOW == set()


@pytest.mark.parametrize("command", ["verify", "doctor"])
def test_help_of_what_looks_at_the_machine_loads_no_client_of_a_cluster(command: str) -> None:
    assert loaded_by_ktrace(command, "--help") & {"pulumi", "kubernetes"} == set()


@pytest.mark.parametrize(
    ("words", "completed"), [("ktrace s", set()), ("ktrace show --j", {"ktrace.commands.show"})]
)
def test_completion_loads_nothing_slow(words: str, completed: set[str]) -> None:
    modules = loaded_by_ktrace(
        _KTRACE_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(words.count(" "))
    )
    assert modules & SLOW == set()
    assert {name for name in modules if name.startswith("ktrace.commands.")} == completed
