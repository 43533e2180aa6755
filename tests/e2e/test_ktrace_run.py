"""``ktrace run`` finds what a command caused, and nothing of a neighbour's."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from runtime_observability.host.files import write_private
from tests.e2e.ktrace import ktrace
from tests.live.pods import BUSYBOX, PULL_SECONDS, pods
from tests.live.stack import Stack
from tests.live.starts import promised


@pytest.fixture
def deployment(stack: Stack, tmp_path: Path) -> Iterator[Path]:
    """The file of a Deployment with three replicas, named after it."""
    name = f"web-{secrets.token_hex(3)}"
    pod = {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "main", "image": BUSYBOX, "command": ["sleep", "600"]}],
    }
    labels = {"app": name}
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    file = tmp_path / f"{name}.json"
    file.write_text(json.dumps(document))
    yield file
    stack.kubectl("delete", "deployment", name, "--now")


def test_three_replicas_are_three_pods_and_none_of_a_neighbour(
    stack: Stack, deployment: Path, tmp_path: Path
) -> None:
    report_file = tmp_path / "report.json"

    def neighbour() -> None:
        with pods(stack, "true", count=2) as others:
            others.wait_for("Succeeded")

    beside = threading.Thread(target=neighbour)
    beside.start()
    # Followed for so long only where the node has to pull the image first.
    options = ["--for", str(PULL_SECONDS), "--json", "--report", str(report_file)]
    command = ["kubectl", "apply", "-f", str(deployment)]
    done = ktrace(stack, "run", *options, "--", *command, seconds=PULL_SECONDS + 60)
    beside.join()
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"deployment.apps/{deployment.stem} created\n"
    report = json.loads(report_file.read_text())
    assert report["exitCode"] == 0
    (create,) = [request for request in report["requests"] if request["verb"] == "create"]
    assert (create["resource"], create["name"]) == ("deployments", deployment.stem)
    assert create["status"] == 201
    assert all(request["traceUrl"] for request in report["requests"])
    assert len(report["pods"]) == 3
    assert all(pod["name"].startswith(f"{deployment.stem}-") for pod in report["pods"])
    assert all(set(pod["services"]) >= promised(stack) for pod in report["pods"])


def test_a_commands_own_code_output_and_input_pass_through(stack: Stack) -> None:
    failed = ktrace(stack, "run", "--", "kubectl", "get", "pod", "no-such-pod")
    assert failed.returncode == 1
    assert 'pods "no-such-pod" not found' in failed.stderr
    with pods(stack, "sleep", "300") as sleeper:
        sleeper.wait_for("Running")
        inside = ["kubectl", "exec", "-i", f"{sleeper.name}-0", "--", "cat"]
        lines = "through the forwarder\n" * 100_000
        done = ktrace(stack, "run", "--for", "0", "--", *inside, stdin=lines)
    assert done.returncode == 0
    assert done.stdout == lines


def test_no_credential_is_in_the_commands_hands_nor_in_the_report(stack: Stack) -> None:
    done = ktrace(stack, "run", "--for", "0", "--", "kubectl", "config", "view", "--raw")
    assert "client-key-data" not in done.stdout + done.stderr
    assert "token" not in done.stdout + done.stderr


def test_a_pod_that_is_gone_with_its_command_is_found(stack: Stack, tmp_path: Path) -> None:
    name = f"once-{secrets.token_hex(3)}"
    command = ["kubectl", "run", name, "--rm", "-i", "--restart=Never", "--image", BUSYBOX]
    options = ["--json", "--report", str(tmp_path / "report.json")]
    done = ktrace(stack, "run", *options, "--", *command, "--command", "--", "cat", stdin="x\n")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    (pod,) = report["pods"]
    assert pod["name"] == name
    assert set(pod["services"]) >= promised(stack)
    assert report["quiet"] is True


def test_the_command_is_the_user_of_its_kubeconfig(stack: Stack, tmp_path: Path) -> None:
    token = stack.kubectl("create", "token", "default").strip()
    document = yaml.safe_load(Path(stack.outputs["kubeconfig"]).read_text())
    admin = document["users"][0]["user"]
    where = ["--kubeconfig", str(tmp_path / "config"), "--stack", stack.name, "--for", "0"]
    users = {
        "system:serviceaccount:default:default": {"token": token},
        "jane": admin | {"as": "jane"},
    }
    for name, user in users.items():
        document["users"][0]["user"] = user
        write_private(tmp_path / "config", yaml.safe_dump(document))
        done = ktrace(stack, "run", *where, "--", "kubectl", "get", "pods")
        assert done.returncode == 1
        assert f'User "{name}" cannot list resource "pods"' in done.stderr
        assert token not in done.stdout + done.stderr


def test_a_command_that_asks_no_cluster_is_a_finding(stack: Stack) -> None:
    done = ktrace(stack, "run", "--", "true")
    assert done.returncode == 1
    assert "no request of `true` was recorded" in done.stderr
