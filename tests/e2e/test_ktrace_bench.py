"""``ktrace bench`` and ``ktrace diff`` on a real cluster."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.e2e.ktrace import ktrace, running
from tests.e2e.webhooks import slow_webhook
from tests.live.pods import deployment_of, wait_for_api
from tests.live.stack import Stack
from tests.live.waiting import until

PODS = 8
SPANS_ARRIVE = 3
"""Seconds until the last spans of a start are in Jaeger."""


def measured(stack: Stack, file: Path) -> dict[str, Any]:
    done = ktrace(stack, "bench", f"--pods={PODS}", "--save", str(file), "--stack", stack.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("measurement: ")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def now() -> str:
    return datetime.now(tz=UTC).isoformat()


def left(stack: Stack) -> str:
    return stack.kubectl("get", "pods", "-l", "app=trace-probe", "-o", "name")


def test_a_slow_webhook_is_the_step_that_differs(stack: Stack, tmp_path: Path) -> None:
    wait_for_api(stack)
    began = now()
    before = measured(stack, tmp_path / "before.json")
    assert (len(before["starts"]), before["notMeasured"]) == (PODS - 1, [])
    (whole,) = [row for row in before["summary"] if row["name"] == "start"]
    assert whole["leastMs"] <= whole["p50Ms"] <= whole["mostMs"]
    assert (whole["p90Ms"], whole["p99Ms"]) == (None, None), "from so few starts"
    middle = now()
    with slow_webhook(stack):
        measured(stack, tmp_path / "after.json")
    files = (str(tmp_path / "before.json"), str(tmp_path / "after.json"))
    found = ktrace(stack, "diff", *files, "--json")
    rows = {row["name"]: row for row in json.loads(found.stdout)["rows"]}
    # Among so few starts a busy machine may hide what the whole takes longer, but no step of 10 ms.
    whole = rows["start"]
    assert found.returncode == int(whole["shown"] and whole["afterMs"] > whole["beforeMs"])
    assert rows["create request"]["lowMs"] > 200
    slower = {name for name, row in rows.items() if row["shown"] and row["lowMs"] > 200}
    assert any("webhook" in name for name in slower), rows
    text = ktrace(stack, "diff", *files).stdout.splitlines()[0]
    assert "; differs: " in text
    windows = (f"window:{began}/{middle}", f"window:{middle}/now")
    options = ("--pods", "default/trace-probe", "--stack", stack.name, "--json")
    found = ktrace(stack, "diff", *windows, *options)
    assert found.returncode in (0, 1), found.stderr
    rows = {row["name"]: row for row in json.loads(found.stdout)["rows"]}
    assert rows["create request"]["lowMs"] > 200, "the same by the spans alone"
    assert left(stack) == ""


@contextmanager
def deployed(stack: Stack, name: str, **main: Any) -> Iterator[None]:
    """A Deployment that is rolled out; ``main`` is merged into its container."""
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(deployment_of(name, PODS, **main)))
    try:
        stack.kubectl("rollout", "status", f"deployment/{name}", "--timeout=120s")
        yield
    finally:
        stack.kubectl("delete", "deployment", name, "--cascade=foreground")


def test_a_sleeping_hook_is_the_step_that_differs(stack: Stack) -> None:
    wait_for_api(stack)
    # So long that what a busy machine adds to one of the two windows is little beside it.
    slow = {"lifecycle": {"postStart": {"exec": {"command": ["sleep", "2"]}}}}
    kinds: tuple[dict[str, Any], ...] = ({}, slow, slow)
    moments = [now()]
    for main in kinds:
        with deployed(stack, "hooked", **main):
            time.sleep(SPANS_ARRIVE)
        moments.append(now())
    windows = [f"window:{begin}/{end}" for begin, end in pairwise(moments)]

    def handler(before: str, after: str) -> dict[str, Any]:
        options = ("--pods", "default/hooked", "--stack", stack.name, "--json")
        found = ktrace(stack, "diff", before, after, *options)
        assert found.returncode in (0, 1), found.stderr
        rows = json.loads(found.stdout)["rows"]
        (row,) = [row for row in rows if "postStart" in row["name"]]
        return dict(row)

    changed = handler(windows[0], windows[1])
    assert (changed["name"], changed["beforeMs"]) == ("postStart of main", 0)
    assert changed["shown"]
    assert changed["lowMs"] > 1900
    # Nothing was changed; the machine may have become a little busier.
    same = handler(windows[1], windows[2])
    assert not same["shown"] or abs(same["lowMs"]) < 1000


def test_ctrl_c_leaves_no_pod(stack: Stack) -> None:
    wait_for_api(stack)
    with running(stack, "bench", "--pods=50", "--parallel=3") as bench:
        until("the first pods", lambda: left(stack), 60)
        bench.send_signal(signal.SIGINT)
        said = bench.communicate(timeout=60)
    assert bench.returncode == 130, said
    assert "Traceback" not in said[1]
    assert left(stack) == ""


def test_a_pod_that_cannot_start_ends_the_measurement(stack: Stack) -> None:
    image = ("--image", "registry.invalid/none:1", "--timeout", "5")
    done = ktrace(stack, "bench", "--pods=2", *image, "--stack", stack.name)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "did not start within 5 s" in line
    assert "registry.invalid/none:1" in line
    assert left(stack) == ""
