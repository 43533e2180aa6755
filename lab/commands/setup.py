"""`make setup`: make everything that Pulumi needs on this machine, and start no stack."""

from __future__ import annotations

from lab.machine.machine import examine
from lab.machine.ready import Needs, make_ready
from lab.paths import Cache
from lab.stacks import settings_file


def run(cache: Cache, wanted: str | None) -> int:
    """Make the machine ready for the wanted stack, else the default one; return 0."""
    needs, stack = needs_of(cache, wanted)
    print("\n".join(needs.machine.reasons), flush=True)
    make_ready(needs)
    print(f'Ready for stack {stack}. For this shell: eval "$(make -s env)"')
    return 0


def needs_of(cache: Cache, wanted: str | None) -> tuple[Needs, str]:
    """Return what the wanted stack, else the default one, needs here, and that stack's name."""
    machine = examine(cache)
    stack = wanted or machine.default_stack
    more = settings_file.more_images(stack) if machine.lab_images else []
    return Needs(machine, tuple(more)), stack
