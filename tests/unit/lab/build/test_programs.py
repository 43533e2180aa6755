"""The programs' modules, and the wrapper of Pulumi's language host."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lab.build import language_host, programs
from lab.build.go_tool import GoTool
from lab.build.steps import prepare
from lab.build.workbench import Workbench
from lab.paths import LAB, Cache


@pytest.mark.parametrize("version", programs.KUBERNETES_VERSIONS)
def test_a_kubernetes_is_built_of_the_release_that_it_says_it_is(version: str) -> None:
    module = LAB / "go" / f"kubernetes-{version.rpartition('.')[0]}" / "go.mod"
    assert f"require k8s.io/kubernetes v{version}\n" in module.read_text()
    assert module.parent in programs.kubernetes[version].inputs


def test_kubectl_alone_is_linked_from_the_kubernetes_of_the_nodes(cache: Cache) -> None:
    (kubernetes,) = programs.kubectl.needs
    assert kubernetes is programs.kubernetes[programs.KUBERNETES]
    built = kubernetes.output(cache)
    built.mkdir(parents=True)
    for program in ("kubectl", "kubelet"):
        (built / program).write_text(program)
    output = prepare(cache, [programs.kubectl])["kubectl"]
    assert [found.name for found in output.iterdir()] == ["kubectl"]
    assert (output / "kubectl").samefile(built / "kubectl"), "it takes no space of its own"


@pytest.mark.parametrize(
    ("runtime", "virtualenv"),
    [
        ("\n  name: python\n  options:\n    virtualenv: .venv", ".venv"),
        ("{name: python, options: {virtualenv: .venv}}", ".venv"),
        ('{"name": "python", "options": {"virtualenv": "/opt/my venv"}}', "/opt/my venv"),
        ("\n  name: python\n  options:\n    virtualenv: '.my # venv' # ours", ".my # venv"),
        ("\n  name: python\n  options: {toolchain: pip,\n    virtualenv: ../venv}", "../venv"),
        ("\n  name: python\n  options:\n    toolchain: pip # virtualenv: .venv", None),
        ("\n  name: python\n  options:", None),
        ("python\ndescription: 'virtualenv: .venv'", None),
    ],
)
def test_the_language_host_gets_the_projects_virtual_environment(
    tmp_path: Path, runtime: str, virtualenv: str | None
) -> None:
    project = tmp_path / "my project"
    (project / "below").mkdir(parents=True)
    (project / "Pulumi.yaml").write_text(f"name: traced\nruntime: {runtime}\n")
    wanted = [f"-root={project}", f"-virtualenv={virtualenv}"] if virtualenv else []
    for folder in (project, project / "below"):
        assert language_host.flags(folder) == wanted


@pytest.mark.parametrize("name", ["Pulumi.json", "Pulumi.yaml", "Pulumi.yml"])
def test_the_projects_file_is_the_nearest_one_under_each_of_its_names(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("runtime: {options: {virtualenv: of-another-project}}")
    nearest = tmp_path / "nearest"
    nearest.mkdir()
    (nearest / name).write_text('{"runtime": {"options": {"virtualenv": ".venv"}}}')
    assert language_host.flags(nearest) == [f"-root={nearest}", "-virtualenv=.venv"]


def test_a_folder_without_a_project_has_no_flags(tmp_path: Path) -> None:
    assert language_host.flags(tmp_path) == []


@pytest.fixture
def built_pulumi(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The step's output, with a host that prints its arguments and its script's first line."""
    sources = cache.go_modules / "github.com/pulumi/pulumi/sdk/v3@v3.68.0/python"
    for script in (
        "cmd/pulumi-language-python-exec",
        "dist/pulumi-resource-pulumi-python",
        "dist/pulumi-analyzer-policy-python",
    ):
        (sources / script).parent.mkdir(parents=True, exist_ok=True)
        (sources / script).write_text("# Pulumi's own\n")

    def compile_tool(tool: GoTool, bench: Workbench, into: Path) -> None:
        into.mkdir(exist_ok=True)
        program = into / tool.packages[0].rpartition("/")[2]
        program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nhead -1 "$0-exec"\n')
        program.chmod(0o755)

    monkeypatch.setattr(GoTool, "compile", compile_tool)
    return prepare(cache, [programs.pulumi])["pulumi"]


