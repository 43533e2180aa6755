"""``ktrace run`` tells what became of what a command removes, and its bundle tells the same."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.ktrace import ktrace
from tests.live.pods import PULL_SECONDS, deployment_of
from tests.live.stack import Stack
from tests.live.waiting import until


@pytest.fixture
def web(stack: Stack) -> Iterator[str]:
    """The name of a Deployment whose three pods run."""
    name = f"web-{secrets.token_hex(3)}"
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(deployment_of(name, 3, grace=2)))
    stack.kubectl("rollout", "status", f"deployment/{name}", f"--timeout={PULL_SECONDS}s")
    yield name
    stack.kubectl("delete", "deployment", name, "--now")


def report_of(
    stack: Stack, folder: Path, *command: str, seconds: int = 30
) -> tuple[int, dict[str, Any]]:
    """The command's exit code, and the report of it."""
    file, bundle = folder / "report.json", folder / "bundle.json.gz"
    options = ("--for", str(seconds), "--json", "--report", str(file), "--save", str(bundle))
    done = ktrace(stack, "run", *options, "--stack", stack.name, "--", *command)
    live: dict[str, Any] = json.loads(file.read_text())
    again = ktrace(stack, "run", "--json", "--from", str(bundle))
    replayed = json.loads(again.stderr)
    assert replayed | {"command": live["command"]} == live
    return done.returncode, live


def test_the_pods_that_a_smaller_number_of_replicas_ends_are_told(
    stack: Stack, web: str, tmp_path: Path
) -> None:
    scale = ("kubectl", "scale", "deployment", web, "--replicas=1")
    code, report = report_of(stack, tmp_path, *scale)
    ended = [pod for pod in report["pods"] if pod["outcome"] == "ended"]
    assert (code, len(ended)) == (0, 2)
    for pod in ended:
        assert (pod["endCause"], pod["ending"]["deleted"]) == ("owner", True)
        assert pod["durationMs"] == pod["ending"]["durationMs"] > 2000
        assert [one["how"] for one in pod["ending"]["containers"]] == ["killed"]
        assert pod["ending"]["asked"][0]["by"].startswith("replicaset-controller of")


def test_an_object_that_is_made_again_is_told(stack: Stack, tmp_path: Path) -> None:
    """Here by the command itself; a controller's object is told in the same way."""
    name = f"again-{secrets.token_hex(3)}"
    made = json.loads(stack.kubectl("create", "configmap", name, "-o", "json"))
    file = tmp_path / "again.json"
    own = {"name": name, "namespace": "default"}
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": own, "data": {"a": "b"}}
    file.write_text(json.dumps(document))
    code, report = report_of(stack, tmp_path, "kubectl", "replace", "--force", "-f", str(file))
    assert code == 0
    (removed,) = report["removed"]
    assert (removed["state"], removed["uid"]) == ("gone", made["metadata"]["uid"])
    assert removed["madeAgainAt"]
    assert removed["madeAgainBy"] == "kubectl-replace"
    stack.kubectl("delete", "configmap", name)


def test_a_refused_eviction_names_the_budget_and_what_it_wants(
    stack: Stack, web: str, tmp_path: Path
) -> None:
    stack.kubectl("create", "pdb", web, f"--selector=app={web}", "--min-available=3")
    path = "jsonpath={.status.currentHealthy}{.status.expectedPods}"
    until(
        "the budget counts three pods",
        lambda: stack.kubectl("get", "pdb", web, "-o", path) == "33",
        seconds=30,
    )
    nodes = [name.partition("/")[2] for name in stack.kubectl("get", "nodes", "-o", "name").split()]
    try:
        drain = ("kubectl", "drain", f"--pod-selector=app={web}", "--timeout=7s", *nodes)
        code, report = report_of(stack, tmp_path, *drain, seconds=1)
    finally:
        stack.kubectl("uncordon", *nodes)
        stack.kubectl("delete", "pdb", web)
    assert (code, bool(report["refusedRemovals"])) == (1, True)
    for refused in report["refusedRemovals"]:
        assert (refused["resource"], refused["status"]) == ("pods/eviction", 429)
        assert f"The disruption budget {web} needs 3 healthy pods" in refused["message"]
        (budget,) = refused["budgets"]
        assert (budget["name"], budget["wants"]) == (web, {"minAvailable": "3"})
        assert budget["disruptionsAllowed"] == 0


def test_what_still_exists_of_a_deleted_namespace_is_told(stack: Stack, tmp_path: Path) -> None:
    name = f"held-{secrets.token_hex(3)}"
    stack.kubectl("create", "namespace", name)
    stack.kubectl("create", "configmap", "a", "-n", name)
    hold = ("patch", "configmap", "a", "-n", name, "-p")
    stack.kubectl(*hold, '{"metadata":{"finalizers":["example.com/hold"]}}')
    # Kubernetes begins to empty it after 5 s, and tells what is left at the end of that.
    told = "--for=condition=NamespaceFinalizersRemaining"
    delete = f"kubectl delete namespace {name} --wait=false && kubectl wait {told} namespace {name}"
    try:
        code, report = report_of(stack, tmp_path, "sh", "-c", f"{delete} --timeout=90s", seconds=2)
    finally:
        stack.kubectl(*hold, '{"metadata":{"finalizers":null}}')
    assert (code, report["quiet"]) == (0, False)
    (removed,) = report["removed"]
    assert (removed["resource"], removed["state"]) == ("namespaces", "terminating")
    assert removed["finalizers"] == ["kubernetes"]
    assert any("example.com/hold in 1 resource" in told for told in removed["conditions"])
