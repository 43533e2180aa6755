"""``ktrace run --assert`` judges what a command caused, in a real cluster."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.ktrace import ktrace
from tests.e2e.test_ktrace_top import client
from tests.e2e.webhooks import configured
from tests.live.pods import wait_for_api
from tests.live.stack import Stack
from tests.live.waiting import until
from tests.schemas import validate

_MERGE = {"Content-Type": "application/merge-patch+json"}
_CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
_QUIET = {"name": "no hot loop", "quietFor": "3s"}


@pytest.fixture
def name(stack: Stack) -> Iterator[str]:
    """Of a ConfigMap that no one else has."""
    wait_for_api(stack)
    made = f"judged-{secrets.token_hex(3)}"
    yield made
    stack.kubectl("delete", "configmap,pod", made, "--now", "--ignore-not-found", check=False)


@contextmanager
def hot_loop(stack: Stack, name: str, agent: str) -> Iterator[None]:
    """Someone patches the ConfigMap twice a second, from when it is there."""
    ended = threading.Event()

    def loop() -> None:
        number = 0
        with client(stack, agent) as api:
            while not ended.wait(0.5):
                number += 1
                changed = {"data": {"n": str(number)}}
                api.patch(f"{_CONFIGMAPS}/{name}", json=changed, headers=_MERGE)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def judged(
    stack: Stack,
    folder: Path,
    expectations: list[dict[str, Any]],
    *command: str,
    code: int,
    seconds: int = 5,
) -> dict[str, Any]:
    """The verdicts by name; fails unless ktrace ends with ``code``.

    What the command caused is followed for ``seconds``.
    """
    file, report = folder / "wanted.yaml", folder / "report.json"
    file.write_text(yaml.safe_dump({"expectations": expectations}))
    options = ["--json", "--report", str(report), "--assert", str(file), "--for", str(seconds)]
    done = ktrace(stack, "run", *options, "--", *command)
    told = report.read_text() if report.exists() else ""
    assert done.returncode == code, done.stdout + done.stderr + told
    document = json.loads(told)
    validate("run", document)
    return {one["name"]: one for one in document["expectations"]}


def test_a_hot_loop_is_named_and_counted(stack: Stack, name: str, tmp_path: Path) -> None:
    agent = f"loop-{name}/1"
    with hot_loop(stack, name, agent):
        made = ("kubectl", "create", "configmap", name)
        found = judged(stack, tmp_path, [_QUIET], *made, code=1)["no hot loop"]
    assert found["judged"]
    assert found["found"] >= 4
    (_, named) = found["failures"]
    assert f"{agent} wrote configmaps/default/{name} {found['found']} times" in named


def test_a_quiet_object_and_a_webhook_are_judged_by_what_the_command_caused(
    stack: Stack, name: str, tmp_path: Path
) -> None:
    """The webhook hangs up after a while, and the API server goes on without it."""
    hook = f"opens-{secrets.token_hex(3)}"
    expectations: list[dict[str, Any]] = [
        _QUIET,
        {"name": "quick", "webhook": f"{hook}/*", "expect": {"durationBelowMs": 0.001}},
        {"name": "slow", "webhook": f"{hook}.example.com", "expect": {"durationBelowMs": 9000}},
        {"name": "open", "webhook": f"{hook}/*", "expect": {"count": 1, "failedOpen": True}},
        {
            "name": "one write",
            "request": {"verb": "write", "name": name, "client": "kubectl/*"},
            "expect": {"count": 1, "status": "201", "durationBelowMs": 9000},
        },
    ]
    with (
        client(stack, "asks/1") as api,
        configured(stack, hook, "https://127.0.0.1:1/", "configmaps"),
    ):

        def asked() -> bool:
            """The API server learns of a webhook after a moment; nothing is stored."""
            made = {"metadata": {"name": name}}
            assert api.post(_CONFIGMAPS, json=made, params={"dryRun": "All"}).status_code == 201
            return bool(calls(stack, hook))

        until("a call of the webhook", asked, 60, every=1)
        made = ("kubectl", "create", "configmap", name)
        found = judged(stack, tmp_path, expectations, *made, code=1)
    met = {key: (one["ok"], one["judged"]) for key, one in found.items()}
    assert met == {
        "no hot loop": (True, True),
        "quick": (False, True),
        "slow": (True, True),
        "open": (True, True),
        "one write": (True, True),
    }
    assert found["quick"]["found"] == 1, "and none of the neighbour's"
    assert hook in found["quick"]["failures"][0]


def calls(stack: Stack, hook: str) -> list[dict[str, Any]]:
    """The calls of the webhook by anybody."""
    done = ktrace(stack, "top", "--by", "webhook", "--json", "--stack", stack.name)
    return [row for row in json.loads(done.stdout)["rows"] if row["key"].startswith(f"{hook}/")]


def test_a_pod_that_does_not_become_ready_is_a_finding(
    stack: Stack, name: str, tmp_path: Path
) -> None:
    expectations = [{"name": "Ready", "pod": f"default/{name}", "expect": {"readyWithin": "1s"}}]
    made = ("kubectl", "run", name, "--image", "none.invalid/none:1", "--restart", "Never")
    found = judged(stack, tmp_path, expectations, *made, code=1, seconds=2)["Ready"]
    assert (found["ok"], found["judged"], found["found"]) == (False, True, 1)
    assert f"pod default/{name} is not Ready after " in found["failures"][0]


def test_a_bad_file_is_refused_before_the_command_runs(
    stack: Stack, name: str, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("expectations:\n- name: quiet\n  quietFor: forever\n")
    done = ktrace(stack, "run", "--assert", str(file), "--", "kubectl", "create", "configmap", name)
    assert done.returncode == 2
    assert ": line 3, expectation 1 'quiet', quietFor: 'forever' is not a time" in done.stderr
    assert not stack.kubectl("get", "configmap", name, "--ignore-not-found").strip()
