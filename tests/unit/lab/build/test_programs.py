"""The programs' modules, and the wrapper of Pulumi's language host."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from lab.build import programs
from lab.build.go_tool import GoTool
from lab.build.steps import Workbench, prepare
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
