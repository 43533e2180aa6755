"""A trace as nested JSON, to compare releases of Kubernetes by."""

from __future__ import annotations

from ktrace.jaeger import Trace


def tree(trace: Trace) -> list[dict[str, object]]:
    """The spans as nested documents; one whose parent is missing is at the top."""
    begin = trace.spans[0].start
    children: dict[str, list[dict[str, object]]] = {span.span_id: [] for span in trace.spans}
    top: list[dict[str, object]] = []
    for span in trace.spans:
        document: dict[str, object] = {
            "component": span.service,
            "operation": span.operation,
            "startMs": (span.start - begin) / 1000,
            "durationMs": span.duration / 1000,
            "children": children[span.span_id],
        }
        children.get(span.parent_id or "", top).append(document)
    return top
