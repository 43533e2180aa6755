"""Why a pod terminates slowly: endings whose causes the test made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.ktrace import document, ktrace
from tests.live.pods import BUSYBOX, PULL_SECONDS, wait_for_api
from tests.live.stack import Stack
from tests.live.waiting import until
from tests.schemas import validate

ENDS = ["sh", "-c", "trap 'exit 0' TERM; sleep 300 & wait"]
"""A command that ends on SIGTERM; one that is PID 1 and has no handler does not."""
KEPT = "example.com/kept"


def _pod(name: str, grace: int, command: list[str], **more: Any) -> dict[str, Any]:
    container = {"name": "main", "image": BUSYBOX, "command": command, **more}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"test": "endings"}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": grace,
            "automountServiceAccountToken": False,
            "containers": [container],
        },
    }


def _pods() -> list[dict[str, Any]]:
    kept = _pod("end-kept", 5, ENDS)
    kept["metadata"]["finalizers"] = [KEPT]
    hook = {"preStop": {"exec": {"command": ["sleep", "2"]}}}
    return [
        _pod("end-clean", 30, ENDS),
        _pod("end-stubborn", 3, ["sleep", "300"]),
        _pod("end-hook", 10, ENDS, lifecycle=hook),
        kept,
    ]


def _release(stack: Stack) -> None:
    patch = json.dumps({"metadata": {"finalizers": None}})
    stack.kubectl("patch", "pod", "end-kept", "--type=merge", "-p", patch, check=False)


@pytest.fixture(scope="module")
def endings(_stack: Stack) -> Iterator[dict[str, dict[str, Any]]]:
    """What is told of each pod after all were deleted at once; of end-kept before and after its
    finalizer went."""
    stack = _stack
    stack.settle()
    wait_for_api(stack)
    listed = {"apiVersion": "v1", "kind": "List", "items": _pods()}
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(listed))
    phases = ("get", "pods", "-l", "test=endings", "-o", "jsonpath={.items[*].status.phase}")
    try:
        until(
            "four running pods",
            lambda: stack.kubectl(*phases).split() == ["Running"] * 4,
            PULL_SECONDS,
        )
        stack.kubectl("delete", "pods", "-l", "test=endings", "--wait=false")
        names = ("get", "pods", "-l", "test=endings", "-o", "jsonpath={.items[*].metadata.name}")
        until("the end of three", lambda: stack.kubectl(*names).split() == ["end-kept"], 60)

        def shown(name: str) -> dict[str, Any]:
            held = name == "end-kept"
            return document(stack, "show", f"pod/{name}", "--ending", code=1 if held else 0)

        pods = [pod["metadata"]["name"] for pod in _pods()]
        with ThreadPoolExecutor(2) as pool:
            found = dict(zip(pods, pool.map(shown, pods), strict=True))
        _release(stack)
        until("its end", lambda: not stack.kubectl(*names).split(), 30)
        found["end-released"] = document(stack, "show", "end-kept", "--ending")
        yield found
    finally:
        _release(stack)
        stack.kubectl("delete", "pods", "-l", "test=endings", "--now", "--wait=false", check=False)


def steps(ending: dict[str, Any]) -> list[str]:
    return [step["name"] for step in ending["steps"]]


def took(ending: dict[str, Any], beginning: str) -> float:
    (step,) = [step for step in ending["steps"] if step["name"].startswith(beginning)]
    return float(step["durationMs"])


def test_the_document_is_what_its_schema_promises(endings: dict[str, dict[str, Any]]) -> None:
    for ending in endings.values():
        validate("ending", ending)


def test_a_clean_ending_was_asked_for_by_kubectl(endings: dict[str, dict[str, Any]]) -> None:
    ending = endings["end-clean"]
    (asked,) = ending["asked"]
    assert (asked["how"], asked["by"].partition("/")[0]) == ("deleted", "kubectl")
    assert ending["ended"] is True
    assert {"stop main", "stop the sandbox", "delete request by the kubelet"} <= set(steps(ending))
    assert [end["how"] for end in ending["containers"]] == ["ended"]


def test_the_container_that_ignores_its_stop_signal_was_killed(
    endings: dict[str, dict[str, Any]],
) -> None:
    ending = endings["end-stubborn"]
    (main,) = ending["containers"]
    assert (main["name"], main["how"]) == ("main", "killed")
    assert 2900 <= main["resistedMs"] < 6000
    assert took(ending, "stop main: still ran ") >= 2900


def test_a_pre_stop_handler_has_its_length(endings: dict[str, dict[str, Any]]) -> None:
    ending = endings["end-hook"]
    assert 2000 <= took(ending, "preStop of main") < 8000
    assert [end["how"] for end in ending["containers"]] == ["ended"]


def test_a_finalizer_is_named_while_it_holds_the_object_and_measured_after(
    endings: dict[str, dict[str, Any]],
) -> None:
    held, released = endings["end-kept"], endings["end-released"]
    (waiting,) = held["waitingFor"]
    assert waiting["what"] == f"finalizer {KEPT} to be removed"
    assert (held["ended"], held["finalizers"]) == (False, [KEPT])
    assert released["ended"] is True
    assert steps(released)[-2:] == ["held by finalizers", steps(released)[-1]]
    assert steps(released)[-1].startswith("the last finalizer removed by kubectl/")
    assert took(released, "held by finalizers") > 0


def test_a_pod_without_an_end_is_a_finding(stack: Stack) -> None:
    done = ktrace(stack, "show", "never-was", "--ending", "--timeout", "0", "--stack", stack.name)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
