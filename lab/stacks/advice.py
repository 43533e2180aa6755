"""Cause and cure of errors that Pulumi reports without either."""

from __future__ import annotations

import re
import socket
from pathlib import Path


def explain(output: str, stack: str) -> str | None:
    """Return the cause and the cure of an error in Pulumi's output; None for any other error."""
    if "incorrect passphrase" in output:
        return (
            f"Pulumi.{stack}.yaml was made with another passphrase than the one in"
            " PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE. The committed stack files"
            " use the empty passphrase, because no secret is ever in the state: run `export"
            " PULUMI_CONFIG_PASSPHRASE=` and unset PULUMI_CONFIG_PASSPHRASE_FILE. To use a"
            " passphrase of your own, make a stack of your own: make up STACK=NAME"
        )
    lock = re.search(r"created by \S+@(\S+) \(pid (\d+)\)", output)
    if lock and lock[1] == socket.gethostname():
        if Path("/proc", lock[2]).exists():
            return f"Process {lock[2]} is working on stack {stack}: wait until it has ended."
        return (
            f"The run that locked stack {stack} (pid {lock[2]}) was killed before it could unlock"
            f" it. Unlock it with `pulumi cancel --yes --stack {stack}` in a shell that has"
            ' evaluated `eval "$(make -s env)"`, then run the same command again.'
        )
    return None
