"""`make env`: print what a shell needs to work with a stack."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping

from lab.commands.setup import needs_of
from lab.machine import ready
from lab.paths import PROJECT, Cache
from lab.stacks import pulumi
from runtime_observability.core.naming import Names


def run(cache: Cache, wanted: str | None) -> int:
    """Print the variables of a shell on this machine; return 0.

    Nothing is built, installed or started: raises LabError with what is missing.
    """
    needs, _ = needs_of(cache, wanted)
    variables = ready.variables(needs)
    os.environ.update(variables)
    if wanted:  # else kubectl would ask this stack, and ktrace the one that is selected later
        variables = {**variables, "PULUMI_STACK": wanted}
    print(_exports(variables, wanted or pulumi.selected_stack()), end="")
    return 0


def _exports(variables: Mapping[str, str], stack: str | None) -> str:
    """Return lines for a shell's eval, with KUBECONFIG when the stack is up."""
    exports = dict(variables)
    if stack and (kubeconfig := Names(stack, PROJECT).kubeconfig).is_file():
        exports["KUBECONFIG"] = str(kubeconfig)
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in exports.items())
