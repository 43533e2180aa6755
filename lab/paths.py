"""Where the lab keeps what it makes: one folder, so that removing it removes everything."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LAB = PROJECT / "lab"


@dataclass(frozen=True)
class Cache:
    """The cache folder and the names in it."""

    root: Path

    @classmethod
    def of_this_user(cls) -> Cache:
        """Return $RUNTIME_OBSERVABILITY_CACHE, or the folder below the user's own cache."""
        given = os.environ.get("RUNTIME_OBSERVABILITY_CACHE")
        root = Path(given) if given else Path.home() / ".cache" / "runtime-observability"
        return cls(root.expanduser().absolute())

    @property
    def steps(self) -> Path:
        """Outputs of finished build steps, `<name>-<hash12>` each."""
        return self.root / "steps"

    @property
    def logs(self) -> Path:
        """One log for each step, `<name>.log`."""
        return self.root / "logs"

    @property
    def go_modules(self) -> Path:
        """GOMODCACHE of the lab's builds."""
        return self.root / "go" / "mod"

    @property
    def go_build(self) -> Path:
        """GOCACHE of the lab's builds."""
        return self.root / "go" / "build"

    @property
    def bin(self) -> Path:
        """Links to the built host tools; a folder for PATH."""
        return self.root / "bin"

    @property
    def docker(self) -> Path:
        """Everything of the private Docker daemon, its socket included."""
        return self.root / "docker"

    @property
    def pulumi_home(self) -> Path:
        """PULUMI_HOME where stand-in plugins are used, so that the user's own stays untouched."""
        return self.root / "pulumi-home"
