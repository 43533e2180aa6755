"""The collector's own counters: the spans that came in and went out, and what is queued."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from runtime_observability.core import arrivals
from runtime_observability.core.component import COMPONENTS
from runtime_observability.core.naming import JAEGER_ALIAS
from runtime_observability.host.http import httpx

WATCH_SECONDS = 2.0
"""Between two readings: a cluster at rest sends hundreds of spans in this time."""
_LINE = re.compile(
    r"^otelcol_(?P<name>\w+?)(?:_total)?(?:\{(?P<labels>[^}]*)\})? (?P<value>[0-9.eE+-]+)$", re.M
)
_EXPORTER = re.compile(r'\bexporter="(?P<type>[^"/]*)/?(?P<name>[^"]*)"')
_ITEMS = ("spans", "metric_points", "log_records")
_REQUEST_SECONDS = 5
_CHOICE = "processor_tail_sampling_"


@dataclass(frozen=True)
class Counters:
    """Spans since the collector started, summed over its receivers, and those for Jaeger."""

    accepted: int = 0
    refused: int = 0
    sent: int = 0
    failed: int = 0
    dropped: int = 0
    """Lost because the queue of the exporter to Jaeger was full."""
    waiting: int = 0
    """Batches in the queue of the exporter to Jaeger."""
    chooses: bool = False
    """Whether it passes on chosen traces alone, as the presets of `tracing` do."""


@dataclass(frozen=True)
class Destination:
    """A destination beside Jaeger: spans, metric points and log records since the start."""

    name: str
    sent: int = 0
    failed: int = 0
    """Lost because it refused them, or did not take them for minutes."""
    dropped: int = 0
    """Lost because its queue was full."""
    queued_bytes: int = 0
    queue_bytes: int = 0
    """What its queues hold at most."""
    last_error: str = ""
    """Where something waits or was lost, the last that the collector has logged of it."""

    @property
    def lost(self) -> int:
        return self.failed + self.dropped

    @property
    def ok(self) -> bool:
        """Whether it has lost nothing."""
        return not self.lost

    @property
    def keeps_up(self) -> bool:
        """Whether it has lost nothing, and nothing waits for it."""
        return self.ok and not self.queued_bytes


@dataclass(frozen=True)
class Arrivals:
    """Spans since the collector of a stack without a Jaeger started."""

    of: Mapping[str, int] = field(default_factory=dict)
    """Those that arrived, by component."""
    sent: Mapping[str, int] = field(default_factory=dict)
    """Those that a destination took, by its name."""
    filters: bool = False
    """Whether a destination leaves spans out, as `only` makes it."""

    def since(self, earlier: Arrivals) -> list[str]:
        """The components of which spans have arrived since ``earlier``."""
        return [name for name, count in self.of.items() if count > earlier.of.get(name, 0)]

    def took_since(self, earlier: Arrivals) -> list[str]:
        """The destinations that have taken spans since ``earlier``."""
        return [name for name, count in self.sent.items() if count > earlier.sent.get(name, 0)]


@dataclass(frozen=True)
class Readings:
    """The counters before and after ``WATCH_SECONDS``, and the spans in between."""

    before: Counters
    after: Counters
    stuck: tuple[Destination, ...] = ()
    """Destinations that took nothing in between, though something waited for them or was lost."""

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
    before = _text(url)
    time.sleep(WATCH_SECONDS)
    after = _text(url)
    return Readings(parse(before), parse(after), _stuck(before, after))


def read(url: str) -> Counters:
    """Raises httpx.HTTPError when the collector does not answer."""
    return parse(_text(url))


def read_destinations(url: str) -> list[Destination]:
    """Raises httpx.HTTPError when the collector does not answer."""
    return parse_destinations(_text(url))


def read_arrivals(url: str) -> Arrivals:
    """Raises httpx.HTTPError when the collector does not answer."""
    return parse_arrivals(_text(url))


def _stuck(before: str, after: str) -> tuple[Destination, ...]:
    earlier = {found.name: found for found in parse_destinations(before)}
    return tuple(
        found
        for found in parse_destinations(after)
        for known in (earlier.get(found.name, Destination(found.name)),)
        if found.sent == known.sent and (found.queued_bytes or found.lost > known.lost)
    )


def _text(url: str) -> str:
    response = httpx.get(url, timeout=_REQUEST_SECONDS, trust_env=False)
    return response.raise_for_status().text


def parse(text: str) -> Counters:
    """Reads the Prometheus format; collector 0.111 and later may end names in ``_total``."""
    everything = _sums(text)
    to_jaeger = {
        name: everything[destination][name]
        for destination in ("", JAEGER_ALIAS)
        for name in everything[destination]
    }

    def sum_of(name: str) -> int:
        return int(to_jaeger.get(name, 0))

    return Counters(
        accepted=sum_of("receiver_accepted_spans"),
        refused=sum_of("receiver_refused_spans"),
        sent=sum_of("exporter_sent_spans"),
        failed=sum_of("exporter_send_failed_spans"),
        dropped=sum_of("exporter_enqueue_failed_spans"),
        waiting=sum_of("exporter_queue_size"),
        chooses=any(name.startswith(_CHOICE) for name in everything[""]),
    )


def parse_destinations(text: str) -> list[Destination]:
    """Every destination but Jaeger, by name."""
    return [
        Destination(
            name,
            sent=int(sum(sums[f"exporter_sent_{items}"] for items in _ITEMS)),
            failed=int(sum(sums[f"exporter_send_failed_{items}"] for items in _ITEMS)),
            dropped=int(sum(sums[f"exporter_enqueue_failed_{items}"] for items in _ITEMS)),
            queued_bytes=int(sums["exporter_queue_size"]),
            queue_bytes=int(sums["exporter_queue_capacity"]),
        )
        for name, sums in sorted(_sums(text).items())
        if name not in ("", JAEGER_ALIAS)
    ]


def parse_arrivals(text: str) -> Arrivals:
    """Every component that core.arrivals counts, and every destination, with or without spans."""
    of = dict.fromkeys(COMPONENTS, 0)
    filters = False
    for match in _LINE.finditer(text):
        if match["name"] == arrivals.METRIC:
            component = arrivals.component_of(match["labels"] or "")
            filters = filters or not component
            if component:
                of[component] += int(float(match["value"]))
    sent = {
        name: int(sums["exporter_sent_spans"])
        for name, sums in sorted(_sums(text).items())
        if name not in ("", JAEGER_ALIAS)
    }
    return Arrivals(of, sent, filters)


def _sums(text: str) -> dict[str, dict[str, float]]:
    """Destination → metric → sum; "" is the destination of what belongs to no named exporter."""
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for match in _LINE.finditer(text):
        exporter = _EXPORTER.search(match["labels"] or "")
        sums[exporter["name"] if exporter else ""][match["name"]] += float(match["value"])
    return sums
