"""The traces of a bundle: kept from Jaeger's answers, and searched as Jaeger searches. Pure."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ktrace.bundle import otlp
from ktrace.jaeger import model
from ktrace.jaeger.model import Trace
from ktrace.jaeger.search import Search

_UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000}
_EVER = 1 << 63


@dataclass(frozen=True)
class Query:
    """What a search asked Jaeger for; times are in microseconds since the Unix epoch."""

    service: str
    operation: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    start: int = 0
    end: int = _EVER
    shortest: int = 0
    cut_at: int | None = None
    """The limit that its answer was as long as: Jaeger may have more. None: it has no more."""

    @classmethod
    def of(cls, parameters: Mapping[str, str], patterns: bool = False) -> Query:
        """``patterns``: the values of tags are escaped. ValueError for what ktrace never asks."""
        tags = json.loads(parameters.get("tags", "{}"))
        unescaped = {key: _unescaped(text) if patterns else text for key, text in tags.items()}
        return cls(
            parameters["service"],
            parameters.get("operation", ""),
            unescaped,
            int(parameters.get("start", 0)),
            int(parameters.get("end", _EVER)),
            _microseconds(parameters.get("minDuration", "0us")),
        )

    def covers(self, other: Query, limit: int = 0) -> bool:
        """Whether ``other``, with its ``limit``, is answered by the traces that this has found.

        One that was cut answers for itself with no higher limit, in parts of its period too: the
        client that reads all asks for shorter ones until none is cut, or tells that some was.
        """
        if self.cut_at is not None and (limit > self.cut_at or self._wanted != other._wanted):
            return False
        return (
            self.service == other.service
            and self.operation in ("", other.operation)
            and self.tags.items() <= other.tags.items()
            and self.shortest <= other.shortest
            and self.start <= other.start
            and self.end >= other.end
        )

    def replaces(self, other: Query) -> bool:
        """Whether ``other`` adds nothing to what this covers."""
        if other.cut_at is None:
            return self.cut_at is None and self.covers(other)
        return self.covers(other, other.cut_at)

    @property
    def _wanted(self) -> tuple[object, ...]:
        """All but the period."""
        return self.service, self.operation, self.tags, self.shortest

    def document(self) -> dict[str, Any]:
        return {
            "service": self.service,
            "operation": self.operation or None,
            "tags": dict(self.tags),
            "start": self.start,
            "end": None if self.end == _EVER else self.end,
            "shortest": self.shortest,
            "cutAt": self.cut_at,
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Query:
        """LookupError, TypeError or ValueError for what is none."""
        end = document["end"]
        tags = {str(key): str(value) for key, value in document["tags"].items()}
        return cls(
            str(document["service"]),
            str(document["operation"] or ""),
            tags,
            int(document["start"]),
            _EVER if end is None else int(end),
            int(document["shortest"]),
            None if (cut_at := document.get("cutAt")) is None else int(cut_at),
        )


def is_complete(limit: int, traces: Sequence[Mapping[str, Any]], rows: int | None) -> bool:
    """Whether a search that was answered with ``traces`` has left out none.

    A store with ``rows`` reads so many of an index for each wanted trace, at most one for a span.
    """
    spans = sum(len(trace.get("spans") or []) for trace in traces)
    return len(traces) < limit and (rows is None or spans < rows * limit)


def joined(queries: Iterable[Query]) -> list[Query]:
    """``queries`` without those that another one covers, and periods that meet as one.

    An answer that is too long is asked for in parts.
    """
    found: list[Query] = []
    for query in sorted(queries, key=lambda query: (query.start, -query.end)):
        for number, known in enumerate(found):
            same = replace(query, start=known.start, end=known.end) == known
            if same and query.start <= known.end + 1:
                found[number] = replace(known, end=max(known.end, query.end))
                break
        else:
            found.append(query)
    return [
        query
        for number, query in enumerate(found)
        if not any(
            other.replaces(query) and (not query.replaces(other) or place < number)
            for place, other in enumerate(found)
            if place != number
        )
    ]


class Kept:
    """What Jaeger has answered: each span once, as it was answered last."""

    def __init__(self) -> None:
        self._traces: dict[str, dict[str, Any]] = {}
        self._places: dict[str, dict[tuple[Any, ...], int]] = {}

    def add(self, traces: Iterable[Mapping[str, Any]]) -> None:
        """``traces`` as Jaeger's JSON has them; LookupError or TypeError for anything else."""
        for trace in traces:
            trace_id = trace["traceID"]
            empty: dict[str, Any] = {"traceID": trace_id, "spans": [], "processes": {}}
            kept = self._traces.setdefault(trace_id, empty)
            places = self._places.setdefault(trace_id, {})
            names = {}
            for key, process in (trace.get("processes") or {}).items():
                known = json.dumps(process, sort_keys=True)
                names[key] = known
                kept["processes"][known] = process
            for span in trace.get("spans") or []:
                process = names[span["processID"]]
                identity = (
                    span["spanID"],
                    span["operationName"],
                    span["startTime"],
                    span["duration"],
                    process,
                )
                placed = {**span, "processID": process}
                if identity in places:
                    kept["spans"][places[identity]] = placed
                else:
                    places[identity] = len(kept["spans"])
                    kept["spans"].append(placed)

    def resource_spans(self) -> list[dict[str, Any]]:
        return otlp.resource_spans(self._traces.values())


class Searchable:
    """Traces, by id and by what a search asks for; as Jaeger would answer."""

    def __init__(self, resource_spans: Iterable[Mapping[str, Any]]) -> None:
        """LookupError, TypeError, AttributeError, OverflowError or ValueError for what is not
        OTLP."""
        self._texts: dict[str, str] = {}
        self._traces: dict[str, Trace] = {}
        for document in otlp.traces_of(resource_spans):
            text = json.dumps(document)
            self._texts[document["traceID"]] = text
            self._traces[document["traceID"]] = model.trace_of(model.read(text.encode()))

    @property
    def traces(self) -> list[Trace]:
        return list(self._traces.values())

    @property
    def services(self) -> list[str]:
        return sorted({span.service for trace in self.traces for span in trace.spans})

    def operations(self, service: str) -> list[str]:
        spans = (span for trace in self.traces for span in trace.spans)
        return sorted({span.operation for span in spans if span.service == service})

    def by_id(self, trace_id: str) -> str:
        """JSON of the list that has the trace; empty if there is none."""
        text = self._texts.get(trace_id)
        return f"[{text}]" if text else ""

    def search(self, query: Query, limit: int) -> str:
        """JSON of the list of at most ``limit`` traces, in the order in which Jaeger had them."""
        search = Search(query.service, query.operation, query.tags, query.shortest)
        matching = (
            trace_id
            for trace_id, trace in self._traces.items()
            if any(query.start <= span.start <= query.end for span in search.matching(trace))
        )
        found = itertools.islice(matching, limit)
        return f"[{','.join(self._texts[trace_id] for trace_id in found)}]"


def _microseconds(duration: str) -> int:
    unit = next(unit for unit in _UNITS if duration.endswith(unit))
    return int(duration.removesuffix(unit)) * _UNITS[unit]


def _unescaped(pattern: str) -> str:
    """What ``tags.escaped`` made a regular expression of."""
    parts = pattern.split("\\\\")
    return "\\".join(part.replace("\\", "") for part in parts)
