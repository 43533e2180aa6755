"""The folders of the project, and the one folder in which the lab keeps everything it makes."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LAB = PROJECT / "lab"


@dataclass(frozen=True)
class Cache:
    """The cache folder and the names in it; removing it removes everything that was made."""

    root: Path

    @classmethod
    def of_this_user(cls) -> Cache:
        """Return $RUNTIME_OBSERVABILITY_CACHE, or the folder below the user's own cache.

        That is $XDG_CACHE_HOME if its path is absolute, as the XDG specification demands, and
        ~/.cache if not.
        """
        named = os.environ.get("RUNTIME_OBSERVABILITY_CACHE")
        if named:
            return cls(Path(named).expanduser().absolute())
        caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
        if not caches.is_absolute():
            caches = Path.home() / ".cache"
        return cls(caches / "runtime-observability")

    @property
    def steps(self) -> Path:
        """Outputs of finished build steps, named `<name>-<hash12>`."""
        return self.root / "steps"

    @property
    def logs(self) -> Path:
        """One log per build step, named `<name>.log`."""
        return self.root / "logs"

    @property
    def temporary(self) -> Path:
        """TMPDIR of what runs in build steps."""
        return self.root / "tmp"

    @property
    def go_modules(self) -> Path:
        """GOMODCACHE of the lab's builds."""
        return self.root / "go" / "mod"

    @property
    def go_build(self) -> Path:
        """GOCACHE of the lab's builds."""
        return self.root / "go" / "build"

    def environment(self, project: Path) -> Path:
        """The folder of what belongs to one checkout of the project alone, by its path."""
        return self.root / "checkouts" / hashlib.sha256(str(project).encode()).hexdigest()[:8]

    @property
    def docker(self) -> Path:
        """Everything of the private Docker daemon, its socket included."""
        return self.root / "docker"

    @property
    def pulumi_home(self) -> Path:
        """PULUMI_HOME of this checkout where stand-in plugins are used.

        The user's own is not changed, and no checkout changes the plugins of another.
        """
        return self.environment(PROJECT) / "pulumi-home"
