"""Requests, and their calls of webhooks, counted and measured by what they have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ktrace.activity import nodes
from ktrace.activity.requests import WATCH, ApiRequest, WebhookCall
from ktrace.percentiles import median, percentile


@dataclass(frozen=True)
class Row:
    """Requests of one kind, or calls of one webhook. Times are in milliseconds."""

    key: str
    kind: str
    internal: bool
    count: int
    per_second: float
    p50_ms: float
    p99_ms: float | None
    """None with fewer than 100."""
    total_ms: float
    errors: int
    failed_requests: int
    """Of those that called the webhook; as many as ``errors`` of requests."""
    etcd_share: float | None
    """From 0 to 1, of the requests' time; None of calls of webhooks."""
    webhook_share: float | None
    slowest_trace: str


_Counted = tuple[str, ApiRequest | WebhookCall, ApiRequest]
"""A key, what counts, and the request that it is or is part of."""


def _each(key: Callable[[ApiRequest], str]) -> Callable[[Sequence[ApiRequest]], Iterator[_Counted]]:
    return lambda requests: ((key(request), request, request) for request in requests)


def _calls(requests: Sequence[ApiRequest]) -> Iterator[_Counted]:
    return ((call.webhook, call, request) for request in requests for call in request.calls)


def _kubelets(requests: Sequence[ApiRequest]) -> Iterator[_Counted]:
    return ((node, request, request) for node, request in nodes.of_kubelets(requests))


BY: dict[str, Callable[[Sequence[ApiRequest]], Iterator[_Counted]]] = {
    "client": _each(lambda request: request.client),
    "resource": _each(lambda request: request.resource),
    "object": _each(lambda request: request.object),
    "webhook": _calls,
    "node": _kubelets,
}


def rows(requests: Sequence[ApiRequest], by: str, seconds: float) -> list[Row]:
    """Watches and lists are rows of their own; the most requests first.

    The same for ``requests`` in any order: stores differ in theirs.
    """
    groups: dict[tuple[str, str, bool], list[_Counted]] = {}
    for counted in BY[by](requests):
        key, what, request = counted
        internal = request.internal and what is request
        groups.setdefault((key, what.kind, internal), []).append(counted)
    made = [_row(*key, group, seconds) for key, group in groups.items()]
    return sorted(
        made, key=lambda row: (row.kind == WATCH, -row.count, row.key, row.kind, row.internal)
    )


def _row(key: str, kind: str, internal: bool, group: Sequence[_Counted], seconds: float) -> Row:
    counted = [what for _, what, _ in group]
    lengths = [what.duration / 1000 for what in counted]
    slowest = max(counted, key=lambda what: (what.duration, what.trace_id))
    return Row(
        key=key,
        kind=kind,
        internal=internal,
        count=len(group),
        per_second=len(group) / seconds if seconds > 0 else 0.0,
        p50_ms=median(lengths),
        p99_ms=percentile(lengths, 0.99),
        total_ms=sum(what.duration for what in counted) / 1000,
        errors=sum(what.failed is True for what in counted),
        failed_requests=sum(request.failed is True for _, _, request in group),
        etcd_share=_share(counted, lambda request: request.etcd),
        webhook_share=_share(counted, lambda request: request.webhooks),
        slowest_trace=slowest.trace_id,
    )


def _share(
    counted: Iterable[ApiRequest | WebhookCall], part: Callable[[ApiRequest], int]
) -> float | None:
    requests = [what for what in counted if isinstance(what, ApiRequest)]
    total = sum(request.duration for request in requests) or 1
    return sum(map(part, requests)) / total if requests else None
