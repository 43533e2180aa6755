"""``ktrace show`` of workloads: which pod held the rollout up, and what ended beside it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.ktrace import document, ktrace
from tests.live.pods import BUSYBOX, PULL_SECONDS, wait_for_api
from tests.live.stack import Stack
from tests.live.waiting import until
from tests.schemas import validate

_SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"]
_DEAF = ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"]
"""Has to be killed when the grace period is over."""


def template(name: str, command: list[str], **container: Any) -> dict[str, Any]:
    own = {"name": "main", "image": BUSYBOX, "command": command, **container}
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 2,
            "automountServiceAccountToken": False,
            "containers": [own],
        },
    }


@contextmanager
def applied(stack: Stack, kind: str, api: str, spec: dict[str, Any]) -> Iterator[str]:
    """The name of a workload while it is there."""
    wait_for_api(stack)
    name = spec["template"]["metadata"]["labels"]["app"]
    made = {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(made))
    try:
        yield name
    finally:
        stack.kubectl("delete", kind.lower(), name, "--wait=false", "--now", check=False)


def shown(stack: Stack, what: str, *, code: int = 0) -> dict[str, Any]:
    told = document(stack, "show", what, code=code)
    validate("rollout", told)
    (rollout,) = told["rollouts"]
    found: dict[str, Any] = rollout
    return found


def test_the_pod_that_held_a_deployment_up_is_named_and_old_pods_end_beside_it(
    stack: Stack, tmp_path: Path
) -> None:
    name = f"web-{secrets.token_hex(3)}"
    first = template(name, _DEAF)
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": first}
    with applied(stack, "Deployment", "apps/v1", spec):
        stack.kubectl("rollout", "status", f"deploy/{name}", f"--timeout={PULL_SECONDS:.0f}s")
        begun = shown(stack, f"deploy/{name}")
        assert (begun["podsDone"], begun["podsWanted"], begun["oldPods"]) == (2, 2, [])
        held = begun["heldUpBy"]  # null where both were Ready in a second that no span tells
        assert held is None or held["pod"] in {pod["name"] for pod in begun["pods"]}

        slow = {"exec": {"command": ["sh", "-c", "sleep 3"]}}
        second = template(name, _SLEEP, lifecycle={"postStart": slow})
        patch = json.dumps({"spec": {"template": second}})
        stack.kubectl("patch", "deploy", name, "--type=merge", "-p", patch)
        stack.kubectl("rollout", "status", f"deploy/{name}", f"--timeout={PULL_SECONDS:.0f}s")

        def ended() -> dict[str, Any] | None:
            found = shown(stack, f"deploy/{name}")
            states = {pod["state"] for pod in found["oldPods"]}
            return found if len(found["oldPods"]) == 2 and states == {"gone"} else None

        rollout = until("the end of the old pods", ended, 60)
        replica_set = shown(stack, f"rs/{rollout['revision']}")
        page = tmp_path / "page.html"
        text = ktrace(stack, "show", f"deploy/{name}", "--html", str(page))
    assert rollout["ok"]
    assert rollout["tookExact"]
    assert rollout["tookMs"] >= 3000
    assert rollout["write"]["client"].startswith("kubectl/")
    assert rollout["write"]["verb"] == "patch"
    assert rollout["write"]["auditId"]
    assert rollout["begunAt"] == rollout["write"]["at"]
    assert rollout["revisionNumber"] == 2
    assert [pod["state"] for pod in rollout["pods"]] == ["Ready", "Ready"]
    assert all(pod["slowest"]["step"].startswith("postStart") for pod in rollout["pods"])
    times = [pod["tookMs"] for pod in rollout["pods"]]
    assert times == sorted(times, reverse=True)
    for old in rollout["oldPods"]:
        assert 1900 <= old["endedInMs"] < 30_000
        assert (old["killed"], old["graceSeconds"]) == (["main"], 2)
        assert old["node"]
        assert old["name"] not in {pod["name"] for pod in rollout["pods"]}
    # It was scaled once for each pod.
    assert [pod["part"] for pod in replica_set["pods"]] == ["new", "new"]
    assert replica_set["write"]["verb"] == "create"
    assert replica_set["begunAt"] == replica_set["write"]["at"]
    assert f"deployment/{name} scales it step by step" in " ".join(replica_set["notes"])
    assert text.returncode == 0, text.stderr
    assert text.stdout.startswith(f"deployment default/{name}: 2 of 2 pods Ready in ")
    assert "held up by" in text.stdout.splitlines()[0]
    assert all(pod["name"] in page.read_text() for pod in rollout["pods"])


def test_a_stateful_set_starts_one_pod_after_another_and_a_job_is_not_ready_but_started(
    stack: Stack,
) -> None:
    name = f"db-{secrets.token_hex(3)}"
    spec = {
        "replicas": 2,
        "serviceName": name,
        "selector": {"matchLabels": {"app": name}},
        "template": template(name, _SLEEP),
    }
    with applied(stack, "StatefulSet", "apps/v1", spec):
        stack.kubectl("rollout", "status", f"sts/{name}", f"--timeout={PULL_SECONDS:.0f}s")
        rollout = shown(stack, f"sts/{name}")
        selected = document(stack, "show", "-l", f"app={name}")
    parts = [part["pod"] for part in rollout["oneAfterAnother"] if part["pod"]]
    assert parts == [f"{name}-0", f"{name}-1"]
    assert (rollout["podsDone"], rollout["podsWanted"]) == (2, 2)
    validate("rollout", selected)
    assert {pod["name"] for pod in selected["rollouts"][0]["pods"]} == set(parts)

    job = f"job-{secrets.token_hex(3)}"
    once = template(job, ["true"])
    once["spec"]["restartPolicy"] = "Never"
    with applied(stack, "Job", "batch/v1", {"template": once}):
        stack.kubectl(
            "wait", f"job/{job}", "--for=condition=complete", f"--timeout={PULL_SECONDS:.0f}s"
        )
        done = shown(stack, f"job/{job}")
    assert (done["doneMeans"], done["podsDone"], done["podsWanted"]) == ("started", 1, 1)
    assert done["pods"][0]["state"] == "succeeded"
    assert done["heldUpBy"]["pod"] == done["pods"][0]["name"]


def test_what_cannot_be_shown_is_one_line(stack: Stack) -> None:
    absent = ktrace(stack, "show", "deploy/never-was", "--timeout", "1")
    assert (absent.returncode, absent.stderr.strip()) == (
        1,
        "ktrace: there is no deployment default/never-was: name another one, or its namespace "
        "with -n",
    )
