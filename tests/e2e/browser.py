"""Opens a page of ktrace's in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
]


@pytest.fixture
def chromium() -> str:
    """A browser on PATH; without one the test fails in CI and is skipped elsewhere."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if not found:
        reason = f"the test of the page needs a browser on PATH: {' or '.join(_BROWSERS)}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def console(program: str, page: Path, profile: Path, picture: Path, width: int = 1280) -> list[str]:
    """What the page wrote to the console; ``picture`` is a new file that shows it."""
    own = [f"--window-size={width},1100", f"--user-data-dir={profile}", f"--screenshot={picture}"]
    done = subprocess.run(
        [program, *_OPTIONS, *own, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return re.findall(r"CONSOLE.*", done.stderr)
