"""Jaeger's JSON as OTLP's, and back: what a trace says is the same afterwards. Pure.

Jaeger makes tags of a span's kind, status, scope and trace state, and a process of its resource
(jaeger v1.76.0, internal/converter and cmd/query/app): the way back makes the same tags of them. A
tag that Jaeger would not have made so stays an attribute. Times are whole microseconds, as Jaeger
tells them. Sources of OTLP's JSON: opentelemetry-proto v1.3.0, trace/v1/trace.proto.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]

_KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_NAMES_OF_KINDS = {number: name for name, number in _KINDS.items()}
_OK, _ERROR = 1, 2
_KIND, _STATE = "span.kind", "w3c.tracestate"
_STATUS, _DESCRIPTION, _FAILED = "otel.status_code", "otel.status_description", "error"
_SCOPE, _SCOPE_VERSION = "otel.scope.name", "otel.scope.version"
_SERVICE = "service.name"
_EVENT = "event"
_REFERENCE = "opentracing.ref_type"
_SHORT_ID = 16
_LONG_ID = 32
_HEX = re.compile(r"[0-9a-fA-F]{1,32}")
_JAEGERS_TYPES = {"stringValue": "string", "boolValue": "bool", "bytesValue": "binary"}

_Tag = tuple[str, Any]
"""A tag's type and value, as Jaeger has them."""


def resource_spans(traces: Iterable[Document]) -> list[dict[str, Any]]:
    """``traces`` of Jaeger's JSON as OTLP, in their order, and with the spans in theirs.

    What follows one another and has one resource and scope is together.
    LookupError, TypeError, AttributeError or ValueError for what is not Jaeger's.
    """
    found: list[dict[str, Any]] = []
    for trace in traces:
        for span in trace.get("spans") or []:
            process = trace["processes"][span["processID"]]
            tags = _tags(process.get("tags"))
            tags.pop(_SERVICE, None)
            service = {_SERVICE: ("string", process["serviceName"])}
            attributes = _attributes(service | tags)
            sent, scope = _span(span)
            if not found or found[-1]["resource"]["attributes"] != attributes:
                found.append({"resource": {"attributes": attributes}, "scopeSpans": []})
            scopes = found[-1]["scopeSpans"]
            if not scopes or scopes[-1]["scope"] != scope:
                scopes.append({"scope": scope, "spans": []})
            scopes[-1]["spans"].append(sent)
    return found


def traces_of(resource_spans: Iterable[Document]) -> list[dict[str, Any]]:
    """OTLP's spans as traces of Jaeger's JSON, in their order.

    LookupError, TypeError, AttributeError or ValueError for what is not OTLP.
    """
    found: dict[str, dict[str, Any]] = {}
    for number, resource in enumerate(resource_spans):
        tags = _tags_of((resource.get("resource") or {}).get("attributes"))
        name = tags.pop(_SERVICE, ("string", ""))[1]
        process = {"serviceName": _string(name), "tags": _written(tags)}
        for scoped in resource.get("scopeSpans") or []:
            for sent in scoped.get("spans") or []:
                span = _jaegers(sent, scoped.get("scope") or {}, f"p{number}")
                trace = found.setdefault(
                    span["traceID"], {"traceID": span["traceID"], "spans": [], "processes": {}}
                )
                trace["spans"].append(span)
                trace["processes"][f"p{number}"] = process
    return list(found.values())


def count(resource_spans: Iterable[Document]) -> int:
    """The number of spans."""
    return sum(
        len(scoped.get("spans") or [])
        for resource in resource_spans
        for scoped in resource.get("scopeSpans") or []
    )


# --- to OTLP ----------------------------------------------------------------------------------


