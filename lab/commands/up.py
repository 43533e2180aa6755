"""`make up`: bring a stack up, and print where to look."""

from __future__ import annotations

import json
import os

from lab.commands.setup import needs_of
from lab.machine.machine import REGISTRY
from lab.machine.ready import make_ready
from lab.paths import Cache
from lab.stacks import pulumi, settings_file


def run(cache: Cache, wanted: str | None) -> int:
    """Make the machine ready and bring up the wanted stack, else the default one.

    Returns Pulumi's exit code.
    """
    needs, stack = needs_of(cache, wanted)
    print("\n".join(needs.machine.reasons), flush=True)
    os.environ.update(make_ready(needs))
    settings_file.ensure(stack, needs.machine.default_stack)
    print(f"stack: {stack}{'' if wanted else ', which fits the images'}", flush=True)
    code = pulumi.run(["stack", "select", "--create", stack], stack)
    mirror = os.environ.get(REGISTRY, "")
    if code == 0 and mirror and settings_file.mirror(stack) != mirror:
        print(f"{REGISTRY}: written as registryMirror to Pulumi.{stack}.yaml", flush=True)
        code = pulumi.run(["config", "set", "registryMirror", mirror], stack)
    if code == 0 and pulumi.has_interrupted_creates(stack):
        # What they began is found by the program; the state would tell of them in every command.
        code = pulumi.run(["refresh", "--clear-pending-creates", "--yes", "--skip-preview"], stack)
    # The outputs are printed below, in a form of our own.
    code = code or pulumi.run(["up", "--yes", "--skip-preview", "--suppress-outputs"], stack)
    if code == 0:
        _print_outputs(stack)
    return code


def _print_outputs(stack: str) -> None:
    outputs = pulumi.outputs(stack)
    links = outputs.pop("links", {})
    print(f"\nStack {stack} is up.")
    for name, value in {**outputs, **links}.items():
        print(f"  {name:<26} {value if isinstance(value, str) else json.dumps(value)}")
    print('To use its tools and settings in this shell: eval "$(make -s env)"')
