"""The node's processes: their output, and the node's end with the first of them that ends."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

STOP_SECONDS = 2  # kube-apiserver would take 11; docker kills the node 10 s after its SIGTERM


class FatalError(Exception):
    """Ends the node with a `level=fatal` line, as k3s does."""


def log(level: str, message: str) -> None:
    """Write one line in the format of k3s' logger, which k3d and people read."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(f'time="{now}" level={level} msg={json.dumps(message)}', file=sys.stderr, flush=True)


def run(*arguments: str, check: bool = True) -> bool:
    """Run a tool and return whether it succeeded; FatalError with its error output if checked."""
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if check and result.returncode:
        raise FatalError(f"{' '.join(arguments)}: {result.stderr.strip()}")
    return result.returncode == 0


def listens(port: int) -> bool:
    """Whether a process of this node accepts connections on a port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def merged(defaults: Mapping[str, str], extra: Iterable[str]) -> list[str]:
    """Return a component's arguments: the defaults that no extra one replaces, then the extra ones.

    `key` alone means `key=true` (k3s-io/k3s pkg/util/args.go).
    """
    pairs = [argument.removeprefix("--").partition("=") for argument in extra]
    replaced = {key for key, _, _ in pairs}
    kept = [f"--{key}={value}" for key, value in defaults.items() if key not in replaced]
    return kept + [f"--{key}={value if equals else 'true'}" for key, equals, value in pairs]


@dataclass
class Child:
    """A running component, and its last output that may be the reason for its end."""

    name: str
    process: subprocess.Popen[bytes]
    complaint: str = "see its log"

    def pass_on(self) -> None:
        """Copy its output to our own stderr, where the components of k3s write too."""
        for line in self.process.stdout or ():
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
            text = line.decode(errors="replace").rstrip()
            if re.match(r"[EF]\d{4} |[Ee]rror|panic|fatal|invalid", text):
                self.complaint = re.sub(r"^[EF]\d{4} .*?] ", "", text)


@dataclass
class Components:
    """The child processes, in the order in which they were started."""

    running: list[Child] = field(default_factory=list)

    def start(
        self,
        name: str,
        arguments: Iterable[str],
        environment: Mapping[str, str] | None = None,
        log_file: Path | None = None,
    ) -> None:
        """Start a component from PATH; without a log file its output goes to our own stderr."""
        command = [name, *arguments]
        log("info", f"Running {' '.join(command)}")
        with log_file.open("ab") if log_file else contextlib.nullcontext() as file:
            process = subprocess.Popen(
                command, env=environment, stdout=file or subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        child = Child(name, process)
        self.running.append(child)
        threading.Thread(target=child.pass_on, daemon=True).start()

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition; raise FatalError when any component has ended."""
        while not condition():
            for child in self.running:
                if child.process.poll() is not None:
                    time.sleep(0.2)  # its last output may still arrive
                    code = child.process.returncode
                    raise FatalError(f"{child.name} exited with {code}: {child.complaint}")
            time.sleep(0.1)

    def stop(self, grace_seconds: float) -> None:
        """Stop all components; the first started, etcd, last."""
        for group in (self.running[1:], self.running[:1]):
            deadline = time.monotonic() + grace_seconds
            for child in group:
                child.process.terminate()
            for child in group:
                try:
                    child.process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    child.process.kill()
