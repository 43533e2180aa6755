"""A collector to run in a test: the lab's, or one on PATH."""

from __future__ import annotations

import shutil

from lab.build import programs
from lab.paths import Cache


def program() -> str | None:
    """Its path; None if the lab has built none and PATH has none."""
    built = programs.collector.output(Cache.of_this_user()) / "collector"
    return str(built) if built.is_file() else shutil.which("otelcol")
