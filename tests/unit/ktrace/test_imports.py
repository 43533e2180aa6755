"""What a program loads: Pulumi and the Kubernetes client take most of a second each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.configuration import PROJECT
from tests.fakes import starts
from tests.fakes.http import FakeServer, Reply, write_kubeconfig
from tests.fakes.jaeger import served
from tests.fakes.starts import Api


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


@pytest.mark.parametrize(
    "module",
    [
        "components",
        "ktrace.pipeline.probe",
        "runtime_observability.host.readiness",
        "runtime_observability.host.ensure",
    ],
)
def test_what_up_waits_for_loads_no_command_line(module: str) -> None:
    modules = loaded(module)
    assert "httpx" in modules
    assert modules & {"rich", "click", "pygments"} == set()


def test_a_pod_is_shown_without_the_model_of_the_settings() -> None:
    modules = loaded("ktrace.commands.show_start, ktrace.target.losses, ktrace.podstart.search")
    assert "pydantic" not in modules


def test_a_pod_is_shown_without_what_typer_converts_values_with(tmp_path: Path) -> None:
    started = starts.sync(20, starts.started("c0", 30), update="create")
    jaeger = FakeServer(served(starts.handler(starts.created(), started)))
    found = Api(starts.pod({"c0": starts.running(40)}))
    api = FakeServer(lambda request: Reply(200, found.get(request.path)))
    write_kubeconfig(tmp_path / "kubeconfig", api.url)
    try:
        modules = loaded_by_ktrace(
            *("show", "a", "--jaeger", jaeger.url, "--kubeconfig", str(tmp_path / "kubeconfig"))
        )
    finally:
        jaeger.stop()
        api.stop()
    assert "httpx" in modules
    assert modules & {"pydantic", "pulumi", "kubernetes", "ktrace.rollout.cluster"} == set()


SLOW = {"pulumi", "kubernetes", "pydantic", "rich", "httpx", "urllib3", "ssl", "asyncio", "jinja2"}
"""What is imported by the work of a command, and never to tell its options."""
COMMANDS = ("doctor", "verify", "run", "show", "assert", "render", "open")


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
    [("--help",), ("--version",), *((command, "--help") for command in COMMANDS)],
    ids=" ".join,
)
def test_help_loads_nothing_slow(arguments: tuple[str, ...]) -> None:
    modules = loaded_by_ktrace(*arguments)
    assert modules & SLOW == set()
    own = {f"ktrace.commands.{word}" for word in arguments if not word.startswith("-")}
    assert own <= {name.rstrip("_") for name in modules}


@pytest.mark.parametrize(
    "words", ["ktrace s", "ktrace --v", *(f"ktrace {command} --j" for command in COMMANDS)]
)
def test_completion_loads_nothing_slow(words: str) -> None:
    modules = loaded_by_ktrace(
        _KTRACE_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(words.count(" "))
    )
    assert modules & SLOW == set()
    own = f"ktrace.commands.{words.split()[1]}"
    loaded_commands = {name for name in modules if name.startswith("ktrace.commands.")}
    assert {name.rstrip("_") for name in loaded_commands} <= {own, "ktrace.commands.output_file"}
