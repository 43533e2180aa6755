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

from runtime_observability.host import runner

_FATAL = (
    re.compile(r"level=fatal"),
    re.compile(r"Incorrect Usage|flag provided but not defined|^Error[: ]"),
    # A component that ended (k3s pkg/signals/signals.go since 1.34; in its own words before).
    re.compile(r"Shutdown request received: .|\b[\w-]+ exited: "),
    # Every boot answers its first requests with 503, at this level (k3s pkg/util/apierrors.go).
    re.compile(r"level=error (?!msg=\"Sending HTTP/)"),
    re.compile(r"^E\d{4} "),
)
_CONTAINERD_LOG = "/var/lib/rancher/k3s/agent/containerd/containerd.log"
"""Where k3s writes what its containerd says (k3s pkg/agent/config/config.go)."""
_CONTAINERD_LINES = 3
_LOGGED = re.compile(r'time="[^"]*" level=(?P<level>\w+) msg="(?P<text>.*)"\Z')
_HINT = re.compile(r"(You can now use it like this|kubectl cluster-info|export KUBECONFIG=)")
"""How k3d would have its cluster used: here it has a kubeconfig of its own."""
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
    """How k3d says that it failed: its first grave line, as the last only says that it did."""
    grave = (line for line in log.splitlines() if re.search(r"level=(fatal|error)", line))
    first = next(grave, "")
    return f"k3d exited with {code}" + (f": {message(first)}" if first else "")


class NodeWatch:
    """Keeps what the nodes log, and notices a node in which k3s has died.

    ``since``, in seconds of Unix time, leaves out what they logged in an earlier life.
    """

    def __init__(self, nodes: Sequence[str], since: float = 0) -> None:
        self._since = ["--since", f"{int(since)}"] if since else []
        self._logs = dict.fromkeys(nodes, "")
        self._containerd: dict[str, str] = {}
        self._alive_at: dict[str, float] = {}
        self._next_look = 0.0

    def look(self) -> str | None:
        """Why the cluster cannot come up any more, or None while it still can."""
        if time.monotonic() < self._next_look:
            return None
        self._next_look = time.monotonic() + _LOOK_SECONDS
        for node in self._logs:
            shown = runner.run(["docker", "logs", "--tail", "2000", *self._since, node])
            if shown.code:
                continue
            self._logs[node] = (shown.stdout + shown.stderr) or self._logs[node]
            if "containerd exited" in self._logs[node]:
                self._containerd[node] = _end_of_containerd_log(node)
            top = runner.run(["docker", "top", node])
            now = time.monotonic()
            if top.code or re.search(r"k3s (server|agent)", top.stdout):
                self._alive_at[node] = now
            elif now - self._alive_at.setdefault(node, now) > _DEAD_SECONDS:
                return f"k3s in {node} has ended"
        return None

    def explanation(self) -> str:
        """What each node says of itself, a line or two."""
        told = []
        for node, log in self._logs.items():
            if log:
                told.append(f"{node}: {first_error(log)}")
            if node in self._containerd:
                told.append(f"containerd in it: {self._containerd[node]}")
        return "\n".join(told) or "no node has logged anything"


def _end_of_containerd_log(node: str) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "containerd.log"
        runner.run(["docker", "cp", f"{node}:{_CONTAINERD_LOG}", str(copy)])
        lines = copy.read_text(errors="replace").splitlines() if copy.is_file() else []
    return " | ".join(lines[-_CONTAINERD_LINES:]) or "it logged nothing"


def run(
    argv: Sequence[str],
    *,
    stdin: str,
    watch: NodeWatch,
    tools_image: str,
    lock: int,
    seconds: float,
) -> None:
    """Runs ``k3d argv`` and passes on what it says; ``lock`` stays held while k3d lives.

    Raises CommandError, with the nodes' first error lines, when k3d fails, takes longer than
    ``seconds`` or can no longer succeed.
    """
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
            why = _attend(child, watch, said, seconds)
        finally:
            child.kill()
            child.wait()
        if why:
            raise runner.CommandError(f"{why}.\n{watch.explanation()}")


def _attend(
    child: subprocess.Popen[bytes], watch: NodeWatch, said: Path, seconds: float
) -> str | None:
    """Stays with k3d until it ends; why it failed, or None."""
    deadline = time.monotonic() + seconds
    passed_on = 0
    while True:
        ended = child.poll() is not None
        text = said.read_text(errors="replace")
        end = len(text) if ended else text.rfind("\n") + 1
        for said_now in map(message, text[passed_on:end].splitlines()):
            if not _HINT.match(said_now):
                print(f"k3d: {said_now}", file=sys.stderr, flush=True)
        passed_on = max(passed_on, end)
        if ended:
            return own_error(child.returncode, text) if child.returncode else None
        if hopeless := watch.look():
            return hopeless
        if time.monotonic() > deadline:
            return f"k3d has not ended within {seconds:g} s, and its last words are above"
        time.sleep(0.5)
