"""The environment in which a user of this project works: what ``make env`` prints.

Whether this machine runs the lab's images or the official ones is decided in one place,
lab/machine/machine.py.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lab.machine.machine import examine
from lab.paths import Cache
from tests.configuration import PROJECT

DEFAULT_STACK = "RUNTIME_OBSERVABILITY_STACK"
"""The committed stack that fits this machine's images; `make test` sets it and all the others."""
_NOT_INHERITED = (
    "KUBECONFIG", "PULUMI_STACK", "MAKEFLAGS", "MAKELEVEL", "MFLAGS",
    "PYTHONDONTWRITEBYTECODE",  # a copy of the project is compiled once, not in each process
)  # fmt: skip


def of_make() -> dict[str, str]:
    """This process's environment with the project's tools, daemon and plugins in it.

    The variables of one stack, such as KUBECONFIG, are left out: tests use their own stacks.
    """
    outside = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
    if DEFAULT_STACK in outside:
        return outside
    found = examine(Cache.of_this_user())
    exports = subprocess.run(
        ["make", "-s", "env"],
        cwd=PROJECT,
        env=outside,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    shown = subprocess.run(
        ["sh", "-c", 'eval "$1"; exec env -0', "sh", exports],
        env=outside,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    pairs = (entry.split("=", 1) for entry in shown.split("\0") if entry)
    exported = {key: value for key, value in pairs if key not in _NOT_INHERITED}
    return {**exported, DEFAULT_STACK: found.default_stack}


def of_stack(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """``environment`` with a Pulumi backend of its own in ``folder``."""
    return {
        **environment,
        "PULUMI_BACKEND_URL": f"file://{folder}",
        "PULUMI_CONFIG_PASSPHRASE": "",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
