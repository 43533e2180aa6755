"""What ``ktrace diff`` compares: files, stacks, and windows of a stack."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ktrace.benchmark import file, found, period
from ktrace.benchmark.period import Period
from ktrace.benchmark.samples import UNKNOWN_VERSION, Measurement
from ktrace.bundle import file as bundles
from ktrace.bundle import replay
from ktrace.clock import time
from ktrace.errors import UsageError
from ktrace.jaeger import Jaeger
from ktrace.podstart import cluster
from ktrace.target import losses, target
from ktrace.target.target import Target

STACK, WINDOW = "stack:", "window:"
_SECOND = 1_000_000
_EVER: Period = (0, 1 << 62)

Progress = Callable[[str], AbstractContextManager[found.Tell]]


def read(
    text: str,
    since: int,
    choose: Callable[[], Target],
    progress: Progress,
    stack: str | None = None,
) -> Measurement:
    """The measurement that ``text`` names: a file, ``stack:NAME`` or ``window:FROM/TO``.

    ``since`` is how far back a stack's starts are read, in microseconds; ``choose`` finds the stack
    of a window, and ``stack`` is --stack's value.
    UsageError for anything else, JaegerError.
    """
    now = time.time()
    if text.startswith(STACK):
        name = text.removeprefix(STACK)
        chosen = target.choose(name, None, None)
        last = max(0, int(now * _SECOND) - since), int(now * _SECOND)
        return _of_stack(chosen, last, text, progress, name)
    if text.startswith(WINDOW):
        wanted = window(text.removeprefix(WINDOW), now)
        chosen = choose()
        return _of_stack(chosen, wanted, text, progress, stack)
    path = Path(text)
    if not path.exists():
        raise UsageError(
            f"there is no file {text}: name one of `ktrace bench --save`, a bundle, stack:NAME or "
            "window:FROM/TO"
        )
    if not _is_bundle(path):
        return file.read(path)
    bundle = bundles.read(path)
    with replay.answering(bundle, text, all_it_has=True):
        measured = _of_target(target.choose(None, None, None), _EVER, text, progress)
    return replace(
        measured,
        kubernetes=bundle.kubernetes or UNKNOWN_VERSION,
        runtimes=bundle.runtimes,
    )


def window(text: str, now: float) -> Period:
    """That of FROM/TO at ``now``, a Unix time in seconds, as this machine's clock is set."""
    here = datetime.fromtimestamp(now, tz=UTC).astimezone()
    return period.read(text, here, datetime.astimezone)


def _of_target(chosen: Target, wanted: Period, name: str, progress: Progress) -> Measurement:
    with chosen.connect() as jaeger:
        return _measured(chosen, jaeger, wanted, name, progress)


def _of_stack(
    chosen: Target, wanted: Period, name: str, progress: Progress, stack: str | None
) -> Measurement:
    """With what its Jaeger has lost of the period, also while it was read."""
    since = wanted[0] / _SECOND
    with chosen.connect() as jaeger:
        measured = _measured(chosen, jaeger, wanted, name, progress)
        memory = losses.memory_of(chosen, stack)
        dropped = losses.dropped(jaeger, memory, datetime.fromtimestamp(since, tz=UTC))
    lost = losses.of_what_began(chosen, stack, since)
    return replace(measured, lost="; ".join(filter(None, (lost, dropped))))


def _measured(
    chosen: Target, jaeger: Jaeger, wanted: Period, name: str, progress: Progress
) -> Measurement:
    with (
        cluster.connected(chosen.kubeconfig) as api,
        progress(f"starts of {name} read") as tell,
    ):
        traced = chosen.traces_runtime
        return found.measure(jaeger, api, wanted, runtime_traced=traced, tell=tell)


def _is_bundle(path: Path) -> bool:
    """Whether it says so, or is packed as a measurement never is."""
    try:
        text = path.read_bytes()
    except OSError:
        return False
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        return text.startswith(b"\x1f\x8b")
    return isinstance(document, dict) and document.get("kind") == bundles.KIND