def _span(span: Document) -> tuple[dict[str, Any], dict[str, Any]]:
    """A span and its scope."""
    tags = _tags(span.get("tags"))
    start = int(span["startTime"])
    trace_id = _string(span["traceID"])
    parent, links = _references(span.get("references"), trace_id)
    sent: dict[str, Any] = {
        "traceId": _long(trace_id),
        "spanId": _string(span["spanID"]),
        **({"parentSpanId": parent} if parent is not None else {}),
        "name": _string(span["operationName"]),
        "startTimeUnixNano": str(start * 1000),
        "endTimeUnixNano": str((start + int(span["duration"])) * 1000),
    }
    if tags.get(_KIND, ("", None))[1] in _KINDS and tags[_KIND][0] == "string":
        sent["kind"] = _KINDS[tags.pop(_KIND)[1]]
    if isinstance(state := _text(tags, _STATE), str):
        sent["traceState"] = state
        del tags[_STATE]
    if status := _status(tags):
        sent["status"] = status
    scope = {
        name: tags.pop(tag)[1]
        for name, tag in (("name", _SCOPE), ("version", _SCOPE_VERSION))
        if _text(tags, tag)
    }
    if "version" in scope and "name" not in scope:  # a scope without a name has no tags
        tags[_SCOPE_VERSION] = ("string", scope.pop("version"))
    if isinstance(flags := span.get("flags"), int) and not isinstance(flags, bool) and flags > 0:
        sent["flags"] = flags
    if tags:
        sent["attributes"] = _attributes(tags)
    if events := list(map(_event, span.get("logs") or [])):
        sent["events"] = events
    if links:
        sent["links"] = links
    return sent, scope


def _status(tags: dict[str, _Tag]) -> dict[str, Any]:
    """The status of which Jaeger would make these tags, which are taken out; else empty."""
    told, failed = tags.get(_STATUS), tags.get(_FAILED)
    if told == ("string", "ERROR") and failed == ("bool", True):
        del tags[_FAILED]
        status: dict[str, Any] = {"code": _ERROR}
    elif told == ("string", "OK") and failed is None:
        status = {"code": _OK}
    else:
        return {}
    del tags[_STATUS]
    if message := _text(tags, _DESCRIPTION):
        status["message"] = message
        del tags[_DESCRIPTION]
    return status


def _references(listed: Any, trace_id: str) -> tuple[str | None, list[dict[str, Any]]]:
    """The parent's id, and the links."""
    parent: str | None = None
    links = []
    for reference in listed or []:
        kind, other, span_id = reference["refType"], reference["traceID"], reference["spanID"]
        if parent is None and kind == "CHILD_OF" and other == trace_id:
            parent = _string(span_id)
            continue
        links.append(
            {
                "traceId": _long(_string(other)),
                "spanId": _string(span_id),
                "attributes": _attributes({_REFERENCE: ("string", _string(kind).lower())}),
            }
        )
    return parent, links


def _event(log: Document) -> dict[str, Any]:
    fields = _tags(log.get("fields"))
    event: dict[str, Any] = {"timeUnixNano": str(int(log["timestamp"]) * 1000)}
    if name := _text(fields, _EVENT):
        event["name"] = name
        del fields[_EVENT]
    return event | ({"attributes": _attributes(fields)} if fields else {})


def _tags(listed: Any) -> dict[str, _Tag]:
    """By key; of several with one key the last one, as a reader of Jaeger's has it."""
    return {
        _string(tag["key"]): (_string(tag.get("type") or ""), tag["value"]) for tag in listed or []
    }


def _attributes(tags: Mapping[str, _Tag]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(*tag)} for key, tag in tags.items()]


