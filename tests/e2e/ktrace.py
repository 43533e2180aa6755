"""``ktrace``, run as a user runs it in a stack's project."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from tests.live.stack import Stack


def ktrace(
    stack: Stack, *arguments: str, stdin: str = "", seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """The finished command, which may have failed."""
    return subprocess.run(
        [str(stack.folder / ".venv/bin/python"), "-m", "ktrace", *arguments],
        cwd=stack.folder,
        env={**stack.environment, "PATH": stack.environment.get("PATH", os.defpath)},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def document(stack: Stack, *arguments: str, code: int = 0) -> dict[str, Any]:
    """What the command printed with --json."""
    done = ktrace(stack, *arguments, "--json", "--stack", stack.name)
    assert done.returncode == code, done.stdout + done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read
