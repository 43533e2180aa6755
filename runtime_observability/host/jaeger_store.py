"""Asks the stack's Jaeger whether its store answers it: an up that changes nothing tells nothing of
a password that somebody has changed there."""

from __future__ import annotations

from collections.abc import Sequence

from runtime_observability.core import store_faults
from runtime_observability.core.stores import BADGER
from runtime_observability.host.docker import Owned
from runtime_observability.host.http import httpx

_SECONDS = 5
_OF_JAEGER_ITSELF = ("", BADGER)
"""The labels of stores that want no login; a Jaeger with its memory alone has none."""


def advise(jaeger: str, containers: Sequence[Owned]) -> list[str]:
    """What the store of the Jaeger of that name refuses; empty where none is known to."""
    return [
        f"traces are not stored: Jaeger answers {status}: {reason}. {cure}"
        for container in containers
        if container.name == jaeger and container.state == "running"
        if container.store not in _OF_JAEGER_ITSELF
        for port in container.host_ports()
        for status, reason in _refusals(f"http://127.0.0.1:{port}/api/services")
        if (cure := store_faults.cure(reason))
    ]


def _refusals(url: str) -> list[tuple[int, str]]:
    """The answer's status and reason if it is an error of Jaeger's."""
    try:
        response = httpx.get(url, timeout=_SECONDS, trust_env=False)
        errors = response.json()["errors"]
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        return []
    told = store_faults.reason(errors) if response.is_server_error else ""
    return [(response.status_code, "".join(filter(str.isprintable, told)))] if told else []
