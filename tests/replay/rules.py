"""The conditions of a preset, evaluated as the collector does.

The OpenTelemetry Transformation Language is Python in what the conditions use of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, TypeVar

from runtime_observability.core.presets import Choice
from tests.replay import otlp

T = TypeVar("T", bound=otlp.Trace)

_NAMES: Mapping[str, Any] = {
    "nil": None,
    "STATUS_CODE_ERROR": 2,
    "SPAN_KIND_SERVER": 2,
    "SPAN_KIND_CLIENT": 3,
    "__builtins__": {},
}


class _Attributes(dict[str, Any]):
    def __missing__(self, _: str) -> None:
        return None


def _is_match(value: object, pattern: str) -> bool:
    return isinstance(value, str) and re.search(pattern, value) is not None


def marks(choice: Choice, request: Mapping[str, Any]) -> bool:
    """Whether a span in an OTLP request has a mark of ``choice``."""
    conditions = [text for group in choice.marks.values() for text in group]
    for resource_spans in request["resourceSpans"]:
        resource = SimpleNamespace(attributes=_attributes(resource_spans["resource"]))
        for span in (span for part in resource_spans["scopeSpans"] for span in part["spans"]):
            names = {"span": _span(span), "resource": resource, "IsMatch": _is_match, **_NAMES}
            if any(eval(text, names) for text in conditions):  # noqa: S307  our own texts
                return True
    return not conditions


def kept(choice: Choice, traces: Iterable[T]) -> list[T]:
    """Those of which a span has a mark."""
    return [
        trace
        for trace in traces
        if any(marks(choice, request) for request in otlp.requests([trace]))
    ]


def _span(span: Mapping[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(
        name=span["name"],
        kind=span["kind"],
        status=SimpleNamespace(code=span["status"].get("code", 0)),
        attributes=_attributes(span),
        start_time_unix_nano=int(span["startTimeUnixNano"]),
        end_time_unix_nano=int(span["endTimeUnixNano"]),
    )


def _attributes(part: Mapping[str, Any]) -> _Attributes:
    found = _Attributes()
    for attribute in part["attributes"]:
        ((kind, value),) = attribute["value"].items()
        found[attribute["key"]] = int(value) if kind == "intValue" else value
    return found
