"""Badger in a Jaeger with a stack's configuration: how long it keeps a trace."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from ktrace.jaeger import Jaeger
from runtime_observability.core import stores, trace_store
from runtime_observability.core.naming import Names
from tests.configuration import parsed
from tests.contract import jaeger_process, spans
from tests.contract.jaeger_process import Process
from tests.live.waiting import until

KEPT_SECONDS = 3


def backend(folder: Path, kept: str) -> dict[str, Any]:
    """A stack's, below ``folder``; no stack keeps a trace for less than an hour."""
    settings = parsed(traceStore=stores.BADGER, traceRetention="1h", jaegerMemoryMiB=640)
    document = json.dumps(trace_store.backend(settings, Names("dev", folder)))
    assert document.count('"1h"') == 1
    shorter: dict[str, Any] = json.loads(
        document.replace('"1h"', f'"{kept}"').replace(trace_store.VOLUME_PATH, str(folder / "data"))
    )
    return shorter


@pytest.mark.parametrize(("kept", "stays"), [(f"{KEPT_SECONDS}s", False), ("1h", True)])
def test_a_trace_is_found_until_the_retention_ends_and_not_longer(
    tmp_path: Path, kept: str, *, stays: bool
) -> None:
    program = jaeger_process.needed()

    def found(process: Process) -> bool:
        with Jaeger(process.url) as client:
            return bool(client.find(spans.SERVICE, tags={"edge": "yes"}, start=0))

    with jaeger_process.running(program, backend(tmp_path, kept), tmp_path) as process:
        jaeger_process.send(process, spans.otlp(spans.others()))
        until("the trace", lambda: found(process), KEPT_SECONDS)
        if not stays:
            until("its end", lambda: not found(process), 3 * KEPT_SECONDS)
    # What has outlived the process has the same end, whatever the retention is by then.
    for then in (kept, "1h", f"{KEPT_SECONDS}s"):
        with jaeger_process.running(program, backend(tmp_path, then), tmp_path) as process:
            if then != kept:
                time.sleep(KEPT_SECONDS + 1)
            assert found(process) is stays, then
