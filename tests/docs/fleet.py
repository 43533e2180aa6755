"""The sizes in docs/fleets.md, from measured figures."""

from __future__ import annotations

import math

_SPANS_A_MINUTE = {"the lab's, everything": 1_014, "real k3s, everything": 2_082}
"""Of a cluster at rest (Kubernetes 1.34; k3s v1.34.3)."""
_BYTES_A_SPAN = 400
"""In OpenSearch without a replica: 382 MiB for 1,001,400 spans (`make stores`)."""
_SHARD_GB = 30
"""10 to 30 GB are advised for a shard that is searched much (AWS Well-Architected, Amazon
OpenSearch Service Lens, AOSPERF01-BP01)."""
_DAYS = 7
_COLLECTOR_SPANS = 10_000
"""A second and collector, a cautious assumption: one took 70,000 a second in a burst."""
_FLEETS = (10, 1_000, 100_000)


def table() -> str:
    """For each size and traffic what one copy needs."""
    head = ("clusters", "traffic", "spans/s", "GB a day", "shards a day", f"TB in {_DAYS} days",
            "collectors")  # fmt: skip
    rows = [_row(clusters, traffic) for clusters in _FLEETS for traffic in _SPANS_A_MINUTE]
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(clusters: int, traffic: str) -> tuple[str, ...]:
    a_second = clusters * _SPANS_A_MINUTE[traffic] / 60
    gb_a_day = a_second * 86_400 * _BYTES_A_SPAN / 1e9
    return (
        f"{clusters:,}",
        traffic,
        f"{a_second:,.0f}",
        f"{gb_a_day:,.0f}",
        f"{math.ceil(gb_a_day / _SHARD_GB):,}",
        f"{gb_a_day * _DAYS / 1000:,.1f}",
        f"{math.ceil(a_second / _COLLECTOR_SPANS):,}",
    )
