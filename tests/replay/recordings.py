"""Recorded traffic: a minute of a cluster at rest, a pod's start with all that went on, pod starts.

The first two are everything that Jaeger had of a period of the lab's node with Kubernetes 1.36.3,
without attributes that no rule reads. Their clients are kubectl, the tests and Kubernetes itself.
"""

from __future__ import annotations

import gzip
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.fakes import recorded_pods
from tests.fakes.recorded import FOLDER

LONE_RANGES, LONE_AUTHENTICATIONS = 571, 497
"""What a real k3s v1.34.3 at rest makes in a minute beyond the lab's node: 2,082 spans, not 1,014.
Of 1,500 of its API server's traces 527 were a lone ``etcdserverpb.KV/Range``, 458 a lone
``authentication``."""


def at_rest() -> list[dict[str, Any]]:
    """The traces of one minute."""
    return _read("rest-v1.36")


def with_pod() -> list[dict[str, Any]]:
    """The traces of 8 seconds in which kubectl created a pod, watched it start, and deleted it."""
    return _read("pod-v1.36")


def k3s_at_rest() -> list[dict[str, Any]]:
    """The traces of one minute, with the lone spans of a real k3s."""
    quiet = at_rest()
    begin = min(span["startTime"] for trace in quiet for span in trace["spans"])
    step = 60_000_000 // (LONE_RANGES + LONE_AUTHENTICATIONS)
    names = ["etcdserverpb.KV/Range"] * LONE_RANGES + ["authentication"] * LONE_AUTHENTICATIONS
    return quiet + [lone(name, begin + step * index) for index, name in enumerate(names)]


def lone(name: str, start: int) -> dict[str, Any]:
    """A trace of one span of the API server's; ``start`` is in microseconds."""
    trace_id = secrets.token_hex(16)
    kind = "client" if name.startswith("etcdserverpb") else "internal"
    span = {
        "traceID": trace_id,
        "spanID": secrets.token_hex(8),
        "operationName": name,
        "references": [],
        "startTime": start,
        "duration": 1_000,
        "tags": [{"key": "span.kind", "type": "string", "value": kind}],
        "processID": "p1",
    }
    processes = {"p1": {"serviceName": "apiserver", "tags": []}}
    return {"traceID": trace_id, "spans": [span], "processes": processes}


def pods() -> Iterator[recorded_pods.Recorded]:
    """Every recorded kind of a pod's start, on every recorded release."""
    for path in sorted(FOLDER.glob("v*/*.json.gz")):
        yield recorded_pods.load(path.parent.name, path.name.removesuffix(".json.gz"))


def _read(name: str) -> list[dict[str, Any]]:
    packed = Path(__file__).with_name(f"{name}.json.gz").read_bytes()
    traces: list[dict[str, Any]] = json.loads(gzip.decompress(packed))
    return traces
