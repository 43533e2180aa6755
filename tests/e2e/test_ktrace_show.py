"""A pod's start is shown, as a page too, and the shipped expectations hold."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from playwright.sync_api import Browser

from tests.e2e import browser
from tests.e2e.ktrace import document, ktrace
from tests.live.pods import pods
from tests.live.stack import Stack


def test_a_pods_start_is_a_waterfall(stack: Stack) -> None:
    with pods(stack, "true") as single:
        single.wait_for("Succeeded")
        start = document(stack, "show", f"pod/{single.name}-0")
    names = [step["name"] for step in start["steps"]]
    assert (start["namespace"], start["pod"]) == ("default", f"{single.name}-0")
    assert names[:3] == ["create request", "scheduling (queue and decision)", "bind to a node"]
    assert {"sandbox", "start container main"} <= set(names)
    assert 0 < start["unexplainedMs"] < start["durationMs"]
    assert len(start["traceUrls"]) == 3
    assert any(step["critical"] for step in start["steps"])


def test_kubectl_runs_it_as_its_plugin(stack: Stack) -> None:
    """The real kubectl finds the command that installing the project has put on PATH."""
    path = f"{stack.folder / '.venv/bin'}{os.pathsep}{stack.environment['PATH']}"
    said = subprocess.run(
        ["kubectl", "ktrace", "--version"],
        env={**stack.environment, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == ktrace(stack, "--version").stdout
    assert said.stdout.startswith("ktrace ")


def test_everybody_can_read_the_page_of_a_start(
    stack: Stack, tmp_path: Path, chromium: Browser
) -> None:
    page = tmp_path / "start.html"
    with pods(stack, "true") as single:
        single.wait_for("Succeeded")
        shown = ktrace(stack, "show", f"{single.name}-0", "--html", str(page))
        assert shown.returncode == 0, shown.stderr
    assert browser.problems(chromium, page) == []


def test_the_shipped_expectations_hold(stack: Stack, tmp_path: Path) -> None:
    """They are judged by what began with the test: what an earlier Jaeger had is not known, and
    tests before it may have given the cluster much to do."""
    report, began = tmp_path / "report.xml", time.time()

    def of_test(name: str) -> str:
        """A command that starts late on a busy machine looks back from then."""
        text = (stack.folder / "ktrace" / "expect" / "builtin" / name).read_text()
        since = f"sinceSeconds: {int(time.time() - began) + 15}\n"
        (tmp_path / name).write_text(re.sub("^sinceSeconds:.*\n", "", text, flags=re.M) + since)
        return str(tmp_path / name)

    with pods(stack, "true") as single:
        single.wait_for("Succeeded")
        pod = f"POD=default/{single.name}-0"
        done = ktrace(stack, "assert", of_test("pod-start.yaml"), "--set", pod)
        assert done.returncode == 0, done.stdout + done.stderr
        junit = ["--junit", str(report)]
        done = ktrace(stack, "assert", of_test("control-plane.yaml"), *junit)
        assert done.returncode == 0, done.stdout + done.stderr
    assert 'tests="2" failures="0"' in report.read_text()


def test_an_expectation_that_does_not_hold_fails_with_what_is_nearest(stack: Stack) -> None:
    files = stack.folder / "ktrace" / "expect" / "builtin"
    options = ["--set", "POD=default/no-such-pod", "--timeout", "1"]
    done = ktrace(stack, "assert", str(files / "pod-start.yaml"), *options)
    assert done.returncode == 1
    assert "number of spans: expected 1, found 0" in done.stdout
    assert "nearest: kubelet" in done.stdout


def test_a_pod_that_never_was_is_a_finding_and_a_stack_that_is_not_is_wrong_usage(
    stack: Stack,
) -> None:
    absent = ktrace(stack, "show", "pod/never-was", "--timeout", "1")
    assert (absent.returncode, len(absent.stderr.splitlines())) == (1, 1)
    unknown = ktrace(stack, "show", "pod/any", "--stack", "no-such-stack")
    assert (unknown.returncode, len(unknown.stderr.splitlines())) == (2, 1)


def test_doctor_finds_this_machine_fit(stack: Stack) -> None:
    report = document(stack, "doctor")
    assert report["ok"]
    checks = {finding["check"] for finding in report["findings"]}
    assert {"docker", "ports", "k3d", "disk"} <= checks


def test_the_rendered_files_are_those_that_the_nodes_see(stack: Stack) -> None:
    """The daemon's cgroup version is all that render cannot know."""
    cgroup = stack.docker("info", "--format", "{{.CgroupVersion}}")
    files = document(stack, "render", *(["--cgroup-v1"] if cgroup == "1" else []))["files"]
    for name, text in files.items():
        if name.startswith("node/"):
            assert (stack.directory / name).read_text() == text
