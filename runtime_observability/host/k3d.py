"""Runs k3d with a deadline and reads its nodes' logs meanwhile.

When k3s in a node exits at once, k3d waits until its timeout, or no longer than until Docker starts
that node again, and then rolls back, which deletes the node and the log that has the reason (seen
with k3d 5.9.0). So the logs are read while k3d waits and when it has ended, and it rolls nothing
back.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from runtime_observability.core import node_cures
from runtime_observability.host import lives, progress, runner

_ERROR_PATTERNS = (
    re.compile(r"level=fatal"),
    # Except what k3d's entrypoint is answered until the node has registered (uncordon).
    re.compile(r"Incorrect Usage|flag provided but not defined|^Error(?! from server )[: ]"),
    # A component that exited (k3s pkg/signals/signals.go since 1.34, other wordings before).
    re.compile(r"Shutdown request received: .|\b[\w-]+ exited: "),
    # A kubelet that may not join (kubernetes pkg/kubelet/kubelet_node_status.go).
    re.compile(r"^E\d{4} .*\"Unable to register node with API server"),
    # Except the 503 answers that every boot logs as errors (k3s pkg/util/apierrors.go).
    re.compile(r"(?<!-)level=error (?!msg=\"Sending HTTP/)"),  # --log-level=error is none
    # Except of that entrypoint's kubectl, which knows no API server before k3s runs.
    re.compile(r"^E\d{4} (?!.*\b(localhost|127\.0\.0\.1):8080\b)"),
)
"""Error lines in a node's log, those that best explain a failure first."""
_CONTAINERD_LOG = "/var/lib/rancher/k3s/agent/containerd/containerd.log"
"""Where k3s writes its containerd's log (k3s pkg/agent/config/config.go)."""
_CONTAINERD_LINES = 3
_BY_CONTAINERD = re.compile(
    r"containerd exited|failed to run Kubelet: validate service connection: .*unknown service "
)
"""In a node's log: containerd ended, or runs without the service that the kubelet needs."""
_NO_CRI = re.compile(r'msg="failed to load plugin.*io\.containerd\.(grpc\.v1\.cri|cri\.v1)')
"""What the kubelet calls. A containerd that runs may lack others, such as snapshotters."""
_SERVER = re.compile(r"-server-\d+\Z")
_STOPPED_CURE = "`pulumi up` starts it again"
_CRASH = re.compile(r"(panic|fatal error): ")
"""Heads a Go program's last words; stacks of more than three lines follow."""
_ERROR = re.compile(r"level=(fatal|error) (?!msg=\"Failed to run tools container)")
"""Except one that has no reason: the next one has it (k3d v5.9.0 pkg/client/environment.go)."""
_LOGGED = re.compile(r'time="[^"]*" level=(?P<level>\w+) msg="(?P<text>.*)"\Z')
_HINT = re.compile(r"(You can now use it like this|kubectl cluster-info|export KUBECONFIG=)")
"""k3d's advice on its own kubeconfig, which does not apply: the stack has another one."""
_VERSION_SECONDS = 10
_CHECK_SECONDS = 2
_DEAD_SECONDS = 8
"""A node without a k3s process for this long has failed: its entrypoint starts k3s only once. One
that somebody stopped or removed does not come back by itself."""
_GONE = "No such container"
"""What docker says of a container that does not exist."""
CREATE = ("cluster", "create", "--config", "-", "--no-rollback")
"""Creates a cluster, of which whoever runs it removes what a failure leaves."""


class CurableError(runner.CommandError):
    """What makes nodes fail would stop another cluster, too, or has a cure that keeps this one."""


def environment(tools_image: str, scratch: str) -> dict[str, str]:
    """The environment for k3d: without the user's K3D_* variables, which override the config file.

    At the levels debug and trace, which LOG_LEVEL can choose (k3d v5.9.0 cmd/root.go), its log has
    the cluster's token and the configuration, and Pulumi's state would have the log. ``scratch``
    becomes TMPDIR, where k3d leaves copies of its configuration behind.

    Its tools container mounts the path in DOCKER_SOCK (pkg/client/tools.go there), of which nothing
    here makes use: an address is refused by Docker, after nodes were stopped, and of a path that is
    not there Docker makes a folder.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("K3D_") and name != "DOCKER_SOCK"
    }
    tools = {"K3D_IMAGE_TOOLS": tools_image} if tools_image else {}
    return {**kept, **tools, "LOG_LEVEL": "info", "LOG_COLORS": "0", "TMPDIR": scratch}


def first_error(log: str) -> str:
    """The line of a node's log that best explains why the node failed; else its last line."""
    lines = log.splitlines()
    for pattern in _ERROR_PATTERNS:
        for line in lines:
            if pattern.search(line):
                return line.strip()
    return lines[-1].strip() if lines else "its log is empty"


