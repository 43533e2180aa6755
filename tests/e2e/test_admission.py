"""What stops a pod before its node: a webhook, a quota, a pod security level, a taint."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.ktrace import document, ktrace
from tests.e2e.webhooks import slow_webhook
from tests.live.pods import BUSYBOX, pods, wait_for_api
from tests.live.stack import Stack
from tests.live.waiting import until

_NAMESPACE = ("namespace", "default")
_RESTRICTED = "pod-security.kubernetes.io/enforce"


def test_a_webhook_that_times_out_and_fails_open_is_named(stack: Stack) -> None:
    wait_for_api(stack)
    with slow_webhook(stack), pods(stack, "true") as single:
        single.wait_for("Succeeded")
        start = document(stack, "show", f"{single.name}-0")
    (step,) = (step for step in start["steps"] if step["name"].startswith("webhook"))
    assert step["name"] == "webhook slow.example.com, failed open"
    assert step["component"] == "apiserver"
    assert 900 < float(step["durationMs"]) < 3000
    assert "deadline exceeded" in str(step["error"])


def probe(stack: Stack, **changed: object) -> subprocess.CompletedProcess[str]:
    """The proof that ends `pulumi up`, run again as the stack's Command runs it.

    ``changed`` are keys of what it reads.
    """
    inputs = stack.state["probe-run"]["inputs"]
    return subprocess.run(
        [str(stack.folder / ".venv/bin/python"), "-m", "ktrace.pipeline.probe"],
        cwd=stack.folder,
        env={**stack.environment, **inputs["environment"]},
        input=json.dumps(json.loads(inputs["stdin"]) | changed),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def quota(stack: Stack, hard: str) -> Iterator[None]:
    stack.kubectl("create", "quota", "limit", f"--hard={hard}")
    used = ("get", "quota", "limit", "-o", "jsonpath={.status.used}")
    try:
        until("a quota that is counted", lambda: stack.kubectl(*used), 60)
        yield
    finally:
        stack.kubectl("delete", "quota", "limit")


def test_the_probe_runs_under_restricted_with_a_quota_of_resources(stack: Stack) -> None:
    wait_for_api(stack)
    stack.kubectl("label", *_NAMESPACE, f"{_RESTRICTED}=restricted")
    try:
        with quota(stack, "requests.cpu=1,limits.memory=1Gi"):
            done = probe(stack)
    finally:
        stack.kubectl("label", *_NAMESPACE, f"{_RESTRICTED}-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["traced"] == stack.outputs["tracedComponents"]


def test_a_quota_that_has_no_room_for_the_probe_is_named_at_once(stack: Stack) -> None:
    wait_for_api(stack)
    with quota(stack, "pods=0"):
        done = probe(stack)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "exceeded quota: limit" in line


def test_run_tells_that_a_quota_refused_the_pods_of_a_deployment(
    stack: Stack, tmp_path: Path
) -> None:
    wait_for_api(stack)
    file = tmp_path / "report.json"
    create = ("kubectl", "create", "deployment", "refused", f"--image={BUSYBOX}", "--replicas=2")
    with quota(stack, "pods=0"):
        try:
            done = ktrace(stack, "run", "--json", "--report", str(file), "--", *create)
        finally:
            stack.kubectl("delete", "deployment", "refused", "--ignore-not-found")
    assert done.returncode == 0, done.stderr
    report = json.loads(file.read_text())
    assert report["pods"] == []
    (refusal,) = report["refusals"]
    assert (refusal["kind"], refusal["namespace"]) == ("ReplicaSet", "default")
    assert refusal["name"].startswith("refused-")
    assert "exceeded quota: limit" in refusal["message"]


@pytest.mark.parametrize("effect", ["NoSchedule", "NoExecute"])
def test_a_taint_is_named_and_breaks_no_hop(stack: Stack, effect: str) -> None:
    wait_for_api(stack)
    stack.kubectl("taint", "node", "--all", f"only=others:{effect}")
    try:
        done = probe(stack, seconds=10)
    finally:
        stack.kubectl("taint", "node", "--all", "only-")
    assert done.returncode == 1
    assert "is unschedulable: " in done.stderr
    assert "untolerated taint" in done.stderr
    assert "hop" not in done.stderr
