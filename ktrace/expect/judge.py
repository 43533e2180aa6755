"""How an expectation is judged: what to query Jaeger for, and the verdict on the traces found."""

from __future__ import annotations

import fnmatch
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ktrace.expect.schema import Child, Expect, Expectation, Select
from ktrace.jaeger import Span, Trace

_NEAREST = 3
_RENAMED = (
    ("http.method", "http.request.method"),
    ("http.status_code", "http.response.status_code"),
    ("http.target", "url.path"),
    ("user_agent.original", "http.user_agent"),
)
"""Attributes by older and newer name (otelhttp 0.61); an expectation may use either for both."""


@dataclass(frozen=True)
class Verdict:
    """``failures`` is empty if the expectation is met; ``nearest`` helps if it is not."""

    name: str
    failures: tuple[str, ...] = ()
    nearest: tuple[str, ...] = ()
    """Spans that nearly match, and how they differ."""
    found: int = 0
    """Number of selected spans."""

    @property
    def ok(self) -> bool:
        return not self.failures


def queries(select: Select, operations: Sequence[str]) -> list[dict[str, Any]]:
    """Arguments for ``Jaeger.find``, whose results together hold every selected span.

    Jaeger matches only exact values: patterns are left to ``judge``, but for those of the
    operation, which stand for some of ``operations``, all that the component has.
    """
    if select.pod and not (select.component == "kubelet" and select.operation == "syncPod"):
        return [{"service": "kubelet", "operation": "", "tags": {"k8s.pod": select.pod}}]
    exact = {key: value for key, value in select.attributes.items() if not is_pattern(value)}
    if select.pod:
        exact["k8s.pod"] = select.pod
    if select.operation == "*":
        operations = [""]
    elif is_pattern(select.operation):
        operations = [
            operation
            for operation in operations
            if fnmatch.fnmatchcase(operation, select.operation)
        ]
    else:
        operations = [select.operation]
    return [
        {
            "service": select.component,
            "operation": operation,
            "tags": dict(zip(keys, exact.values(), strict=True)),
        }
        for operation in operations
        for keys in itertools.product(*map(_names, exact))
    ]


def is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def judge(expectation: Expectation, traces: Sequence[Trace], *, complete: bool = True) -> Verdict:
    """``traces`` are what ``queries`` found, and ``complete`` if Jaeger has no more of them.

    A span that is in ``traces`` twice counts once.
    """
    select, expect = expectation.select, expectation.expect
    selected = {
        (span.trace_id, span.span_id): (trace, span)
        for trace in traces
        for span in trace.spans
        if _is_selected(select, trace, span)
    }
    count = len(selected)
    failures = []
    if not complete:
        failures.append(
            f"only the newest {len(traces)} traces were read: narrow select or sinceSeconds"
        )
    failures += _count_failures(expectation, traces, count)
    for trace, span in selected.values():
        failures += _span_failures(expect, trace, span)
    nearest = _nearest(select, traces) if count < expect.least else ()
    return Verdict(expectation.name, tuple(failures), nearest, count)


def _is_selected(select: Select, trace: Trace, span: Span) -> bool:
    return (
        span.service == select.component
        and fnmatch.fnmatchcase(span.operation, select.operation)
        and all(_has(span, key, value) for key, value in select.attributes.items())
        and (select.pod is None or select.pod in _pods(trace))
    )


def _count_failures(expectation: Expectation, traces: Sequence[Trace], count: int) -> list[str]:
    expect, pod = expectation.expect, expectation.select.pod
    if count >= expect.least and (expect.most is None or count <= expect.most):
        return []
    failures = [f"number of spans: expected {_count_words(expect)}, found {count}"]
    if pod and not any(pod in _pods(trace) for trace in traces):
        failures.append(f"there is no trace of pod {pod}: check its namespace and name")
    return failures


def _span_failures(expect: Expect, trace: Trace, span: Span) -> list[str]:
    failures = []
    below = trace.below(span) if expect.child or expect.noErrors else []
    if expect.child and not any(_is_child(other, expect.child) for other in below):
        found = sorted({f"{other.service} {other.operation}" for other in below})
        failures.append(
            f"{_description(span)} has no child {expect.child.component or 'any component'} "
            f"{expect.child.operation}; below it: {', '.join(found[:6]) or 'nothing'}"
        )
    bound = expect.durationBelowMs
    if bound is not None and span.duration / 1000 >= bound:
        failures.append(f"{_description(span)} is not below {bound:g} ms")
    if expect.noErrors:
        failed = [other for other in (span, *below) if other.failed]
        failures += [f"{_description(other)} failed" for other in failed]
    return failures


def _is_child(span: Span, child: Child) -> bool:
    return (child.component is None or span.service == child.component) and fnmatch.fnmatchcase(
        span.operation, child.operation
    )


def _nearest(select: Select, traces: Sequence[Trace]) -> tuple[str, ...]:
    """The spans of the component that differ least from ``select``, and how they differ."""
    spans = [span for trace in traces for span in trace.spans if span.service == select.component]
    nearest = sorted(spans, key=lambda span: (len(_differences(select, span)), -span.start))
    return tuple(
        f"{_description(span)}: {', '.join(_differences(select, span)) or 'of another pod'}"
        for span in nearest[:_NEAREST]
    )


def _differences(select: Select, span: Span) -> list[str]:
    differences = [
        f"{key} is {_text(span.tags[key]) if key in span.tags else 'absent'}"
        for key, value in select.attributes.items()
        if not _has(span, key, value)
    ]
    if not fnmatch.fnmatchcase(span.operation, select.operation):
        differences.append(f"operation is {span.operation}")
    return differences


def _has(span: Span, key: str, value: str) -> bool:
    return any(
        fnmatch.fnmatchcase(_text(span.tags[name]), value)
        for name in _names(key)
        if name in span.tags
    )


def _names(key: str) -> tuple[str, ...]:
    return next((names for names in _RENAMED if key in names), (key,))


def _pods(trace: Trace) -> set[str]:
    return {str(span.tags["k8s.pod"]) for span in trace.spans if "k8s.pod" in span.tags}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _description(span: Span) -> str:
    return f"{span.service} {span.operation} ({span.duration / 1000:.1f} ms, trace {span.trace_id})"


def _count_words(expect: Expect) -> str:
    if isinstance(expect.count, int):
        return str(expect.count)
    least = f"at least {expect.count.min}" if expect.count.min is not None else ""
    most = f"at most {expect.count.max}" if expect.count.max is not None else ""
    return " and ".join(filter(None, (least, most)))
