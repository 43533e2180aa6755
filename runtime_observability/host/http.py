"""httpx, without its command line: that imports rich, click and pygments.

They would be a third of the start of each process that asks one question: 0.13 of 0.39 s, in the
program, in ensure and in the probe, of which one waits for the other. httpx itself does without its
command line where they are not installed.
"""

from __future__ import annotations

import sys

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None: not to be imported

import httpx  # noqa: E402, TID251

__all__ = ["httpx"]
