"""The action: its script with a fake make, pulumi and ktrace."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime_observability.core.naming import PROJECT as PROJECT_NAME
from tests.fakes.executables import Answer, Call, Executables
from tests.unit.github import files

ENVIRONMENT = {
    "run": {"COMMAND"},
    "assert": {"EXPECTATIONS", "VALUES"},
    "report": {"POD"},
    "up": {"CONFIG", "PYTHON"},
    "down": {"PYTHON"},
}
"""The variables of each step besides STACK and ACTION, which all have."""
ENV = "export KUBECONFIG='/a folder/kube config'\n"


class Action:
    """A copy of the script in a folder of its own, with programs that record their calls."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "the action"
        scripts = self.project / ".github" / "scripts"
        scripts.mkdir(parents=True)
        name = "traced-cluster.sh"
        (scripts / name).write_bytes((files.SCRIPTS / name).read_bytes())
        self.script = scripts / name
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.outputs = folder / "outputs"
        self.failing: dict[tuple[str, ...], int] = {}
        self.programs = Executables(folder, ("make", "pulumi", "ktrace"), self._answer)

    def _answer(self, call: Call) -> Answer:
        code = max(
            (code for words, code in self.failing.items() if set(words) <= set(call.argv)),
            default=0,
        )
        if call.argv[0] == "make":
            return Answer(ENV if call.argv[-1] == "env" else "", code=code)
        if call.argv[0] == "pulumi":
            return Answer(f"http://{call.argv[3]}\n", code=code)
        return Answer("{}\n", code=code)

    def __call__(self, step: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", self.script, step],
            env={
                "PATH": self.programs.path,
                "HOME": os.environ.get("HOME", "/"),
                "RUNNER_TEMP": str(self.temporary),
                "GITHUB_OUTPUT": str(self.outputs),
                "STACK": "ci",
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def reports(self) -> Path:
        return self.temporary / "traced-cluster-ci"

    def up(self, config: str = "") -> None:
        assert self("up", CONFIG=config, PYTHON="/py").returncode == 0

    def calls(self, program: str) -> list[tuple[str, ...]]:
        return [call.argv[1:] for call in self.programs.calls if call.argv[0] == program]


@pytest.fixture
def action(tmp_path: Path) -> Iterator[Action]:
    action = Action(tmp_path)
    yield action
    action.programs.stop()


def test_every_step_of_the_script_is_a_step_of_the_action() -> None:
    steps = [step for step in files.read(files.ACTION)["runs"]["steps"] if "run" in step]
    seen = {}
    for step in steps:
        program, name = step["run"].split()
        assert program == '"$ACTION/.github/scripts/traced-cluster.sh"'
        seen[name] = set(step["env"]) - {"ACTION", "STACK"}
        assert {"ACTION", "STACK"} <= set(step["env"])
    assert seen == ENVIRONMENT


def test_reports_are_kept_and_the_cluster_is_removed_in_any_case() -> None:
    steps = files.read(files.ACTION)["runs"]["steps"]
    assert [step["name"] for step in steps if step.get("if") == "always()"] == [
        "Write the reports",
        "Keep the reports",
        "Remove the cluster",
    ]


def test_every_input_is_used_and_described() -> None:
    text = files.ACTION.read_text()
    for name, rule in files.read(files.ACTION)["inputs"].items():
        assert f"${{{{ inputs.{name} }}}}" in text
        assert rule["description"]


CONFIGURATIONS: list[dict[str, Any]] = [
    {},
    {"k3sVersion": "v1.36.3-k3s1", "agents": 2},
    {"k3sArgs": ["--disable=traefik@server:*"], "registries": {"use": ["mirror:5000"]}},
]


@pytest.mark.parametrize("config", CONFIGURATIONS)
def test_the_configuration_becomes_the_stacks_file(action: Action, config: dict[str, Any]) -> None:
    action.up(yaml.safe_dump(config) if config else "")
    written = yaml.safe_load((action.project / "Pulumi.ci.yaml").read_text())["config"]
    assert (written or {}) == {f"{PROJECT_NAME}:{key}": value for key, value in config.items()}


def test_up_brings_the_stack_up_with_the_actions_python(action: Action) -> None:
    action.up()
    here = ("--silent", "-C", str(action.project), "PYTHON=/py", "STACK=ci")
    assert action.calls("make") == [(*here, "up"), (*here, "env")]
    assert action.outputs.read_text() == f"reports={action.reports}\n"
    assert action.reports.is_dir()


def test_an_up_that_fails_fails_the_step_and_names_the_reports_folder(action: Action) -> None:
    action.failing[("up",)] = 2
    assert action("up", CONFIG="", PYTHON="python3").returncode == 2
    assert action.outputs.read_text() == f"reports={action.reports}\n"


def test_the_command_runs_in_the_stacks_environment_and_its_code_is_the_steps(
    action: Action,
) -> None:
    action.up()
    command = 'echo "$KUBECONFIG|$JAEGER_URL|$OTEL_EXPORTER_OTLP_ENDPOINT"\nexit 7'
    done = action("run", COMMAND=command)
    assert done.stdout == "/a folder/kube config|http://jaegerUrl|http://otlpHttpEndpoint\n"
    assert done.returncode == 7


def test_a_command_that_fails_in_the_middle_ends_there(action: Action) -> None:
    action.up()
    done = action("run", COMMAND="false | cat\necho not here")
    assert (done.stdout, done.returncode) == ("", 1)


def test_every_file_of_expectations_is_judged_even_after_a_failure(action: Action) -> None:
    action.up()
    action.failing[("one.yaml",)] = 1
    done = action(
        "assert", EXPECTATIONS="one.yaml\n\nsub/two words.yml\n", VALUES="POD=a/b\nX=1 2\n"
    )
    assert done.returncode == 1
    chosen = ("--set", "POD=a/b", "--set", "X=1 2", "--stack", "ci", "--junit")
    assert action.calls("ktrace") == [
        ("assert", "one.yaml", *chosen, str(action.reports / "one.xml")),
        ("assert", "sub/two words.yml", *chosen, str(action.reports / "two words.xml")),
    ]


def test_expectations_need_no_values(action: Action) -> None:
    action.up()
    assert action("assert", EXPECTATIONS="one.yaml", VALUES="").returncode == 0
    assert "--set" not in action.calls("ktrace")[0]


@pytest.mark.parametrize(
    ("pod", "shown"),
    [
        ("", []),
        ("default/web-0", [("show", "pod/web-0", "--namespace", "default", "--stack", "ci")]),
    ],
)
def test_the_reports_are_written_and_never_fail(
    action: Action, pod: str, shown: list[tuple[str, ...]]
) -> None:
    action.up()
    action.failing[("verify",)] = action.failing[("show",)] = 1
    assert action("report", POD=pod).returncode == 0
    assert (action.reports / "doctor.json").read_text() == "{}\n"
    page = ("--html", str(action.reports / "pod.html"))
    assert action.calls("ktrace")[2:] == [(*call, *page) for call in shown]


def test_a_failed_up_is_reported_too(action: Action) -> None:
    action.failing[("up",)] = 1
    assert action("up", CONFIG="", PYTHON="python3").returncode == 1
    action.failing[("stack", "output")] = 255
    assert action("report", POD="").returncode == 0
    assert [words[0] for words in action.calls("ktrace")] == ["doctor", "verify"]


def test_without_tools_there_is_nothing_to_report(action: Action) -> None:
    action.failing[("up",)] = action.failing[("env",)] = 1
    assert action("up", CONFIG="", PYTHON="python3").returncode == 1
    (action.temporary / "traced-cluster-ci.env").unlink()
    assert action("report", POD="").returncode == 0
    assert action.calls("ktrace") == []


def test_down_is_the_stacks_own(action: Action) -> None:
    assert action("down", PYTHON="/py").returncode == 0
    assert action.calls("make")[0][-2:] == ("STACK=ci", "down")


@pytest.mark.parametrize(("given", "seen"), [({}, "0"), ({"RUNTIME_OBSERVABILITY_LAB": "1"}, "1")])
def test_images_are_pulled_unless_the_caller_wants_the_lab(
    action: Action, given: dict[str, str], seen: str
) -> None:
    action.programs.script("make", '#!/bin/sh\necho "lab $RUNTIME_OBSERVABILITY_LAB" >&2\n')
    assert action("down", **given).stderr == f"lab {seen}\n"
