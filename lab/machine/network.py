"""What the network has, remembered for minutes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.errors import LabError
from lab.paths import Cache
from lab.progress import progress
from runtime_observability.host.downloads import DownloadError

PATIENCE_SECONDS = (5.0, 15.0)
"""How long a site may take for each step, at the first look and at the second.

A build of 20 minutes depends on the answer, so that a no at the first look decides nothing.
"""
PAUSE_SECONDS = 1.0
"""Before the second look: a network that has just come back refuses at once."""
LIMIT_SECONDS = 2 * sum(PATIENCE_SECONDS)
"""How long both looks may take: no timeout limits a name look-up whose servers do not answer."""
VALID_SECONDS = {True: 600.0, False: 60.0}
"""How long an answer is used again: a no may come from a moment's overload."""

Look = Callable[[float], str]
"""Returns why something is not there, or nothing if it is; takes its patience in seconds."""


def why_not_there(looks: Mapping[str, Look], cache: Cache) -> dict[str, str]:
    """Return for each name why it is not there, or nothing if it is: remembered or found out.

    Answers that are too old are found out again, all at once. Raises LabError if the user's
    settings for downloads cannot be used.
    """
    stored = _read(cache)
    now = time.time()
    known = {
        name: reason
        for name, (reason, found_at) in stored.items()
        if name in looks and 0 <= now - found_at < VALID_SECONDS[not reason]
    }
    missing = {name: look for name, look in looks.items() if name not in known}
    if not missing:
        return known
    found = _look(missing)
    cache.root.mkdir(parents=True, exist_ok=True)
    answers = {name: (reason, time.time()) for name, reason in found.items()}
    _memory(cache).write_text(json.dumps({**stored, **answers}), encoding="utf-8")
    return known | found


def _look(looks: Mapping[str, Look]) -> dict[str, str]:
    """Look for all at the same time."""
    found: dict[str, str | DownloadError] = {}

    def look_for(name: str) -> None:
        try:
            found[name] = _look_twice(looks[name])
        except DownloadError as error:
            found[name] = error

    # Daemon threads: Ctrl-C does not wait for them.
    threads = [threading.Thread(target=look_for, args=(name,), daemon=True) for name in looks]
    what = next(iter(looks)) if len(looks) == 1 else f"{len(looks)} files on the network"
    with progress(f"looking for {what}"):
        deadline = time.monotonic() + LIMIT_SECONDS
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
    silent = f"no answer within {LIMIT_SECONDS:.0f} s"
    answers = {name: found.get(name, silent) for name in looks}
    for answer in answers.values():
        if isinstance(answer, DownloadError):
            raise LabError(str(answer)) from answer
    return {name: str(answer) for name, answer in answers.items()}


def _look_twice(look: Look) -> str:
    first, second = PATIENCE_SECONDS
    reason = look(first)
    if not reason:
        return ""
    time.sleep(PAUSE_SECONDS)
    return look(second)


def _read(cache: Cache) -> dict[str, tuple[str, float]]:
    """Return the stored answers: none from a file that cannot be read, or of another shape."""
    try:
        stored = json.loads(_memory(cache).read_text(encoding="utf-8"))
        return {
            name: (reason, float(found_at))
            for name, (reason, found_at) in stored.items()
            if isinstance(reason, str)
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _memory(cache: Cache) -> Path:
    return cache.root / "reachable.json"
