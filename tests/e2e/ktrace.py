"""Runs ``ktrace`` as a user does in the project of a stack."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from tests.live.stack import Stack


def ktrace(
    stack: Stack, *arguments: str, stdin: str = "", seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """The finished command, whatever its exit code."""
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
    """The command's output with --json; fails unless its exit code is ``code``."""
    done = ktrace(stack, *arguments, "--json", "--stack", stack.name)
    assert done.returncode == code, done.stdout + done.stderr
    output: dict[str, Any] = json.loads(done.stdout)
    return output
