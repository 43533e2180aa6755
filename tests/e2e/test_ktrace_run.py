"""``ktrace run`` finds what a command caused, and nothing of a neighbour's."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime_observability.host.files import write_private
from tests.e2e.ktrace import ktrace
from tests.e2e.traced_webhook import traced_webhook
from tests.live import traces
from tests.live.pods import BUSYBOX, PULL_SECONDS, deployment_of, pods, wait_for_api
from tests.live.stack import Stack
from tests.live.starts import promised
from tests.live.waiting import until
from tests.schemas import validate


@pytest.fixture
def deployment(stack: Stack, tmp_path: Path) -> Iterator[Path]:
    """The file of a Deployment with three replicas, named after it."""
    name = f"web-{secrets.token_hex(3)}"
    file = tmp_path / f"{name}.json"
    file.write_text(json.dumps(deployment_of(name, 3)))
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


def asking_for(cpu: str) -> dict[str, Any]:
    """A container that does nothing and requests so much."""
    request = {"requests": {"cpu": cpu}}
    return {"name": "main", "image": BUSYBOX, "command": ["sleep", "600"], "resources": request}


def test_a_resize_that_is_deferred_and_then_done_is_told_as_that(
    stack: Stack, tmp_path: Path
) -> None:
    node = json.loads(stack.kubectl("get", "node", stack.server, "-o", "json"))
    most = f"{int(float(node['status']['allocatable']['cpu']) * 600)}m"
    here: dict[str, Any] = {"nodeName": stack.server, "restartPolicy": "Always"}
    file = tmp_path / "report.json"

    def resized(seconds: int) -> dict[str, Any]:
        options = ["--for", str(seconds), "--json", "--report", str(file)]
        patch = json.dumps({"spec": {"containers": [asking_for(most)]}})
        command = ["kubectl", "patch", "pod", f"{small.name}-0", "--subresource", "resize"]
        done = ktrace(stack, "run", *options, "--", *command, "-p", patch)
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(file.read_text())
        validate("run", report)
        return report

    with pods(stack, containers=[asking_for("10m")], **here) as small:
        small.wait_for("Running")
        with pods(stack, containers=[asking_for(most)], **here) as large:
            large.wait_for("Running")
            report = resized(4)
            (pod,) = report["pods"]
            (waiting,) = pod["waitingFor"]
            assert waiting["what"].startswith("resize deferred: Node didn't have enough resource")
            assert (pod["phase"], pod["outcome"], report["quiet"]) == ("Running", "waiting", False)
        until("room on the node", lambda: not large.phases, 30)
        report = resized(60)
        assert (report["pods"], report["quiet"]) == ([], True)


def test_a_command_that_asks_no_cluster_is_a_finding(stack: Stack) -> None:
    done = ktrace(stack, "run", "--", "true")
    assert done.returncode == 1
    assert "no request of `true` was recorded" in done.stderr


def parents(trace: traces.Trace, span: dict[str, Any]) -> list[str]:
    """The services of the span's ancestors, from its parent to the trace's root."""
    spans = {entry["spanID"]: entry for entry in trace.spans}
    services = []
    while span := next(
        (spans[above["spanID"]] for above in span["references"] if above["spanID"] in spans), {}
    ):
        services.append(trace.document["processes"][span["processID"]]["serviceName"])
    return services


def test_one_trace_holds_the_command_its_request_and_the_webhooks_own_span(
    stack: Stack, tmp_path: Path
) -> None:
    wait_for_api(stack)
    name = f"traced-{secrets.token_hex(3)}"
    file = tmp_path / "report.json"
    with traced_webhook(stack) as webhook:

        def asked() -> bool:
            """The API server learns of a new webhook after a moment."""
            made = ("create", "configmap", name, "--dry-run=server")
            stack.kubectl(*made)
            return bool(webhook.contexts)

        until("a ConfigMap that the webhook is asked about", asked, 60)
        command = ["kubectl", "create", "configmap", name]
        try:
            done = ktrace(stack, "run", "--json", "--report", str(file), "--", *command)
        finally:
            stack.kubectl("delete", "configmap", name, "--ignore-not-found")
        assert done.returncode == 0, done.stderr
        report = json.loads(file.read_text())
        trace_id = report["traceUrl"].rpartition("/")[2]
        assert trace_id in webhook.contexts[-1]

        def found() -> traces.Trace | None:
            """Spans of the API server and of the webhook arrive after the command's own."""
            all_of_it = traces.search(stack.outputs["jaegerUrl"], "ktrace")
            for entry in all_of_it:
                names = {span["operationName"] for span in entry.spans}
                if entry.document["traceID"] == trace_id and webhook.operation in names:
                    return entry if entry.whole else None
            return None

        whole = until("a whole trace with the webhook's span", found, 20)
    assert report["requestsInTrace"] == len(report["requests"])
    assert {request["traceUrl"] for request in report["requests"]} == {report["traceUrl"]}
    assert report["notes"] == []
    assert whole.services >= {"ktrace", "apiserver"}
    (root,) = (span for span in whole.spans if not span["references"])
    assert root["operationName"] == "ktrace run kubectl"
    (review,) = (span for span in whole.spans if span["operationName"] == webhook.operation)
    above = parents(whole, review)
    assert above[0] == "apiserver"
    assert above[-2:] == ["ktrace", "ktrace"]


def test_the_requests_of_a_user_who_is_not_trusted_are_linked_by_their_audit_ids(
    stack: Stack, tmp_path: Path
) -> None:
    document = yaml.safe_load(Path(stack.outputs["kubeconfig"]).read_text())
    token = stack.kubectl("create", "token", "default").strip()
    document["users"][0]["user"] = {"token": token}
    write_private(tmp_path / "config", yaml.safe_dump(document))
    where = ["--kubeconfig", str(tmp_path / "config"), "--stack", stack.name, "--for", "6"]
    file = tmp_path / "report.json"
    command = ["kubectl", "auth", "can-i", "get", "pods"]
    ktrace(stack, "run", *where, "--json", "--report", str(file), "--", *command)
    report = json.loads(file.read_text())
    assert report["requestsInTrace"] == 0
    linked = [request["traceUrl"] for request in report["requests"] if request["traceUrl"]]
    assert linked
    assert report["traceUrl"] not in linked
