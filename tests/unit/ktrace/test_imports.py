"""What a program loads: Pulumi and the Kubernetes client take most of a second each."""

from __future__ import annotations

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


def test_show_loads_no_kubernetes_client() -> None:
    assert "kubernetes" not in loaded("ktrace.commands.show")