def _value(kind: str, value: Any) -> dict[str, Any]:
    """By the type that Jaeger tells, if the value is of it."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and kind != "float64":
        return {"intValue": str(value)}
    if isinstance(value, int | float):
        return {"doubleValue": value if abs(value) < float("inf") else _not_finite(value)}
    if kind == "binary" and isinstance(value, str):
        return {"bytesValue": value}
    return {"stringValue": _string(value)}


def _not_finite(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124


def _text(tags: Mapping[str, _Tag], key: str) -> str | None:
    kind, value = tags.get(key, ("", None))
    return value if kind == "string" and isinstance(value, str) else None


def _long(trace_id: str) -> str:
    """Jaeger leaves out the half of an id that is zero; OTLP has 32 digits."""
    return trace_id.rjust(_LONG_ID, "0") if _HEX.fullmatch(trace_id) else trace_id


# --- to Jaeger's ------------------------------------------------------------------------------


def _jaegers(sent: Document, scope: Document, process: str) -> dict[str, Any]:
    """In the order of Jaeger's own tags: scope, attributes, kind, status."""
    trace_id = short_id(_string(sent["traceId"]))
    start, end = (_microseconds(sent[key]) for key in ("startTimeUnixNano", "endTimeUnixNano"))
    tags: dict[str, _Tag] = {}
    for key, tag in (("name", _SCOPE), ("version", _SCOPE_VERSION)):
        if scope.get(key):
            tags[tag] = ("string", _string(scope[key]))
    tags |= _tags_of(sent.get("attributes"))
    if kind := _NAMES_OF_KINDS.get(sent.get("kind", 0)):
        tags[_KIND] = ("string", kind)
    status = sent.get("status") or {}
    if status.get("code") == _ERROR:
        tags |= {_STATUS: ("string", "ERROR"), _FAILED: ("bool", True)}
    elif status.get("code") == _OK:
        tags[_STATUS] = ("string", "OK")
    if status.get("message"):
        tags[_DESCRIPTION] = ("string", _string(status["message"]))
    if "traceState" in sent:
        tags[_STATE] = ("string", _string(sent["traceState"]))
    return {
        "traceID": trace_id,
        "spanID": _string(sent["spanId"]),
        "operationName": _string(sent["name"]),
        "references": list(_referenced(sent, trace_id)),
        "startTime": start,
        "duration": end - start,
        "tags": _written(tags),
        "logs": list(map(_log, sent.get("events") or [])),
        "processID": process,
        **({"flags": sent["flags"]} if sent.get("flags") else {}),
    }


def _referenced(sent: Document, trace_id: str) -> Iterator[dict[str, Any]]:
    if (parent := sent.get("parentSpanId")) is not None and parent != "":
        yield {"refType": "CHILD_OF", "traceID": trace_id, "spanID": _string(parent)}
    for link in sent.get("links") or []:
        told = _tags_of(link.get("attributes")).get(_REFERENCE, ("string", "follows_from"))[1]
        yield {
            "refType": _string(told).upper(),
            "traceID": short_id(_string(link["traceId"])),
            "spanID": _string(link["spanId"]),
        }


def _log(event: Document) -> dict[str, Any]:
    name = {_EVENT: ("string", _string(event["name"]))} if event.get("name") else {}
    return {
        "timestamp": _microseconds(event["timeUnixNano"]),
        "fields": _written(name | _tags_of(event.get("attributes"))),
    }


def _written(tags: Mapping[str, _Tag]) -> list[dict[str, Any]]:
    return [{"key": key, "type": kind, "value": value} for key, (kind, value) in tags.items()]


def _tags_of(attributes: Any) -> dict[str, _Tag]:
    return {
        _string(attribute["key"]): _tag(attribute.get("value") or {})
        for attribute in attributes or []
    }


def _tag(value: Document) -> _Tag:
    """Of a value that OTLP allows; a list or a map is its JSON, as in Jaeger."""
    for kind, told in _JAEGERS_TYPES.items():
        if kind in value:
            wanted = bool if kind == "boolValue" else str
            if not isinstance(value[kind], wanted):
                raise TypeError(f"{kind} is {value[kind]!r}")
            return told, value[kind]
    if "intValue" in value:
        return "int64", int(value["intValue"])
    if "doubleValue" in value:
        number = value["doubleValue"]
        if isinstance(number, bool) or not isinstance(number, int | float | str):
            raise TypeError(f"doubleValue is {number!r}")
        return "float64", float(number) if isinstance(number, str) else number
    if value:
        import json  # noqa: PLC0415  no span of Kubernetes has such a value

        return "string", json.dumps(value)
    return "string", ""


def short_id(trace_id: str) -> str:
    zeros = "0" * _SHORT_ID
    is_short = len(trace_id) == _LONG_ID and trace_id.startswith(zeros)
    return trace_id[_SHORT_ID:] if is_short else trace_id


def _microseconds(nanoseconds: Any) -> int:
    return int(nanoseconds) // 1000


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