def message(line: str) -> str:
    """The message in a line of k3d's log, with its level unless that is info."""
    match = _LOGGED.match(line)
    if not match:
        return line
    text = match["text"].replace('\\"', '"')
    return text if match["level"] == "info" else f"{match['level']}: {text}"


def version() -> str:
    """k3d's own, such as 5.9.0 or 5.9.0-rc.1; empty where it does not tell one.

    Raises CommandError where k3d fails or does not end.
    """
    # Else it hangs with a daemon, or fails for want of its certificates.
    nowhere = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
    nowhere["DOCKER_HOST"] = "unix:///dev/null"
    argv = ["k3d", "version"]
    shown = runner.run(argv, timeout=_VERSION_SECONDS, environment=nowhere).checked()
    found = re.search(r"^k3d version v(\d+\.\d+\.\d+\S*)", shown, re.MULTILINE)
    return found[1] if found else ""


def exit_error(code: int, log: str) -> str:
    """Why k3d failed: its exit code and first error. Its last error only says that it failed."""
    errors = (line for line in log.splitlines() if _ERROR.search(line))
    first = next(errors, "")
    return f"k3d exited with {code}" + (f": {message(first)}" if first else "")


class NodeWatch:
    """Keeps the nodes' logs and detects a node in which k3s has exited.

    ``since``, Unix time in seconds, leaves out what the nodes logged before they were restarted;
    0: they are not.
    """

    def __init__(self, nodes: Sequence[str], since: float = 0) -> None:
        self._restarted_at = since or math.inf
        self._since = ["--since", f"{int(since)}"] if since else []
        self._logs = dict.fromkeys(nodes, "")
        self._containerd: dict[str, str] = {}
        self._alive_at: dict[str, float] = {}
        self._ran: set[str] = set()
        self._next_check = 0.0

    def check(self) -> str | None:
        """Reads the logs every few seconds; returns why the cluster has failed, else None."""
        if time.monotonic() < self._next_check:
            return None
        self._next_check = time.monotonic() + _CHECK_SECONDS
        for node in self._logs:
            logs = self._read(node)
            if logs.code:
                if _GONE in logs.stderr and self._is_lost(node):
                    return f"{node} was removed while it was waited for"
                continue
            if failure := self._failure(node):
                return failure
        return None

    def read(self) -> None:
        """Reads the logs now."""
        for node in self._logs:
            self._read(node)

    def _read(self, node: str) -> runner.Result:
        logs = runner.run(["docker", "logs", "--tail", "2000", *self._since, node])
        if not logs.code:
            self._logs[node] = (logs.stdout + logs.stderr) or self._logs[node]
            if _BY_CONTAINERD.search(self._logs[node]):
                self._containerd[node] = _end_of_containerd_log(node)
        return logs

    def _is_lost(self, node: str) -> bool:
        """Whether a node that ran is gone, and not because k3d takes back what it made."""
        return node in self._ran and time.monotonic() - self._alive_at[node] > _DEAD_SECONDS

    def _failure(self, node: str) -> str | None:
        """Why a node has failed, if it has. One that has not run yet is still to be started."""
        top = runner.run(["docker", "top", node])
        if top.code:
            is_alive = not self._stopped(node)
        elif is_alive := bool(re.search(r"k3s (server|agent)", top.stdout)):
            self._ran.add(node)
        now = time.monotonic()
        if is_alive:
            self._alive_at[node] = now
        elif now - self._alive_at.setdefault(node, now) > _DEAD_SECONDS:
            return f"{node} has ended" if top.code else f"k3s in {node} has exited"
        return None

    def _stopped(self, *nodes: str) -> list[str]:
        """How those of ``nodes`` ended that ran during this watch and that somebody stopped.

        Docker starts a node that ended by itself again.
        """
        return [
            f"{name} was stopped (exit code {life.exit_code}) while it was waited for"
            for name, life in lives.read(*nodes).items()
            if life.state == "exited"
            and (name in self._ran or life.started.timestamp() >= self._restarted_at)
        ]

    def error(self, failure: str) -> runner.CommandError:
        """``failure`` with each node's reason and what cures it; CurableError if that is known."""
        cures = self._cures(failure)
        told = "\n".join((f"{failure}.", *self._reasons(), *cures))
        return CurableError(told) if cures else runner.CommandError(told)

    def _reasons(self) -> list[str]:
        """The error of each node, and of its containerd if that is the cause; one line each."""
        lines = []
        for node, log in self._logs.items():
            if log:
                lines.append(f"{node}: {first_error(log)}")
            if node in self._containerd:
                lines.append(f"containerd in {node}: {self._containerd[node]}")
        return lines or ["no node has logged anything"]

    def _cures(self, failure: str) -> list[str]:
        stopped = [f"{stopped}: {_STOPPED_CURE}" for stopped in self._stopped(*self._logs)]
        logs = self._logs | {f"containerd in {node}": log for node, log in self._containerd.items()}
        servers = [node for node in self._logs if _SERVER.search(node)]
        return [*stopped, *node_cures.cures(logs | {"k3d": failure}, servers)]


