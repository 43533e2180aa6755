"""The scripts of the workflows: a release's changes, the newest releases, the nightly issue."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

from runtime_observability.core import compatibility
from runtime_observability.core.versions import Version
from tests.configuration import PROJECT, SCHEMA
from tests.fakes.executables import Answer, Call, Executables
from tests.unit.github import files

CHANGELOG = """# Changelog

## Unreleased

- not yet

## [1.2.3] - 2026-11-01

### Added
- a thing

## 1.2.30

- another
"""


def changes(version: str) -> str:
    return str(files.script("changes.py").section(CHANGELOG, version))


def test_a_release_has_its_own_section() -> None:
    assert changes("1.2.3") == "### Added\n- a thing\n"
    assert changes("1.2.30") == "- another\n"


@pytest.mark.parametrize("version", ["1.2", "1.2.4", "1x2.3"])
def test_a_release_without_a_section_is_refused(version: str) -> None:
    with pytest.raises(ValueError, match=f"no section for {version}: add it before the tag"):
        changes(version)


def test_a_tag_is_the_version_of_the_project() -> None:
    version_of = files.script("changes.py").version_of
    assert version_of("v1.2.3", '[project]\nversion = "1.2.3"') == "1.2.3"
    for tag in ("1.2.3", "v1.2.4"):
        with pytest.raises(ValueError, match=r"pyproject.toml has version 1\.2\.3"):
            version_of(tag, '[project]\nversion = "1.2.3"')


def test_a_release_is_a_wheel_with_its_checksum_and_its_changes(tmp_path: Path) -> None:
    scripts = tmp_path / ".github" / "scripts"
    scripts.mkdir(parents=True)
    for name in ("build-release.sh", "changes.py"):
        (scripts / name).write_bytes((files.SCRIPTS / name).read_bytes())
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "small"\nversion = "1.2.3"\n'
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[tool.setuptools]\npy-modules = ["small"]\n'
    )
    (tmp_path / "small.py").write_text("")
    build = ["bash", str(scripts / "build-release.sh")]
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run([*build, "v1.2.3"], env=environment, check=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert "small.py" in ZipFile(wheel).namelist()
    assert (tmp_path / "dist" / "CHANGES.md").read_text() == "### Added\n- a thing\n"
    checksum = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert (tmp_path / "dist" / "SHA256SUMS").read_text() == f"{checksum}  {wheel.name}\n"
    refused = subprocess.run(
        [*build, "v9.9.9"], env=environment, stderr=subprocess.PIPE, text=True, check=False
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: the tag is v9.9.9")


# --- the newest releases --------------------------------------------------------------------------


def beyond(known: Version, patch: int = 1) -> str:
    return f"{known.major}.{known.minor}.{known.patch + patch}"


def test_the_newest_release_beyond_the_known_ones_is_tried() -> None:
    newest = files.script("newest.py")
    known = Version.parse("1.37.1")
    tags = ["v1.37.2+k3s1", "v1.38.0-rc1+k3s1", "v1.37.10+k3s2", "v1.36.9+k3s1", "no-release"]
    assert str(newest.newest(tags, known)) == "1.37.10-k3s2"
    assert newest.newest(["v1.37.1+k3s1", "v1.36.9+k3s1"], known) is None
    assert newest.newest([], known) is None


def test_what_is_tried_is_a_stacks_configuration() -> None:
    newest = files.script("newest.py")
    assert set(newest.KNOWN) <= set(SCHEMA)
    k3s = f"v{beyond(compatibility.NEWEST_KNOWN_K3S)}"
    collector = beyond(compatibility.NEWEST_KNOWN_COLLECTOR, 7)
    tags = {
        "k3sVersion": [f"{k3s}+k3s1"],
        "jaegerVersion": [f"v{compatibility.NEWEST_KNOWN_JAEGER}"],
        "collectorVersion": [f"v{collector}"],
    }
    expected = {"k3sVersion": f"{k3s}-k3s1", "collectorVersion": collector}
    assert yaml.safe_load(newest.configuration(tags)) == expected
    assert newest.configuration({key: [] for key in tags}) == ""


def test_the_workflow_hands_the_tags_over_in_the_scripts_order(tmp_path: Path) -> None:
    k3s = beyond(compatibility.NEWEST_KNOWN_K3S)
    (tmp_path / "k3s.tags").write_text(f"v{k3s}+k3s1\n")
    for name in ("jaeger", "opentelemetry-collector-releases"):
        (tmp_path / f"{name}.tags").write_text("")
    workflow = files.read(PROJECT / ".github/workflows/nightly.yml")
    (step,) = (step for step in workflow["jobs"]["newest"]["steps"] if step.get("id") == "newest")
    (tmp_path / "gh").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "gh").chmod(0o755)
    asked = step["run"].replace('> "$RUNNER_TEMP', '>> "$RUNNER_TEMP')  # the tags stay
    outputs = tmp_path / "outputs"
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", asked],
        cwd=PROJECT,
        env={
            "PATH": f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_OUTPUT": str(outputs),
        },
        check=True,
    )
    assert outputs.read_text() == f"config<<END\nk3sVersion: v{k3s}-k3s1\nEND\n"


# --- the nightly issue ----------------------------------------------------------------------------


@pytest.fixture
def report(tmp_path: Path) -> Iterator[Callable[[str], list[Call]]]:
    """Runs the script where ``open`` is the number of an open issue; returns the calls of gh."""
    answers = {"list": ""}

    def answer(call: Call) -> Answer:
        return Answer(answers["list"] if "list" in call.argv else "")

    programs = Executables(tmp_path, ("gh",), answer)

    def run(number: str) -> list[Call]:
        answers["list"] = number
        variables = {"RUN_URL": "https://example.org/run/1", "CONFIG": "k3sVersion: v9"}
        subprocess.run(
            ["bash", files.SCRIPTS / "report-failure.sh"],
            env={"PATH": programs.path, **variables},
            check=True,
        )
        return programs.calls

    yield run
    programs.stop()


def test_a_failing_night_opens_an_issue(report: Callable[[str], list[Call]]) -> None:
    *_, label, create = report("")
    assert label.argv[:4] == ("gh", "label", "create", "nightly")
    assert create.argv[:5] == ("gh", "issue", "create", "--label", "nightly")
    assert "https://example.org/run/1" in create.stdin
    assert "k3sVersion: v9" in create.stdin


def test_the_next_failing_night_is_a_comment(
    report: Callable[[str], list[Call]],
) -> None:
    _, comment = report("17\n")
    assert comment.argv[:4] == ("gh", "issue", "comment", "17")
    assert "https://example.org/run/1" in comment.stdin
