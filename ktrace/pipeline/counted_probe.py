"""The probe where no Jaeger can be asked: what the collector's own counters prove.

They prove that spans of every component arrive in the collector while a pod starts, and that a
destination takes spans. They do not tell one pod's spans from another's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ktrace.pipeline import collector_metrics
from ktrace.pipeline.collector_metrics import Arrivals
from ktrace.pipeline.counted import NOT_KNOWN
from ktrace.pipeline.pod_watch import StartWatch, never_ran
from ktrace.pipeline.probe_pod import ProbeError, SilenceError, probe_pod
from ktrace.pipeline.probe_trace import Demand
from ktrace.text import clean
from runtime_observability.host.api_server import ApiServer
from runtime_observability.host.http import httpx

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Counted:
    """What has to be seen in the counters at the URL ``metrics``."""

    metrics: str
    wanted: Demand
    destinations: tuple[str, ...]
    """One of them must take spans; empty: none has to."""

    def missing(self, arrived: Sequence[str], taken: Sequence[str]) -> list[str]:
        """Why the wait goes on, as lines."""
        silent = [name for name in self.wanted.all if name not in arrived]
        lines = [f"no span of {name} has arrived in the collector" for name in silent]
        if self.destinations and set(self.destinations).isdisjoint(taken):
            lines.append(f"no span was taken by {' or '.join(self.destinations)}")
        return lines


def probe(counted: Counted, api: ApiServer, *, image: str, seconds: float) -> dict[str, object]:
    """The report; SilenceError when spans of a wanted component do not arrive, or none are taken.

    A pod that did not run proves nothing of the components: it is a ProbeError of its own.
    """
    before = _read(counted.metrics)
    with probe_pod(api, image, seconds) as pod:
        print(f"pod {pod.key} created, waiting for spans", file=sys.stderr, flush=True)
        watch, ran = StartWatch(api, pod), False
        while True:
            watch.look()
            state, now = watch.state(), _read(counted.metrics)
            ran = ran or state.ran is True
            arrived, taken = now.since(before), now.took_since(before)
            missing = counted.missing(arrived, taken)
            if ran and not missing:
                break
            if time.time() > pod.created_at + seconds:
                if state.ran is False:
                    raise never_ran(api, pod, state)
                lines = [f"  - {line}" for line in missing] or ["  - it is not known to have run"]
                head = f"within {seconds:g} s of the creation of pod {pod.key} ({state.summary}):"
                silent = [name for name in counted.wanted.all if name not in arrived]
                raise SilenceError("\n".join([head, *lines]), silent, state.node)
            time.sleep(_POLL_SECONDS)
    return {
        "pod": pod.key,
        "seconds": None,
        "traceUrl": None,
        "requestTraceUrl": None,
        "spans": {},
        "traced": arrived,
        "sentTo": taken,
        "tree": [],
    }


def outcome(report: Mapping[str, Any]) -> str:
    """What ``probe`` found, as a clause."""
    arrived, taken = (", ".join(report[key]) or "none" for key in ("traced", "sentTo"))
    return (
        f"spans arrived in the collector of: {arrived}; destinations that took spans: {taken}. No "
        f"Jaeger can be asked, so it is not known {' and '.join(NOT_KNOWN)}"
    )


def _read(metrics: str) -> Arrivals:
    try:
        return collector_metrics.read_arrivals(metrics)
    except httpx.HTTPError as error:
        reason = clean(str(error)) or type(error).__name__
        raise ProbeError(
            f"the collector's counters at {metrics} cannot be read: {reason}"
        ) from None
