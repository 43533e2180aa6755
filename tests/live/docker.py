"""What the Docker daemon holds, read without the code under test."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Docker:
    """The docker command in ``environment``."""

    environment: Mapping[str, str]

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Standard output of ``docker arguments``, stripped."""
        done = subprocess.run(
            ["docker", *arguments],
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def inspect(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self("inspect", name))[0]
        return document

    def exists(self, name: str) -> bool:
        return bool(self("inspect", "--format", "{{.Id}}", name, check=False))

    def running(self, name: str) -> bool:
        return self("inspect", "--format", "{{.State.Running}}", name, check=False) == "true"

    def containers(self, *filters: str) -> dict[str, str]:
        """Ids by name of all containers, running or not, that match every filter."""
        listed = self("ps", "-a", "--no-trunc", *_flags(filters), "--format", "{{.Names}} {{.ID}}")
        return dict(line.split() for line in listed.splitlines())

    def networks(self, *filters: str) -> dict[str, str]:
        listed = self(
            "network", "ls", "--no-trunc", *_flags(filters), "--format", "{{.Name}} {{.ID}}"
        )
        return dict(line.split() for line in listed.splitlines())

    def volumes(self, *filters: str) -> list[str]:
        return self("volume", "ls", "-q", *_flags(filters)).splitlines()

    def of_stack(self, stack: str) -> set[str]:
        """Containers, networks and volumes whose labels or names belong to ``stack``."""
        return self.matching(
            f"label=runtime-observability.stack={stack}",
            f"label=k3d.cluster=traced-{stack}",
            f"name=traced-{stack}",
        )

    def matching(self, *marks: str) -> set[str]:
        """Containers, networks and volumes that match at least one of these filters."""
        found: set[str] = set()
        for mark in marks:
            found |= {f"container {name}" for name in self.containers(mark)}
            found |= {f"network {name}" for name in self.networks(mark)}
            found |= {f"volume {name}" for name in self.volumes(mark)}
        return found


def _flags(filters: tuple[str, ...]) -> list[str]:
    return [word for condition in filters for word in ("--filter", condition)]
