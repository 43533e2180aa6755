"""A measurement on a stack of its own, with its result on standard output."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.live import environment
from tests.live.stack import Stack, copy_project


def on_a_stack(measure: Callable[[Stack, Path], None], result: Callable[[], str]) -> int:
    """The exit code of a ``measure`` with a stack, which is down, and a folder of its own.

    ``result`` is printed of a part of it too.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            stack = Stack(copy_project(Path(scratch) / "stack"), dict(environment.of_make()))
            try:
                measure(stack, Path(scratch))
            finally:
                stack.finish()
    except AssertionError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        print(result())
    return 0
