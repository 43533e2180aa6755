"""httpx, without its command line: that imports rich, click and pygments.

They would be half of the start of each process that asks one question (0.13 of 0.39 s; `pulumi up`
waits for four of them). Where they are not installed, httpx does without its command line too.
"""

from __future__ import annotations

import sys

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None: not to be imported

import httpx  # noqa: E402, TID251

__all__ = ["httpx"]
