"""What may import what: the rules of the layout as data, checked in the source."""

from __future__ import annotations

import ast
import fnmatch
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.configuration import PROJECT

PULUMI = {"pulumi", "pulumi_command", "pulumi_docker", "pulumi_kubernetes"}
MACHINE = {"httpx", "kubernetes", "socket", "subprocess", "urllib3"}
FORBIDDEN = {
    "runtime_observability/core/": PULUMI
    | MACHINE
    | {"runtime_observability.host", "components", "ktrace", "lab"},
    "runtime_observability/host/": PULUMI | {"components", "ktrace", "lab"},
    "components/": {"components", "ktrace", "lab"},
    "ktrace/": PULUMI | {"components", "lab"},
    "lab/": {"components", "ktrace", "pulumi_command", "pulumi_docker"},
    "examples/": {"components", "lab", "tests"},
    "provider/": {"components", "ktrace", "lab"},
    "__main__.py": {"ktrace", "lab", "runtime_observability.host"},
}
"""By the beginning of a file's path: what no file there imports, nor anything inside it.

components/ imports itself relatively, as it has another name in a wheel.
"""
RESOURCES = {"environment_args.py", "stack_config.py"}
"""The files of components/ that hold no component: what the environment is made from."""


def tracked(pattern: str = "*.py") -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return [file for file in listed.splitlines() if (PROJECT / file).is_file()]


def imported(file: str) -> Iterator[str]:
    """The modules that ``file`` imports, anywhere in it, without its relative imports."""
    for node in ast.walk(ast.parse((PROJECT / file).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_inside(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("place", FORBIDDEN)
def test_imports_go_one_way(place: str) -> None:
    files = [file for file in tracked() if file.startswith(place)]
    assert files, f"no file is in {place}"
    wrong = {
        f"{file} imports {module}"
        for file in files
        for module in imported(file)
        if is_inside(module, FORBIDDEN[place])
    }
    assert wrong == set()


def test_the_rules_see_an_import_that_breaks_them(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(
        "def f():\n    from runtime_observability import host\n    import pulumi.log\n"
    )
    found = set(imported(str(broken)))
    assert any(is_inside(module, {"runtime_observability.host"}) for module in found)
    assert any(is_inside(module, PULUMI) for module in found)


def test_the_program_reads_as_its_diagram() -> None:
    assert len((PROJECT / "__main__.py").read_text().splitlines()) < 40


def test_components_holds_components_and_what_they_share() -> None:
    public = [
        Path(file).name
        for file in tracked("components/*.py")
        if not Path(file).name.startswith("_") and Path(file).name not in RESOURCES
    ]
    assert public
    for name in public:
        classes = [
            node
            for node in ast.walk(ast.parse((PROJECT / "components" / name).read_text()))
            if isinstance(node, ast.ClassDef)
        ]
        bases = {ast.unparse(base) for node in classes for base in node.bases}
        assert bases <= {"pulumi.ComponentResource", "Backend"}, name
        assert classes, name


def test_pytest_looks_into_every_folder_of_tests(pytestconfig: pytest.Config) -> None:
    """Its own list of folders to pass over has names that ours have, too: build."""
    passed_over = pytestconfig.getini("norecursedirs")
    folders = {part for file in tracked("tests/*.py") for part in Path(file).parent.parts}
    assert "build" in folders
    assert not any(fnmatch.fnmatch(name, pattern) for name in folders for pattern in passed_over)