def kubeconfig(cluster: str) -> str:
    """The text of a cluster's kubeconfig, as its first server has it."""
    quiet = {**os.environ, "LOG_LEVEL": "error", "LOG_COLORS": "0"}
    return runner.run(["k3d", "kubeconfig", "get", cluster], environment=quiet).checked()


def _end_of_containerd_log(node: str) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "containerd.log"
        runner.run(["docker", "cp", f"{node}:{_CONTAINERD_LOG}", str(copy)])
        lines = copy.read_text(errors="replace").splitlines() if copy.is_file() else []
    crashes = [line for line in lines if _CRASH.match(line)]
    without_cri = [line for line in lines if _NO_CRI.search(line)]
    told = crashes[-1:] or without_cri[-1:] or lines[-_CONTAINERD_LINES:]
    return " | ".join(told) or "its log is empty"


def run(
    argv: Sequence[str],
    *,
    stdin: str,
    watch: NodeWatch,
    tools_image: str,
    folder: Path,
    lock: int,
    seconds: float,
) -> None:
    """Runs ``k3d argv`` and prints its messages to stderr.

    ``stdin`` can have passwords: what a killed run leaves of it is in the stack's own ``folder``.
    k3d inherits the descriptor ``lock``, so the lock is held as long as k3d runs. Raises
    CommandError, with the nodes' errors, when k3d fails or runs longer than ``seconds``, or when a
    node has failed.
    """
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        input_file, log_file = Path(scratch) / "stdin", Path(scratch) / "k3d.log"
        input_file.write_text(stdin, encoding="utf-8")
        with input_file.open() as source, log_file.open("w") as output:
            child = subprocess.Popen(
                ["k3d", *argv],
                stdin=source,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(tools_image, scratch),
                pass_fds=(lock,),
            )
        try:
            failure = _wait(child, watch, log_file, seconds)
        finally:
            child.kill()
            child.wait()
        if failure:
            watch.read()
            raise watch.error(failure)


def _wait(
    child: subprocess.Popen[bytes], watch: NodeWatch, log_file: Path, seconds: float
) -> str | None:
    """Prints k3d's messages until it exits, a node fails or the time is up.

    Returns the failure, or None when k3d succeeded.
    """
    deadline = time.monotonic() + seconds
    printed = 0
    warned: set[str] = set()  # k3d reads docker's configuration, and warns of it, again and again
    while True:
        exited = child.poll() is not None
        log = log_file.read_text(encoding="utf-8", errors="replace")
        end = len(log) if exited else log.rfind("\n") + 1
        for text in map(message, log[printed:end].splitlines()):
            if not _HINT.match(text) and text not in warned:
                progress.log(f"k3d: {text}")
            if text.startswith("WARNING: "):
                warned.add(text)
        printed = max(printed, end)
        if exited:
            return exit_error(child.returncode, log) if child.returncode else None
        if failure := watch.check():
            return failure
        if time.monotonic() > deadline:
            return f"k3d did not finish within {seconds:g} s; the end of its output is above"
        time.sleep(0.5)
