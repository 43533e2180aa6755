"""`make env`: print what a shell needs to work with a stack."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping

from lab.machine.machine import examine
from lab.machine.ready import make_ready
from lab.paths import PROJECT, Cache
from lab.stacks import pulumi, settings_file
from runtime_observability.core.naming import Names


def run(cache: Cache, wanted: str | None) -> int:
    """Make the machine ready and print the variables of its shell; return 0."""
    machine = examine(cache)
    stack = wanted or machine.default_stack
    nodes = settings_file.extra_nodes(stack) if machine.lab_images else []
    variables = make_ready(machine, nodes)
    os.environ.update(variables)
    print(_exports(variables, wanted or pulumi.selected_stack()), end="")
    return 0


def _exports(variables: Mapping[str, str], stack: str | None) -> str:
    """Return lines for a shell's eval, with KUBECONFIG when the stack is up."""
    exports = dict(variables)
    if stack and (kubeconfig := Names(stack, PROJECT).kubeconfig).is_file():
        exports["KUBECONFIG"] = str(kubeconfig)
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in exports.items())
