"""The line that shows that work goes on."""

from __future__ import annotations

import io

from lab.progress import progress


def test_what_takes_no_time_is_not_announced() -> None:
    shown = io.StringIO()
    with progress("short", stream=shown):
        pass
    assert not shown.getvalue()
