"""Which of a stack's containers and networks Pulumi has to make again. Read-only.

Pulumi itself sees that in a refresh alone, which takes longer than all else of an `up` with nothing
to do: 2 s for a network (reference of the real plugins), and another start of every plugin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from runtime_observability.core.naming import Names
from runtime_observability.host.docker import Owned

_STARTED = ("running", "restarting", "paused")
"""States of a container that has not ended: it is as it was made."""


@dataclass(frozen=True)
class DockerDrift:
    made: dict[str, str]
    """``Observation.made``."""
    reasons: tuple[str, ...]
    """What is to be made again, and why; of a stack that was never made, all of it."""


def find(names: Names, containers: Sequence[Owned], networks: Sequence[Owned]) -> DockerDrift:
    """``containers`` and ``networks`` are all that Docker has."""
    own = {found.name: found for found in (*containers, *networks) if found.owner == names.owner}
    reasons = {
        name: f"{kind} {name} is {state}"
        for kind, name in (
            ("container", names.jaeger),
            ("container", names.collector),
            ("network", names.network),
        )
        if (state := _fault(own.get(name)))
    }
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    kept = {name: found.made for name, found in own.items() if found.made}
    return DockerDrift(kept | dict.fromkeys(reasons, now), tuple(reasons.values()))


def _fault(found: Owned | None) -> str:
    """Why it is not as it was made; a network has no state."""
    if found is None:
        return "gone"
    return "" if found.state in ("", *_STARTED) else found.state
