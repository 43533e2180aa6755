"""Which searches hold every request, or every webhook's call, that an expectation selects.

The API server names the span of a request ``KubernetesAPI`` before Kubernetes 1.31, and since then
``PATCH /api/v1/namespaces/{:namespace}/pods/{:name}/status``, or ``GET`` alone for what is about no
resource (kubernetes/apiserver pkg/endpoints/filters/traces.go). A search cannot be for a pattern.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ktrace.activity.requests import METHODS, WEBHOOKS, WRITING
from ktrace.expect import matching
from ktrace.expect.schema import Expectation
from ktrace.expect.selectors import WRITE, RequestSelect
from ktrace.recording import requests as recording
from ktrace.text import clean

_GET = ("GET",)
_OF_VERB = {
    "get": _GET,
    "list": _GET,
    "watch": _GET,
    "create": ("POST",),
    "update": ("PUT",),
    "patch": ("PATCH",),
    "delete": ("DELETE",),
    "deletecollection": ("DELETE",),
    WRITE: WRITING,
    "head": ("HEAD",),
    "options": ("OPTIONS",),
}
_UNNAMED = "KubernetesAPI"


@dataclass(frozen=True)
class Query:
    """Arguments of a search for the API server's traces."""

    operation: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def queries(expectation: Expectation, operations: Sequence[str] | None) -> list[Query]:
    """``operations`` are all that the API server's spans have; None if they are not known.

    All of its traces are read where nothing narrower is known to hold what is selected.
    """
    if expectation.request is None:
        return [Query(operation) for operation in WEBHOOKS]
    select = expectation.request
    methods = _OF_VERB.get(select.verb, ())
    # Of a release that names its spans otherwise, all requests are read.
    operations = operations or ()
    named = any(one == _UNNAMED or (_method(one) and "/" in one) for one in operations)
    if named and not matching.is_pattern(select.resource):
        return list(_by_operation(select, methods, operations))
    return _by_method(methods) or [Query()]


def _by_method(methods: Sequence[str], operation: str = "") -> list[Query]:
    return [Query(operation, {key: method}) for method in methods for key in METHODS]


def _by_operation(
    select: RequestSelect, methods: Sequence[str], operations: Sequence[str]
) -> Iterator[Query]:
    plural = clean(select.resource).partition("/")[0]
    for operation in operations:
        if operation == _UNNAMED:
            yield from _by_method(methods, operation) or [Query(operation)]
        elif (method := _method(operation)) and (not methods or method in methods):
            info = recording.parse(method, operation.partition(" ")[2])
            known = {name.partition("/")[0] for name in (info.resource, info.full_resource)}
            if not info.resource or plural in known:
                yield Query(operation)


def _method(operation: str) -> str:
    """That of a request's span; empty for any other span."""
    method, _, path = operation.partition(" ")
    return method if method.isupper() and (not path or path.startswith("/")) else ""