def test_the_engine_finds_the_language_host_and_its_scripts_beside_its_own_program(
    built_pulumi: Path,
) -> None:
    beside = {
        "pulumi",
        "pulumi-language-python",
        "pulumi-resource-pulumi-python",
        "pulumi-analyzer-policy-python",
    }
    files = {file.name: file for file in built_pulumi.iterdir() if file.is_file()}
    assert files.keys() == beside
    for file in files.values():
        # The engine resolves symbolic links before it looks beside its program.
        assert not file.is_symlink()
        assert os.access(file, os.X_OK)


def test_the_built_language_host_reads_the_project_without_packages_of_the_user(
    built_pulumi: Path, tmp_path: Path
) -> None:
    project = tmp_path / "my project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("runtime: {name: python, options: {virtualenv: .venv}}")
    for trap in ("yaml.py", "runpy.py", "language_host.py"):
        (project / trap).write_text("raise SystemExit('a module of the project was imported')")
    given = subprocess.run(
        [built_pulumi / "pulumi-language-python", "127.0.0.1:1"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), "PYTHONHOME": str(project)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    flags = [f"-root={project}", "-virtualenv=.venv", "127.0.0.1:1"]
    assert given == [*flags, programs._DEFAULT_SIGINT.rstrip()]


def test_a_program_imports_nothing_of_the_language_hosts(built_pulumi: Path) -> None:
    """Python searches the folder of the script that it runs before the virtual environment."""
    beside = {file.name for file in (built_pulumi / "host").iterdir()} - {"__pycache__"}
    assert beside == {"launcher", "pulumi-language-python", "pulumi-language-python-exec"}


def test_a_change_of_the_language_host_leaves_the_engine_built() -> None:
    engine, host = programs.pulumi.needs
    assert engine.name == "pulumi-engine"
    assert [part for part in engine.inputs if isinstance(part, Path)] == [LAB / "go" / "pulumi"]
    assert engine.needs == ()
    assert Path(language_host.__file__) in host.inputs
    other_host = replace(host, inputs=("another",))
    assert replace(programs.pulumi, needs=(engine, other_host)).key != programs.pulumi.key


def test_the_kubernetes_plugin_is_built_of_the_module_whose_schema_it_reads() -> None:
    module = LAB / "go" / "pulumi-kubernetes" / "go.mod"
    name, version = programs.PULUMI_KUBERNETES_MODULE.split("@")
    assert f"require {name} {version}\n" in module.read_text()
    assert module.parent in programs.pulumi_kubernetes.inputs


def test_the_kubernetes_plugin_has_its_schema_beside_it_with_the_version(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = cache.go_modules / programs.PULUMI_KUBERNETES_MODULE

    def compile_tool(tool: GoTool, bench: Workbench, into: Path) -> None:
        (into / tool.name).touch()
        sources = module / "cmd" / "pulumi-resource-kubernetes"
        sources.mkdir(parents=True)
        (sources / "schema.json").write_text('{"name": "kubernetes"}')
        (sources / "terraform-mapping.json").write_text("{}")

    monkeypatch.setattr(GoTool, "compile", compile_tool)
    built = prepare(cache, [programs.pulumi_kubernetes])["pulumi-kubernetes"]
    files = {"pulumi-kubernetes", "schema.json", "terraform-mapping.json"}
    assert {file.name for file in built.iterdir()} == files
    schema = json.loads((built / "schema.json").read_text())
    assert schema == {"name": "kubernetes", "version": programs.PULUMI_KUBERNETES}
