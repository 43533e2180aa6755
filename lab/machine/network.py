"""What the network has, remembered for minutes."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.request
from collections.abc import Callable

from lab.paths import Cache
from lab.progress import progress

SITE_SECONDS = 3.0
"""How long a site may take to connect, and to send its answer."""
VALID_SECONDS = {True: 600.0, False: 60.0}
"""How long an answer is used again: a no may come from a moment's overload."""


def remembered(question: str, find_out: Callable[[], bool], cache: Cache) -> bool:
    """Return the stored answer to a question; once that is too old, find out and store it.

    A no decides only if it is found out twice: on it depends a build of 20 minutes.
    """
    memory = cache.root / "reachable.json"
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    answer, found_at = known.get(question, (False, 0.0))
    if 0 <= time.time() - found_at < VALID_SECONDS[bool(answer)]:
        return bool(answer)
    with progress(f"looking for {question}"):
        answer = find_out() or find_out()
    cache.root.mkdir(parents=True, exist_ok=True)
    memory.write_text(json.dumps({**known, question: (answer, time.time())}))
    return answer


def has_file(url: str) -> bool:
    """Whether a site can be reached and has a file."""
    found = threading.Event()

    def request() -> None:
        head = urllib.request.Request(url, method="HEAD")  # noqa: S310 - constant https sites
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(head, timeout=SITE_SECONDS),  # noqa: S310
        ):
            found.set()

    # A thread, because no timeout limits a name look-up whose servers do not answer.
    requesting = threading.Thread(target=request, daemon=True)
    requesting.start()
    requesting.join(2 * SITE_SECONDS)
    return found.is_set()
