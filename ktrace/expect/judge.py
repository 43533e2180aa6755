"""How an expectation is judged: what to query Jaeger for, and the verdict on the traces found."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from ktrace.expect import matching, verdict
from ktrace.expect.matching import matches
from ktrace.expect.schema import Child, Expect, Expectation, Select
from ktrace.expect.verdict import Failure, Verdict, count_failure
from ktrace.jaeger import Span, Trace
from ktrace.jaeger.tags import text_of

_NEAREST = 3


def queries(select: Select, operations: Sequence[str] | None) -> list[dict[str, Any]]:
    """Arguments for ``Jaeger.find``, whose results together hold every selected span.

    What Jaeger cannot find is left to ``judge``, except for a pattern of the operation: it stands
    for some of ``operations``, which are all that the component has. Without them all of its traces
    are read.
    """
    if select.pod and not (select.component == "kubelet" and select.operation == "syncPod"):
        return [{"service": "kubelet", "operation": "", "tags": {"k8s.pod": select.pod}}]
    exact = {
        key: value
        for key, value in select.attributes.items()
        if matching.is_found_by_jaeger(key, value)
    }
    if select.pod:
        exact["k8s.pod"] = select.pod
    if not matching.is_pattern(select.operation):
        operations = [select.operation]
    elif select.operation == "*" or operations is None:
        operations = [""]
    else:
        operations = [operation for operation in operations if matches(select.operation, operation)]
    return [
        {
            "service": select.component,
            "operation": operation,
            "tags": dict(zip(keys, exact.values(), strict=True)),
        }
        for operation in operations
        for keys in itertools.product(*map(matching.names, exact))
    ]


def judge(expectation: Expectation, traces: Sequence[Trace], *, complete: bool = True) -> Verdict:
    """``traces`` are what ``queries`` found, and ``complete`` if Jaeger has no more of them.

    A span that is in ``traces`` twice counts once.
    """
    select, expect = expectation.spans, expectation.expect
    selected = {
        (span.trace_id, span.span_id): (trace, span)
        for trace in traces
        if select.pod is None or select.pod in _pods(trace)
        for span in trace.spans
        if span.service == select.component and not _differences(select, span)
    }
    count = len(selected)
    failures = []
    if not complete:
        read = f"only the newest {len(traces)} traces were read: narrow select or sinceSeconds"
        failures.append(Failure(read))
    spans = [span for _, span in selected.values()]
    failures += _count_failures(expectation, traces, spans)
    for trace, span in selected.values():
        failures += _span_failures(expect, trace, span)
    others = [
        span
        for trace in traces
        for span in trace.spans
        if span.service == select.component and (span.trace_id, span.span_id) not in selected
    ]
    nearest = _nearest(select, others) if count < expect.least else ()
    return verdict.of(expectation, failures, count, "span", nearest=nearest)


def _count_failures(
    expectation: Expectation, traces: Sequence[Trace], selected: Sequence[Span]
) -> list[Failure]:
    pod, count = expectation.spans.pod, len(selected)
    newest = sorted(selected, key=lambda span: span.start)[-_NEAREST:]
    examples = [*map(_description, reversed(newest))]
    failures = count_failure(expectation.expect, count, "span", examples)
    is_absent = pod and not any(pod in _pods(trace) for trace in traces)
    if count < expectation.expect.least and is_absent:
        unknown = f"there is no trace of pod {pod}, if that is its namespace and name"
        failures.append(Failure(unknown, 0))
    return failures


def _span_failures(expect: Expect, trace: Trace, span: Span) -> list[Failure]:
    failures = []
    below = trace.below(span) if expect.child or expect.noErrors else []
    if expect.child and not any(_is_child(other, expect.child) for other in below):
        found = sorted({f"{other.service} {other.operation}" for other in below})
        childless = (
            f"{_description(span)} has no child {expect.child.component or 'any component'} "
            f"{expect.child.operation}; below it: {', '.join(found[:6]) or 'nothing'}"
        )
        failures.append(Failure(childless, span.start))
    bound = expect.durationBelowMs
    if bound is not None and span.duration / 1000 >= bound:
        failures.append(Failure(f"{_description(span)} is not below {bound:g} ms"))
    if expect.noErrors:
        failed = [other for other in (span, *below) if other.failed]
        failures += [Failure(f"{_description(other)} {_error(other)}") for other in failed]
    return failures


def _is_child(span: Span, child: Child) -> bool:
    return (child.component is None or span.service == child.component) and matches(
        child.operation, span.operation
    )


def _nearest(select: Select, spans: Sequence[Span]) -> tuple[str, ...]:
    """Those of ``spans`` that differ least from what ``select`` selects, and how they differ."""
    nearest = sorted(spans, key=lambda span: (len(_differences(select, span)), -span.start))
    return tuple(
        f"{_description(span)}: {', '.join(_differences(select, span)) or 'of another pod'}"
        for span in nearest[:_NEAREST]
    )


def _differences(select: Select, span: Span) -> list[str]:
    differences = []
    for key, wanted in select.attributes.items():
        found = matching.values(span, key)
        if not any(matching.equals(wanted, value) for value in found):
            shown = " and ".join(map(text_of, found)) or '""' if found else "absent"
            differences.append(f"{key} is {shown}")
    if not matches(select.operation, span.operation):
        differences.append(f"operation is {span.operation}")
    return differences


def _pods(trace: Trace) -> set[str]:
    return {str(span.tags["k8s.pod"]) for span in trace.spans if "k8s.pod" in span.tags}


def _description(span: Span) -> str:
    return f"{span.service} {span.operation} ({span.duration / 1000:.1f} ms, trace {span.trace_id})"


def _error(span: Span) -> str:
    return "failed" if span.error == "failed" else f"failed: {span.error}"
