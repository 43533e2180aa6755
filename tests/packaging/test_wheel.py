"""The wheel: what is in it, and that it works where there is no checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any
from zipfile import Path as ZipPath
from zipfile import ZipFile

import grpc
import pytest
from packaging.requirements import Requirement
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from tests.configuration import PROJECT
from tests.unit.test_architecture import tracked
from tests.wheel import build, environment, install

TOP_LEVEL = {"ktrace", "runtime_observability"}
FOLDERS = {
    "components": "runtime_observability/components",
    "config_templates": "runtime_observability/config_templates",
    "ktrace": "ktrace",
    "runtime_observability": "runtime_observability",
}
"""Where each folder of the checkout is in the wheel; the others are not in it."""
IMPORT_ALL = """
import importlib, json, pkgutil
import ktrace, runtime_observability
from runtime_observability.components import TracedEnvironment, TracedEnvironmentArgs

files = [ktrace.__file__, runtime_observability.__file__]
for package in (ktrace, runtime_observability):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith(".__main__"):
            files.append(importlib.import_module(module.name).__file__)
print(json.dumps(files))
"""
READ_DATA = """
import json
from ktrace.expect import shipped
from runtime_observability.core import documents
from runtime_observability.host import runner

scripts = sorted(script.name for script in runner.SCRIPTS.iterdir())
kind = documents.template("k3d.yaml")["kind"]
print(json.dumps({"kind": kind, "scripts": scripts, "expectations": shipped.names()}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(wheel, tmp_path_factory.mktemp("installed"))


@pytest.fixture
def elsewhere(installed: Path, tmp_path: Path) -> Elsewhere:
    return Elsewhere(installed, tmp_path)


class Elsewhere:
    """Python in an empty folder, with the installed wheel and this Python's other packages.

    With -S, as site would load this project's editable install, which finds the checkout.
    """

    def __init__(self, installed: Path, folder: Path) -> None:
        self._folder = folder
        path = [str(installed), *map(sysconfig.get_path, ("purelib", "platlib"))]
        self._environment = {
            "HOME": str(folder),
            "PATH": str(folder),
            "PYTHONPATH": os.pathsep.join(path),
        }

    def python(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", "-P", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self._folder,
            env=self._environment,
            check=False,
        )

    def printed(self, program: str) -> Any:
        """The JSON document that ``program`` prints."""
        ended = self.python("-c", program)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)


def _in_wheel() -> Iterator[str]:
    for file in tracked("*"):
        folder, _, rest = file.partition("/")
        if rest and folder in FOLDERS:
            yield f"{FOLDERS[folder]}/{rest}"


def _content(wheel: Path) -> set[str]:
    """All but the metadata."""
    return {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}


def _metadata(wheel: Path) -> PathDistribution:
    (folder,) = (path for path in ZipPath(wheel).iterdir() if path.name.endswith(".dist-info"))
    return PathDistribution(folder)


def test_no_other_name_is_taken(wheel: Path) -> None:
    assert {name.partition("/")[0] for name in _content(wheel)} == TOP_LEVEL


def test_every_file_of_the_library_is_in_the_wheel_and_no_other(wheel: Path) -> None:
    content, wanted = _content(wheel), set(_in_wheel())
    missing, unwanted = wanted - content, content - wanted
    assert (missing, unwanted) == (set(), set()), "pyproject.toml lists packages and package-data"


@pytest.mark.parametrize("package", sorted(TOP_LEVEL))
def test_a_type_checker_reads_the_annotations(wheel: Path, package: str) -> None:
    assert f"{package}/py.typed" in _content(wheel)


def test_the_metadata_names_the_dependencies(wheel: Path) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    metadata = _metadata(wheel)
    assert project["dependencies"]
    assert set(map(Requirement, metadata.requires or [])) == set(
        map(Requirement, project["dependencies"])
    )
    assert metadata.metadata["Requires-Python"] == project["requires-python"]


def test_ktrace_is_a_command_and_a_plugin_of_kubectl(wheel: Path) -> None:
    assert {script.name: script.value for script in _metadata(wheel).entry_points} == {
        "ktrace": "ktrace.cli:main",
        "kubectl-ktrace": "ktrace.cli:main",
        "kubectl_complete-ktrace": "ktrace.completion:for_kubectl",
    }


def test_every_module_can_be_imported(elsewhere: Elsewhere, installed: Path) -> None:
    imported = {Path(file).relative_to(installed) for file in elsewhere.printed(IMPORT_ALL)}
    modules = {Path(file) for file in _in_wheel() if file.endswith(".py")}
    assert imported == modules - {Path("ktrace/__main__.py")}


def test_templates_scripts_and_expectations_are_found(elsewhere: Elsewhere) -> None:
    scripts = sorted(Path(file).name for file in tracked("runtime_observability/host/scripts/*"))
    expectations = sorted(Path(file).stem for file in tracked("ktrace/expect/builtin/*"))
    assert scripts
    assert expectations
    assert elsewhere.printed(READ_DATA) == {
        "kind": "Simple",
        "scripts": scripts,
        "expectations": expectations,
    }


def test_ktrace_runs(elsewhere: Elsewhere) -> None:
    ended = elsewhere.python("-m", "ktrace", "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Usage:" in ended.stdout


def test_what_a_command_resource_runs_is_found(elsewhere: Elsewhere) -> None:
    document = {"container": "none", "url": "http://127.0.0.1:9/", "seconds": 1}
    ended = elsewhere.python(
        "-m", "runtime_observability.host.readiness", stdin=json.dumps(document)
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: `docker` is not on PATH")


# --- programs that use it -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "program",
    [
        "examples/own-chart/__main__.py",
        "examples/stack-reference/__main__.py",
        "examples/pytest-traces",
        "provider/__main__.py",
        "tests/engine/programs/pair/__main__.py",
    ],
)
@pytest.mark.timeout(240)  # the first reads all packages, the others what it has stored
def test_a_type_checker_accepts_the_examples(
    program: str, python: Path, tmp_path: Path, type_cache: Path
) -> None:
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file="),
            *(f"--python-executable={python}", f"--cache-dir={type_cache}", PROJECT / program),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


@pytest.fixture(scope="module")
def type_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("types")


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a virtual environment with the wheel."""
    return environment(wheel, tmp_path_factory.mktemp("venv"))


def test_the_plugin_serves_the_schema_of_the_wheel(python: Path, tmp_path: Path) -> None:
    """As the engine starts it; an engine of today asks it for the schema."""
    with subprocess.Popen(
        [python, str(PROJECT / "provider"), "127.0.0.1:1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as plugin:
        try:
            assert plugin.stdout is not None
            port = int(plugin.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = provider_pb2_grpc.ResourceProviderStub(channel)
                answer = stub.GetSchema(provider_pb2.GetSchemaRequest(version=0), timeout=20)
        finally:
            plugin.terminate()
    schema = json.loads(answer.schema)
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert (schema["name"], schema["version"]) == ("runtime-observability", project["version"])
    assert list(schema["resources"]) == ["runtime-observability:index:TracedEnvironment"]
