"""A measurement as a JSON document, which ``ktrace diff`` reads again: docs/schemas/bench.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ktrace.benchmark.samples import Measurement, Sample, rows
from ktrace.document import API_VERSION, versioned
from ktrace.errors import UsageError
from ktrace.percentiles import percentile
from ktrace.text import clean

_BROKEN = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


def document(measured: Measurement) -> dict[str, Any]:
    first = measured.first
    return versioned(
        {
            "kubernetes": measured.kubernetes,
            "runtimes": list(measured.runtimes),
            "image": measured.image,
            "parallel": measured.parallel,
            "startedAt": measured.started_at,
            "pods": measured.number + len(measured.failures),
            "firstStart": _sample(first) if first else None,
            "starts": [_sample(sample) for sample in measured.warm],
            "notMeasured": [
                {"pod": pod, "reason": reason} for pod, reason in measured.failures.items()
            ],
            "summary": [_row(name, values) for name, values in rows(measured.warm).items()],
        }
    )


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "pod": sample.pod,
        "node": sample.node or None,
        "startMs": round(sample.start_ms, 1),
        "pullsMs": round(sample.pulls_ms, 1),
        "readyMs": None if sample.ready_ms is None else round(sample.ready_ms, 1),
        "steps": {name: round(took, 1) for name, took in sample.steps.items()},
        "traceUrl": sample.trace_url or None,
    }


def _row(name: str, values: list[float]) -> dict[str, Any]:
    def of(part: float) -> float | None:
        found = percentile(values, part)
        return None if found is None else round(found, 1)

    return {
        "name": name,
        "p50Ms": of(0.5),
        "p90Ms": of(0.9),
        "p99Ms": of(0.99),
        "leastMs": round(min(values), 1) if values else None,
        "mostMs": round(max(values), 1) if values else None,
    }


def read(file: Path) -> Measurement:
    """The measurement in ``file``; UsageError for a file that has none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["apiVersion"] != API_VERSION:
            raise ValueError
        first = found["firstStart"]
        return Measurement(
            kubernetes=clean(found["kubernetes"]),
            runtimes=list(map(clean, found["runtimes"])),
            image=clean(found["image"]),
            parallel=int(found["parallel"]),
            started_at=clean(found["startedAt"]),
            first=_read(first) if first else None,
            warm=list(map(_read, found["starts"])),
            failures={clean(of["pod"]): clean(of["reason"]) for of in found["notMeasured"]},
        )
    except _BROKEN:
        raise UsageError(
            f"{clean(str(file))} is not a measurement: `ktrace bench --save FILE` writes one"
        ) from None


def _read(sample: Mapping[str, Any]) -> Sample:
    ready = sample["readyMs"]
    return Sample(
        pod=clean(sample["pod"]),
        node=clean(sample["node"] or ""),
        start_ms=float(sample["startMs"]),
        pulls_ms=float(sample["pullsMs"]),
        ready_ms=None if ready is None else float(ready),
        steps={clean(name): float(took) for name, took in sample["steps"].items()},
        trace_url=clean(sample["traceUrl"] or ""),
    )
