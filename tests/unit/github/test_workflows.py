"""The workflows: what they may do, what they pin, and that they test what the project supports."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from lab.build import go_tool
from lab.commands.tiers import TIERS
from runtime_observability.core.compatibility import NEWEST_KNOWN_K3S, OLDEST_K3S
from runtime_observability.core.versions import Version
from tests.configuration import PROJECT, SCHEMA, defaults
from tests.unit.github import files
from tests.unit.github.files import ACTION, WORKFLOWS

EXAMPLE = PROJECT / "examples" / "github-actions" / "traces.yml"
OURS = "OWNER/runtime-observability@COMMIT"
"""What the example has in place of this repository."""
NAMES = {"lint", "test", "stack", "nightly", "lab", "stores", "release"}
USES = re.compile(r"uses: (\S+)(?: # (v\d+\.\d+\.\d+))?$", re.MULTILINE)
PINNED = re.compile(r"[a-z-]+/[a-z-]+@[0-9a-f]{40}")
WRITES = {
    "nightly.yml: report": {"issues": "write"},
    "release.yml: publish": {
        "contents": "write",
        "id-token": "write",
        "attestations": "write",
    },
}
"""All that any job may change."""


def test_these_are_the_workflows() -> None:
    assert {file.stem for file in WORKFLOWS} == NAMES
    assert {files.read(file)["name"] for file in WORKFLOWS} == NAMES


def used() -> list[tuple[str, str]]:
    """Every action of others that is used, with the release in the comment behind it."""
    texts = [file.read_text() for file in (*WORKFLOWS, ACTION, EXAMPLE)]
    pairs = [pair for text in texts for pair in USES.findall(text)]
    return [pair for pair in pairs if pair[0] not in ("./", OURS)]


def test_every_action_is_pinned_by_its_commit_and_names_its_release() -> None:
    assert used()
    for action, release in used():
        assert PINNED.fullmatch(action), action
        assert release, f"{action} has no comment with its release"


def test_an_action_has_one_pin() -> None:
    pins = {(action.partition("@")[0], action, release) for action, release in used()}
    assert len(pins) == len({name for name, _, _ in pins})


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_may_do_nothing_unless_a_job_says_so(file: Any) -> None:
    document = files.read(file)
    assert document["permissions"] == {}
    assert document["concurrency"]["group"].startswith("${{ github.workflow }}")
    assert not {"pull_request_target", "workflow_run"} & set(document["on"])


def test_only_these_jobs_write() -> None:
    writes = {}
    for name, job in files.jobs():
        allowed = {key: to for key, to in job.get("permissions", {}).items() if to != "read"}
        if allowed:
            writes[name] = allowed
    assert writes == WRITES


def test_every_job_ends_in_time() -> None:
    for name, job in files.jobs():
        assert 0 < job["timeout-minutes"] <= 180, name


def test_no_checkout_leaves_its_token_behind() -> None:
    checkouts = [
        step for _, step in files.steps() if step.get("uses", "").startswith("actions/checkout@")
    ]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_no_script_contains_a_value_of_a_caller() -> None:
    for name, step in files.steps():
        assert "${{" not in step.get("run", ""), name


def test_every_store_is_tested_by_targets_of_make() -> None:
    job = files.read(PROJECT / ".github/workflows/stores.yml")["jobs"]["stores"]
    assert set(job["strategy"]["matrix"]["target"]) == {"contract", "test-stores"} <= TIERS.keys()


def test_go_is_new_enough_for_the_lab() -> None:
    module, oldest = go_tool.oldest_go()
    named = {
        step["with"]["go-version-file"]
        for _, step in files.steps()
        if step.get("uses", "").startswith("actions/setup-go@")
    }
    (file,) = named
    assert re.search(r"^go (\S+)$", (PROJECT / file).read_text(), re.MULTILINE)[1] == oldest, (  # type: ignore[index]
        f"{module} needs Go {oldest}"
    )
    image = files.read(PROJECT / ".github/workflows/lab.yml")["jobs"]["lab"]["container"]["image"]
    release = re.match(r"golang:(\S+)-bookworm@sha256:[0-9a-f]{64}$", image)
    assert release is not None, image
    assert Version.parse(release[1]) >= Version.parse(oldest)


def test_the_matrix_has_a_release_of_every_minor_of_the_table() -> None:
    job = files.read(PROJECT / ".github/workflows/stack.yml")["jobs"]["release"]
    tags = job["strategy"]["matrix"]["k3s"]
    releases = [Version.parse(tag) for tag in tags]
    assert [f"v{release}" for release in releases] == tags
    minors = range(OLDEST_K3S.minor, NEWEST_KNOWN_K3S.minor + 1)
    assert [(release.major, release.minor) for release in releases] == [
        (OLDEST_K3S.major, minor) for minor in minors
    ]
    assert releases[0] == OLDEST_K3S
    assert releases[-1] == NEWEST_KNOWN_K3S


def test_the_stacks_of_the_workflows_have_keys_of_this_project() -> None:
    configurations = [
        yaml.safe_load(step["with"]["config"])
        for _, step in files.steps()
        if step.get("uses") == "./" and "steps." not in step["with"]["config"]
    ]
    assert len(configurations) == 2
    assert {key for keys in configurations for key in keys} <= set(SCHEMA)


def test_the_example_gives_the_action_inputs_that_it_has() -> None:
    (job,) = files.read(EXAMPLE)["jobs"].values()
    (step,) = (step for step in job["steps"] if step["uses"] == OURS)
    assert set(step["with"]) <= set(files.read(ACTION)["inputs"])
    assert set(yaml.safe_load(step["with"]["config"])) <= set(SCHEMA)


def test_every_python_that_is_promised_is_tested() -> None:
    job = files.read(PROJECT / ".github/workflows/test.yml")["jobs"]["test"]
    matrix = job["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos"}
    promised = re.search(r'^requires-python = ">=(.+)"$', _pyproject(), re.MULTILINE)
    assert promised is not None
    assert promised[1] == matrix["python"][0]


def test_the_tests_that_arm64_leaves_out_exist() -> None:
    job = files.read(PROJECT / ".github/workflows/stack.yml")["jobs"]["test"]
    for row in job["strategy"]["matrix"]["include"]:
        for file, test in re.findall(r"--deselect (\S+?)(?:::(\S+))?(?:\s|$)", row["pytest"]):
            assert f"def {test}" in (PROJECT / file).read_text()


def test_the_devcontainer_forwards_jaegers_port_and_is_pinned() -> None:
    document = yaml.safe_load((PROJECT / ".devcontainer/devcontainer.json").read_text())
    assert document["forwardPorts"] == [defaults()["jaegerUiPort"]]
    assert re.fullmatch(r"\S+:\S+@sha256:[0-9a-f]{64}", document["image"])


def _pyproject() -> str:
    return (PROJECT / "pyproject.toml").read_text()
