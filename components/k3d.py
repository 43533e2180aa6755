"""k3d, run so that it can be watched: its own environment, a deadline, and the nodes' logs kept.

When k3s in a node dies at once, k3d waits its whole timeout and then rolls back, which deletes the
logs with the reason (seen with k3d 5.9.0). So the logs are read while it waits.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from components import runner

_FATAL = (
    re.compile(r"level=fatal"),
    re.compile(r"Incorrect Usage|flag provided but not defined|^Error[: ]"),
    re.compile(r"level=error"),
    re.compile(r"^E\d{4} "),
)
_LOGGED = re.compile(r'time="[^"]*" level=(?P<level>\w+) msg="(?P<text>.*)"\Z')
_LOOK_SECONDS = 2
_DEAD_SECONDS = 8
"""A node whose k3s has been gone this long will not come up: the entrypoint starts it only once."""


def environment(tools_image: str, scratch: str) -> dict[str, str]:
    """Without the user's K3D_* variables, which beat the configuration file.

    ``scratch`` takes the copies of the configuration that k3d leaves behind in TMPDIR.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("K3D_")}
    tools = {"K3D_IMAGE_TOOLS": tools_image} if tools_image else {}
    return {**kept, **tools, "LOG_COLORS": "0", "TMPDIR": scratch}


def first_error(log: str) -> str:
    """The line that says why a node did not come up: the first of the gravest kind there is."""
    lines = log.splitlines()
    for pattern in _FATAL:
        for line in lines:
            if pattern.search(line):
                return line.strip()
    return lines[-1].strip() if lines else "its log is empty"


def message(line: str) -> str:
    """What a line of k3d's log says, without time and level unless it warns."""
    match = _LOGGED.match(line)
    if not match:
        return line
    text = match["text"].replace('\\"', '"')
    return text if match["level"] == "info" else f"{match['level']}: {text}"


def own_error(code: int, log: str) -> str:
    """How k3d says that it failed: its last line of the gravest level."""
    grave = [line for line in log.splitlines() if re.search(r"level=(fatal|error)", line)]
    fatal = [line for line in grave if "level=fatal" in line]
    told = f": {message((fatal or grave)[-1])}" if grave else ""
    return f"k3d exited with {code}{told}"


class NodeWatch:
    """Keeps what the nodes log, and notices a node in which k3s has died."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._logs = dict.fromkeys(nodes, "")
        self._alive_at: dict[str, float] = {}
        self._next_look = 0.0

    def look(self) -> str | None:
        """Why the cluster cannot come up any more, or None while it still can."""
        if time.monotonic() < self._next_look:
            return None
        self._next_look = time.monotonic() + _LOOK_SECONDS
        for node in self._logs:
            shown = runner.run(["docker", "logs", "--tail", "2000", node])
            if shown.code:
                continue
            self._logs[node] = (shown.stdout + shown.stderr) or self._logs[node]
            top = runner.run(["docker", "top", node])
            now = time.monotonic()
            if top.code or re.search(r"k3s (server|agent)", top.stdout):
                self._alive_at[node] = now
            elif now - self._alive_at.setdefault(node, now) > _DEAD_SECONDS:
                return f"k3s in {node} has ended"
        return None

    def explanation(self) -> str:
        told = [f"{node}: {first_error(log)}" for node, log in self._logs.items() if log]
        return "\n".join(told) or "no node was started"


def run(
    argv: Sequence[str],
    *,
    stdin: str,
    nodes: Sequence[str],
    tools_image: str,
    lock: int,
    seconds: float,
) -> None:
    """Runs ``k3d argv`` and passes on what it says; ``lock`` stays held while k3d lives.

    Raises CommandError, with the nodes' first error lines, when k3d fails, takes longer than
    ``seconds`` or can no longer succeed.
    """
    watch = NodeWatch(nodes)
    with tempfile.TemporaryDirectory() as scratch:
        given, said = Path(scratch) / "stdin", Path(scratch) / "k3d.log"
        given.write_text(stdin)
        with given.open() as config, said.open("w") as output:
            child = subprocess.Popen(
                ["k3d", *argv],
                stdin=config,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(tools_image, scratch),
                pass_fds=(lock,),
            )
        try:
            why = _attend(child, watch, said, time.monotonic() + seconds)
        finally:
            child.kill()
            child.wait()
        if why:
            raise runner.CommandError(f"{why}.\n{watch.explanation()}")


def _attend(
    child: subprocess.Popen[bytes], watch: NodeWatch, said: Path, deadline: float
) -> str | None:
    """Stays with k3d until it ends; why it failed, or None."""
    passed_on = 0
    while True:
        ended = child.poll() is not None
        text = said.read_text(errors="replace")
        end = len(text) if ended else text.rfind("\n") + 1
        for line in text[passed_on:end].splitlines():
            print(f"k3d: {message(line)}", file=sys.stderr, flush=True)
        passed_on = max(passed_on, end)
        if ended:
            return own_error(child.returncode, text) if child.returncode else None
        if hopeless := watch.look():
            return hopeless
        if time.monotonic() > deadline:
            return "k3d took too long"
        time.sleep(0.5)
