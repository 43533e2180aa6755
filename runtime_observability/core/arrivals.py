"""Counts the spans of each component that arrive in the collector, for a stack without a Jaeger.

A filter for each component drops its spans from a pipeline that leads nowhere, and the collector's
own metrics say how many those were. No other counter of a collector tells services apart.
"""

from __future__ import annotations

import re
from typing import Any

from runtime_observability.core.component import COMPONENTS

METRIC = "processor_filter_spans_filtered"
"""Spans that a filter dropped (contrib processor/filterprocessor/documentation.md, v0.140.1)."""
_PIPELINE = "traces/by_component"
_PREFIX = "filter/arrived_"
"""No destination's name has an underscore."""
_LABEL = re.compile(rf'\bfilter="{_PREFIX}(\w+)"')


def add(document: dict[str, Any]) -> None:
    """Put the pipeline into the collector's ``document``."""
    filters = {f"{_PREFIX}{component}": _drop(component) for component in COMPONENTS}
    document["processors"] |= filters
    document["exporters"]["nop"] = {}
    document["service"]["pipelines"][_PIPELINE] = {
        "receivers": ["otlp"],
        "processors": list(filters),
        "exporters": ["nop"],
    }


def component_of(labels: str) -> str:
    """Which component's spans a sample of ``METRIC`` counts; empty for another filter's."""
    match = _LABEL.search(labels)
    return match[1] if match else ""


def _drop(component: str) -> dict[str, Any]:
    condition = f'resource.attributes["service.name"] == "{component}"'
    return {"error_mode": "ignore", "traces": {"span": [condition]}}
