"""Requests, counted and measured by client, resource or object."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ktrace.activity.requests import WATCH, ApiRequest

BY = ("client", "resource", "object")
P99_LEAST = 100
"""Requests from which on a 99th percentile says something."""


@dataclass(frozen=True)
class Row:
    """Requests of one kind that have a key in common. Times are in milliseconds."""

    key: str
    kind: str
    internal: bool
    count: int
    per_second: float
    p50_ms: float
    p99_ms: float | None
    """None with fewer than 100 requests."""
    errors: int
    etcd_share: float
    """From 0 to 1, of the requests' time."""
    webhook_share: float
    slowest_trace: str


def rows(requests: Iterable[ApiRequest], by: str, seconds: float) -> list[Row]:
    """Watches and lists are rows of their own; the most requests first."""
    groups: dict[tuple[str, str, bool], list[ApiRequest]] = {}
    for request in requests:
        key = (getattr(request, by), request.kind, request.internal)
        groups.setdefault(key, []).append(request)
    made = [_row(*key, group, seconds) for key, group in groups.items()]
    return sorted(made, key=lambda row: (row.kind == WATCH, -row.count, row.key, row.kind))


def _row(key: str, kind: str, internal: bool, group: Sequence[ApiRequest], seconds: float) -> Row:
    lengths = sorted(request.duration for request in group)
    total = sum(lengths) or 1
    slowest = max(group, key=lambda request: request.duration)
    return Row(
        key=key,
        kind=kind,
        internal=internal,
        count=len(group),
        per_second=len(group) / seconds if seconds > 0 else 0.0,
        p50_ms=_percentile(lengths, 50),
        p99_ms=_percentile(lengths, 99) if len(group) >= P99_LEAST else None,
        errors=sum(request.failed is True for request in group),
        etcd_share=sum(request.etcd for request in group) / total,
        webhook_share=sum(request.webhooks for request in group) / total,
        slowest_trace=slowest.trace_id,
    )


def _percentile(lengths: Sequence[int], percent: int) -> float:
    """The nearest rank, in milliseconds."""
    return lengths[math.ceil(percent / 100 * len(lengths)) - 1] / 1000
