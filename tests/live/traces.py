"""Reads Jaeger's query API without ktrace's client, and sends spans as any program does."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Trace:
    """One trace in Jaeger's own JSON."""

    document: dict[str, Any]

    @property
    def spans(self) -> list[dict[str, Any]]:
        spans: list[dict[str, Any]] = self.document["spans"]
        return spans

    @property
    def services(self) -> set[str]:
        return {process["serviceName"] for process in self.document["processes"].values()}

    def operations(self, service: str) -> set[str]:
        """Names of the service's spans."""
        processes = self.document["processes"]
        return {
            span["operationName"]
            for span in self.spans
            if processes[span["processID"]]["serviceName"] == service
        }

    @property
    def whole(self) -> bool:
        """Whether every span's parent is in the trace: no span was lost."""
        known = {span["spanID"] for span in self.spans}
        return all(
            reference["spanID"] in known
            for span in self.spans
            for reference in span.get("references") or []
            if reference["refType"] == "CHILD_OF"
        )

    @property
    def nodes(self) -> dict[str, set[str]]:
        """The nodes of each service, from the resource attribute k8s.node.name."""
        found: dict[str, set[str]] = {service: set() for service in self.services}
        for process in self.document["processes"].values():
            tags = {tag["key"]: tag["value"] for tag in process["tags"]}
            found[process["serviceName"]].add(str(tags.get("k8s.node.name")))
        return found

    def tags(self, key: str) -> set[str]:
        """The values of a tag anywhere in the trace, on spans and on processes."""
        tagged = [*self.spans, *self.document["processes"].values()]
        return {
            str(tag["value"])
            for entry in tagged
            for tag in entry.get("tags") or []
            if tag["key"] == key
        }


def search(
    url: str,
    service: str,
    operation: str = "",
    tags: Mapping[str, str] | None = None,
    *,
    since: float = 0,
    before: float = 0,
) -> list[Trace]:
    """Up to 1000 traces, the newest, between two Unix times in seconds; 0: an hour ago, and now."""
    begin = since or time.time() - 3600
    query = {"service": service, "limit": "1000", "start": str(int(begin * 1_000_000))}
    if before:
        query["end"] = str(int(before * 1_000_000))
    if operation:
        query["operation"] = operation
    if tags:
        query["tags"] = json.dumps(dict(tags))
    answer = httpx.get(f"{url}/api/traces", params=query, timeout=20)
    answer.raise_for_status()
    return [Trace(document) for document in answer.json()["data"] or []]


def answers(url: str) -> bool:
    """Whether a Jaeger answers at ``url``."""
    try:
        return httpx.get(f"{url}/api/services", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def sampled_out(metrics_url: str) -> bool:
    """Whether the collector's sampler has dropped any trace, by the collector's own metrics."""
    metrics = httpx.get(metrics_url, timeout=5).raise_for_status().text
    return bool(
        re.search(r'^otelcol_processor_\w*sampled\w*\{.*sampled="false".*\} [1-9]', metrics, re.M)
    )


def otlp(service: str, operation: str) -> str:
    """One span that took a second and ends now, as JSON for OTLP/HTTP."""
    end = time.time_ns()
    span = {
        "traceId": secrets.token_hex(16),
        "spanId": secrets.token_hex(8),
        "name": operation,
        "kind": 1,
        "startTimeUnixNano": str(end - 10**9),
        "endTimeUnixNano": str(end),
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return json.dumps(
        {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    )


def send(endpoint: str, service: str, operation: str) -> None:
    """Sends one span to an OTLP/HTTP ``endpoint``."""
    httpx.post(
        f"{endpoint}/v1/traces",
        content=otlp(service, operation),
        headers={"Content-Type": "application/json"},
        timeout=10,
    ).raise_for_status()
