"""The environment in which a user of this project works: what ``make env`` prints."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
_NOT_INHERITED = ("KUBECONFIG", "PULUMI_STACK", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")


def of_make() -> dict[str, str]:
    """This process's environment with the project's tools, daemon and plugins in it.

    The settings of one stack (its kubeconfig, say) are left out: tests make stacks of their own.
    """
    outside = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
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
    return {key: value for key, value in pairs if key not in _NOT_INHERITED}


def of_stack(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """``environment`` with a state of its own in ``folder``."""
    return {
        **environment,
        "PULUMI_BACKEND_URL": f"file://{folder}",
        "PULUMI_CONFIG_PASSPHRASE": "",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
