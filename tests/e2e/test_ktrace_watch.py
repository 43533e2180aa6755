"""``ktrace watch`` on a real cluster."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.ktrace import running
from tests.live.pods import BUSYBOX, pods, wait_for_api
from tests.live.stack import Stack
from tests.live.waiting import until
from tests.schemas import validate


@contextmanager
def watching(stack: Stack, file: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """``ktrace watch`` while the block runs; its output is in ``file``."""
    with file.open("w") as output, running(stack, "watch", *arguments, stdout=output) as watch:
        assert watch.stderr
        watch.stderr.readline()
        try:
            yield watch
        finally:
            watch.send_signal(signal.SIGINT)
            watch.wait(timeout=30)


def test_a_start_that_is_slower_is_the_one_that_is_told(stack: Stack, tmp_path: Path) -> None:
    wait_for_api(stack)
    told = tmp_path / "slow"
    first = {"name": "migrate", "image": BUSYBOX, "command": ["sleep", "12"]}
    with (
        watching(stack, told, "--slower-than", "10s") as watch,
        pods(stack, "sleep", "60") as quick,
        pods(stack, "sleep", "60", initContainers=[first]) as slow,
    ):
        quick.wait_for("Running")
        slow.wait_for("Running")
        until("its line", told.read_text, 60)
    (line,) = told.read_text().splitlines()
    assert f"default/{slow.name}-0" in line
    assert "slowest: init container migrate runs" in line
    assert watch.returncode == 0


def test_each_start_is_a_line_and_ctrl_c_ends_it(stack: Stack, tmp_path: Path) -> None:
    wait_for_api(stack)
    every, slow = tmp_path / "every", tmp_path / "slow"
    with (
        pods(stack, "sleep", "60"),  # began before
        watching(stack, every, "--json") as first,
        watching(stack, slow, "--slower-than", "1m") as second,
        pods(stack, "sleep", "60", count=3) as wanted,
    ):
        wanted.wait_for("Running")
        names = set(wanted.phases)
        until("their lines", lambda: len(every.read_text().splitlines()) >= 3, 60)
    found = [json.loads(line) for line in every.read_text().splitlines()]
    for document in found:
        validate("watch", document)
        assert (document["complete"], document["durationMs"] > 0) == (True, True)
    assert {document["pod"] for document in found} == names
    assert len(found) == 3
    assert slow.read_text() == ""
    assert (first.returncode, second.returncode) == (0, 0)
