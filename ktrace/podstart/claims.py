"""The ResourceClaims that a pod needs: the scheduler does not even try before they are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ktrace.api import maps


@dataclass(frozen=True)
class Claim:
    """What a pod's specification and status say of one, and what was read of the object."""

    name: str = ""
    """The object's; empty where it has none yet, or that is not known."""
    template: str = ""
    """What it is made from, of one that is made for the pod."""
    exists: bool | None = None
    allocated: bool | None = None

    def __str__(self) -> str:
        if not self.name:
            return f"the pod has no resource claim of template {self.template} yet"
        if self.exists is None:
            return f"it needs resource claim {self.name}, which was not read"
        if not self.exists:
            return f"resource claim {self.name} does not exist"
        return f"resource claim {self.name} is not allocated"


def of(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[Claim]:
    """Those of a pod. Until Kubernetes 1.30 they are named in ``source``; one with a status that
    has no name is not needed."""
    made = {
        entry.get("name"): entry.get("resourceClaimName")
        for entry in maps(status.get("resourceClaimStatuses"))
    }
    for entry in maps(spec.get("resourceClaims")):
        source = entry.get("source")
        source = source if isinstance(source, Mapping) else entry
        name, template = source.get("resourceClaimName"), source.get("resourceClaimTemplateName")
        if isinstance(name, str):
            yield Claim(name)
        elif isinstance(template, str) and made.get(entry.get("name"), ""):
            yield Claim(str(made[entry.get("name")]), template)
        elif isinstance(template, str) and entry.get("name") not in made:
            yield Claim(template=template)
