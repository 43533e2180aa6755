"""Progress of a module that Pulumi runs: lines on stderr, which Pulumi shows as they come."""

from __future__ import annotations

import sys


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
