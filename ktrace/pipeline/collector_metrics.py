"""The collector's own counters: the spans that came in and went out, and what is queued."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from runtime_observability.host.http import httpx

WATCH_SECONDS = 2.0
"""Between two readings: a cluster at rest sends hundreds of spans in this time."""
_LINE = re.compile(
    r"^otelcol_(?P<name>\w+?)(?:_total)?(?:\{[^}]*\})? (?P<value>[0-9.eE+-]+)$", re.M
)
_REQUEST_SECONDS = 5
_CHOICE = "processor_tail_sampling_"


@dataclass(frozen=True)
class Counters:
    """Spans since the collector started, summed over its receivers and exporters."""

    accepted: int = 0
    refused: int = 0
    sent: int = 0
    failed: int = 0
    waiting: int = 0
    """Batches in the exporters' queues."""
    chooses: bool = False
    """Whether it passes on chosen traces alone, as the presets of `tracing` do."""


@dataclass(frozen=True)
class Readings:
    """The counters before and after ``WATCH_SECONDS``, and the spans in between."""

    before: Counters
    after: Counters

    @property
    def accepted(self) -> int:
        return self.after.accepted - self.before.accepted

    @property
    def refused(self) -> int:
        return self.after.refused - self.before.refused

    @property
    def nothing_to_send(self) -> bool:
        """Whether nothing waits for Jaeger, and nothing failed to reach it."""
        return not self.after.waiting and self.after.failed == self.before.failed

    @property
    def sent(self) -> int:
        return self.after.sent - self.before.sent


def watch(url: str) -> Readings:
    """Reads twice; takes ``WATCH_SECONDS``. Raises httpx.HTTPError."""
    before = read(url)
    time.sleep(WATCH_SECONDS)
    return Readings(before, read(url))


def read(url: str) -> Counters:
    """Raises httpx.HTTPError when the collector does not answer."""
    response = httpx.get(url, timeout=_REQUEST_SECONDS, trust_env=False)
    return parse(response.raise_for_status().text)


def parse(text: str) -> Counters:
    """Reads the Prometheus format; collector 0.111 and later may end names in ``_total``."""
    sums: dict[str, float] = {}
    for match in _LINE.finditer(text):
        sums[match["name"]] = sums.get(match["name"], 0) + float(match["value"])
    return Counters(
        accepted=int(sums.get("receiver_accepted_spans", 0)),
        refused=int(sums.get("receiver_refused_spans", 0)),
        sent=int(sums.get("exporter_sent_spans", 0)),
        failed=int(sums.get("exporter_send_failed_spans", 0)),
        waiting=int(sums.get("exporter_queue_size", 0)),
        chooses=any(name.startswith(_CHOICE) for name in sums),
    )
