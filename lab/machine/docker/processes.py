"""The host's tools and processes, as a private daemon needs them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from lab.errors import LabError

PATH = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
"""PATH with the folders of root's own tools, which a user's PATH may lack."""
KILL_SECONDS = 10.0


def run(*arguments: str, stdin: str | None = None) -> str:
    """Run a tool and return its output; raise LabError with its error output when it fails."""
    environment = {**os.environ, "PATH": PATH}
    result = subprocess.run(
        arguments, env=environment, input=stdin, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise LabError(f"{' '.join(arguments)}: {result.stderr.strip() or result.stdout}")
    return result.stdout


def running_pid(pid_file: Path, mark: Path) -> int | None:
    """Return the live process of a pid file if its command line has the path `mark`.

    A pid file survives a killed daemon, and its number may belong to another process by then.
    """
    try:
        pid = int(pid_file.read_text(encoding="utf-8"))
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if str(mark).encode() in arguments else None


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead but not yet reaped by its parent does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def end(pid: int, grace_seconds: float) -> None:
    """End a process with SIGTERM, and after `grace_seconds` with SIGKILL."""
    for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, KILL_SECONDS)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not alive(pid):
                return
            time.sleep(0.05)
    raise LabError(
        f"process {pid} still runs {KILL_SECONDS:g} s after SIGKILL: the kernel blocks it"
    )
