"""Renovate finds every pin, and pre-commit has the pins of requirements-dev.txt."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from lab.commands.lock import LOCKED
from runtime_observability.core import compatibility
from runtime_observability.core.versions import Version
from tests.configuration import PROJECT, SCHEMA
from tests.unit.github import files
from tests.unit.test_architecture import tracked

RENOVATE = json.loads((PROJECT / "renovate.json").read_text())
PINS = PROJECT / "lab" / "pins.toml"
PRE_COMMIT = PROJECT / ".pre-commit-config.yaml"
_LINES = (PROJECT / "requirements-dev.txt").read_text().splitlines()
PACKAGES = {
    found[1]: found[2] for line in _LINES if (found := re.match(r"([\w.-]+)==([^\s;\\]+)", line))
}
ACTIONLINT = re.search(
    r"(github\.com/rhysd/actionlint) (v\S+)",
    (PROJECT / "lab" / "go" / "actionlint" / "go.mod").read_text(),
)


# --- Renovate -------------------------------------------------------------------------------------


def matched(manager: dict[str, Any], file: str) -> Iterator[str]:
    """The versions that a custom manager finds in a file, as Renovate applies its expressions."""
    patterns = [pattern.replace("(?<", "(?P<") for pattern in manager["matchStrings"]]
    text = (PROJECT / file).read_text()
    for pattern in patterns:
        yield from (found["currentValue"] for found in re.finditer(pattern, text))


def managers_of(file: str) -> list[dict[str, Any]]:
    return [
        manager
        for manager in RENOVATE["customManagers"]
        if any(re.search(pattern.strip("/"), file) for pattern in manager["managerFilePatterns"])
    ]


def found_in(file: str) -> Counter[str]:
    return Counter(version for manager in managers_of(file) for version in matched(manager, file))


def test_every_manager_has_a_file_and_finds_a_pin_in_each() -> None:
    known = tracked("*")
    for manager in RENOVATE["customManagers"]:
        for pattern in manager["managerFilePatterns"]:
            its = [file for file in known if re.search(pattern.strip("/"), file)]
            assert its, pattern
            assert all(any(matched(manager, file)) for file in its), manager["description"]


def test_every_pin_of_the_lab_is_found() -> None:
    pins = tomllib.loads(PINS.read_text())
    programs = {key: value for key, value in pins.items() if isinstance(value, str)}
    kept = {"language-host", "kubernetes-default"}  # the proxy has no newer host; a minor
    assert kept < set(programs)
    wanted = [value for key, value in programs.items() if key not in kept]
    wanted += [*pins["kubernetes"].values(), *pins["plugins"].values()]
    assert found_in("lab/pins.toml") == Counter(wanted)


def test_the_releases_of_a_stack_are_found() -> None:
    keys = ("k3sVersion", "jaegerVersion", "collectorVersion")
    assert found_in("Pulumi.yaml") == Counter(SCHEMA[key]["default"] for key in keys)


def test_the_releases_of_the_matrix_are_found() -> None:
    file = ".github/workflows/stack.yml"
    tags = files.read(PROJECT / file)["jobs"]["release"]["strategy"]["matrix"]["k3s"]
    assert found_in(file) == Counter(tags)


def test_the_version_tables_newest_releases_and_containerds_are_found() -> None:
    newest = (
        compatibility.NEWEST_KNOWN_K3S,
        compatibility.NEWEST_KNOWN_JAEGER,
        compatibility.NEWEST_KNOWN_COLLECTOR,
    )
    k3s = [f"1.{minor}.{patch}" for minor in range(27, 38) for patch in range(1, 11)]
    upstream = compatibility.UPSTREAM_CONTAINERD
    containerds = {upstream.at(Version.parse(release)).version for release in k3s}
    assert found_in("runtime_observability/core/compatibility.py") == Counter(
        [*map(str, newest), *containerds]
    )


def test_every_manager_names_what_it_updates() -> None:
    for manager in RENOVATE["customManagers"]:
        named = "depNameTemplate" in manager or any(
            "(?<depName>" in pattern for pattern in manager["matchStrings"]
        )
        assert named, manager["description"]
        assert manager["datasourceTemplate"] in {"docker", "github-releases", "go", "pypi"}


def test_the_versioning_of_k3s_reads_a_tag() -> None:
    (manager,) = (
        manager for manager in RENOVATE["customManagers"] if manager.get("depNameTemplate") == "k3s"
    )
    pattern = manager["versioningTemplate"].removeprefix("regex:").replace("(?<", "(?P<")
    found = re.match(pattern, SCHEMA["k3sVersion"]["default"])
    assert found is not None
    assert set(found.groupdict()) == {"major", "minor", "patch", "build"}


# --- pre-commit -----------------------------------------------------------------------------------


def hooks() -> dict[str, dict[str, Any]]:
    (repository,) = yaml.safe_load(PRE_COMMIT.read_text())["repos"]
    assert repository["repo"] == "local"
    return {hook["id"]: hook for hook in repository["hooks"]}


def test_pre_commit_has_the_pins_of_the_requirements() -> None:
    assert ACTIONLINT is not None
    for name, hook in hooks().items():
        match hook["language"]:
            case "python":
                (package, pin), *others = (
                    text.split("==") for text in hook["additional_dependencies"]
                )
                assert not others
                assert PACKAGES[package] == pin, name
            case "golang":
                module, version = ACTIONLINT.groups()
                assert hook["additional_dependencies"] == [f"{module}/cmd/actionlint@{version}"]
            case language:
                assert (name, language) == ("mypy", "system")


def test_pre_commit_runs_what_make_lint_runs() -> None:
    assert set(hooks()) == {
        "ruff",
        "ruff-format",
        "mypy",
        "codespell",
        "yamllint",
        "shellcheck",
        "shellcheck-deletes",
        "actionlint",
        "zizmor",
    }


def test_files_that_another_tool_needs_are_named_alike() -> None:
    """The shell files of pre-commit are those of make lint."""
    names = ("shellcheck", "shellcheck-deletes")
    shell = re.compile("|".join(hooks()[name]["files"] for name in names))
    scripts = [file for file in tracked("*.sh") if Path(file).parts[0] != "tests"]
    assert scripts
    assert [file for file in scripts if not shell.search(file)] == []


def test_renovate_raises_the_requirements_that_people_write_and_not_the_locked_ones() -> None:
    (pattern,) = RENOVATE["pip_requirements"]["managerFilePatterns"]
    written = {file for file in tracked("*.in") if re.search(pattern.strip("/"), file)}
    assert written == {f"{name}.in" for name in LOCKED}
    ignored = RENOVATE["ignorePaths"]
    assert all(any(fnmatch(f"{name}.txt", path) for path in ignored) for name in LOCKED)
