"""The programs' modules, and the wrapper of Pulumi's language host."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lab.build import programs
from lab.paths import LAB


@pytest.mark.parametrize("version", programs.KUBERNETES_VERSIONS)
def test_a_kubernetes_is_built_of_the_release_that_it_says_it_is(version: str) -> None:
    module = LAB / "go" / f"kubernetes-{version.rpartition('.')[0]}" / "go.mod"
    assert f"require k8s.io/kubernetes v{version}\n" in module.read_text()
    assert module.parent in programs.kubernetes[version].inputs


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("    virtualenv: .venv", ["-virtualenv=.venv"]),
        ("    virtualenv: '.my venv' # ours", ["-virtualenv=.my venv"]),
        ("    toolchain: pip", []),
    ],
)
def test_the_language_host_is_given_the_projects_virtual_environment(
    tmp_path: Path, line: str, flags: list[str]
) -> None:
    wrapper = tmp_path / "bin" / "pulumi-language-python"
    (tmp_path / "bin" / "host").mkdir(parents=True)
    shutil.copy(LAB / "go" / wrapper.name, wrapper)
    host = tmp_path / "bin" / "host" / wrapper.name
    host.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    host.chmod(0o755)
    project = tmp_path / "project"
    (project / "below").mkdir(parents=True)
    (project / "Pulumi.yaml").write_text(f"runtime:\n  name: python\n  options:\n{line}\n")
    for folder in (project, project / "below"):
        given = subprocess.run(
            [wrapper, "127.0.0.1:1"], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        root = [f"-root={project}"] if flags else []
        assert given == [*root, *flags, "127.0.0.1:1"]
