"""Every pin is written where it is used, and nowhere with another release."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lab import pins
from lab.build import programs
from lab.paths import PROJECT
from runtime_observability.core import support
from runtime_observability.core.compatibility import OLDEST_K3D, OLDEST_PULUMI
from runtime_observability.core.versions import Version
from tests.configuration import defaults
from tests.unit.lab.pinned import disagreements


def test_what_is_pinned_is_what_is_written() -> None:
    assert disagreements(PROJECT) == []


@pytest.mark.parametrize("file", ["components.go", "go.mod", "main.go"])
def test_the_collectors_generated_files_are_of_its_manifest(file: str) -> None:
    found = pins.read()
    text = (PROJECT / "lab" / "go" / "collector" / file).read_text()
    wanted = {
        "components.go": f"otlpreceiver v{found.programs['collector']}",
        "go.mod": f"otlpreceiver v{found.programs['collector']}\n",
        "main.go": f"envprovider {found.modules['collector-module']}",
    }
    assert wanted[file] in text


def test_the_defaults_are_the_pins() -> None:
    found = pins.read()
    assert defaults()["k3sVersion"] == f"v{programs.KUBERNETES}-k3s1" == f"v{support.DEFAULT_K3S}"
    assert defaults()["jaegerVersion"] == found.programs["jaeger"]
    assert defaults()["collectorVersion"] == found.programs["collector"]
    assert defaults()["openSearchVersion"] == found.java["opensearch"]


def test_a_kubernetes_is_pinned_for_its_minor() -> None:
    found = pins.read()
    releases = [Version.parse(release) for release in found.kubernetes.values()]
    assert releases == sorted(releases)
    assert [f"1.{release.minor}" for release in releases] == list(found.kubernetes)
    assert found.kubernetes_default in found.kubernetes


def test_what_the_lab_builds_is_not_too_old_for_the_program() -> None:
    found = pins.read().programs
    assert Version.parse(found["k3d"]) >= OLDEST_K3D
    assert Version.parse(found["pulumi"]) >= OLDEST_PULUMI


@pytest.mark.parametrize(
    "package", [name for name in pins.read().plugins if name != "pulumi-kubernetes"]
)
def test_a_plugin_is_of_the_release_that_the_program_installs(package: str) -> None:
    requirements = (PROJECT / "requirements.txt").read_text()
    assert f"\n{package}=={pins.read().plugins[package]} " in requirements


def test_no_other_file_of_the_lab_names_a_pinned_release() -> None:
    """Comments and docstrings may: they cite sources."""
    found = pins.read()
    tables = (found.programs, found.kubernetes, found.plugins, found.java)
    releases = {release for table in tables for release in table.values()}
    assert {
        f"{file.relative_to(PROJECT)}: {text}"
        for file in (PROJECT / "lab").rglob("*.py")
        for text in _strings(file)
        if any(release in text for release in releases)
    } == set()


def _strings(file: Path) -> list[str]:
    """The texts of a file's expressions: docstrings are statements of their own."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    alone = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    constants = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in alone]
    return [node.value for node in constants if isinstance(node.value, str)]


def test_a_release_in_the_lab_is_found(tmp_path: Path) -> None:
    """Tests ``_strings`` itself."""
    file = tmp_path / "x.py"
    file.write_text('"""As in 1.2.3."""\nK3D = "5.9.0"  # 7.7.7\nrun(f"v{K3D}-3.4.5")\n')
    assert _strings(file) == ["5.9.0", "v", "-3.4.5"]
