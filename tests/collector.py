"""A collector to run in a test: the one that a variable names, the lab's, or one on PATH."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lab.build import programs
from lab.paths import Cache
from tests import lacking

_VARIABLE = "RUNTIME_OBSERVABILITY_COLLECTOR"


def program() -> Path | None:
    """Its path; None where there is none."""
    built = programs.collector.output(Cache.of_this_user()) / "collector"
    on_path = shutil.which("otelcol")
    candidates = (os.environ.get(_VARIABLE), built if built.is_file() else None, on_path)
    return next((Path(found) for found in candidates if found), None)


def needed() -> Path:
    """Its path; without one the test fails in CI and is skipped elsewhere."""
    found = program()
    if found is None:
        reason = f"the test needs a collector: build the lab's, or name one with {_VARIABLE}"
        lacking.refuse(reason)
    return found
