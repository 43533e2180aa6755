"""Stands in front of Pulumi's Python language host 3.68.0, the newest that a Go module holds.

Today's engine sends the options of the project's `runtime` with each request; that host knows
`virtualenv` only as a flag (sdk v3.68.0 python/cmd/pulumi-language-python/main.go). The engine
starts it in the project folder or, for a program with `main:`, below it.

It runs from the lab's cache, with that host in the folder above it, a copy of PyYAML beside it and
no other package.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import yaml

# pulumi/pulumi sdk v3.259.0 go/common/workspace/paths.go: the project file that the engine looks
# for. JSON is YAML.
PROJECT_FILES = ("Pulumi.json", "Pulumi.yaml", "Pulumi.yml")

# The host is started twice in a preview. Without libyaml, the project's file takes it 0.04 s.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def flags(folder: Path) -> list[str]:
    """Return the host's flags for the project that `folder` is in; none without a virtualenv."""
    for parent in (folder, *folder.parents):
        for name in PROJECT_FILES:
            if (parent / name).is_file():
                project = yaml.load((parent / name).read_text("utf-8"), _LOADER)  # noqa: S506 - safe
                virtualenv = _virtualenv(project)
                return [f"-root={parent}", f"-virtualenv={virtualenv}"] if virtualenv else []
    return []


def _virtualenv(project: Any) -> str | None:
    match project:
        case {"runtime": {"options": {"virtualenv": str(virtualenv)}}}:
            return virtualenv
    return None


if __name__ == "__main__":
    host = Path(__file__).parent.with_name("pulumi-language-python")
    os.execv(host, [str(host), *flags(Path.cwd()), *sys.argv[1:]])  # noqa: S606 - no shell is wanted
