"""What is asked of an API server, and how its answers are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from ktrace.text import cleaned
from runtime_observability.host import api_server


class Api(Protocol):
    """Raises what ``api_server.FAILURES`` lists."""

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at ``path``."""
        ...


def versions(api: Api) -> tuple[str, list[str]]:
    """That of Kubernetes and those of the nodes' runtimes, such as containerd://2.1.5; empty where
    they cannot be read."""
    unread = (*api_server.FAILURES, LookupError, TypeError)
    try:
        kubernetes = str(cleaned(api.get("/version"))["gitVersion"])
    except unread:
        return "", []
    try:
        nodes = cleaned(api.get("/api/v1/nodes"))["items"]
        found = {str(node["status"]["nodeInfo"]["containerRuntimeVersion"]) for node in nodes}
    except unread:
        found = set()
    return kubernetes, sorted(found)


def maps(value: Any) -> Iterator[Mapping[str, Any]]:
    """The objects of a list in an answer, without empty ones; nothing of what is no list."""
    entries = value if isinstance(value, list) else ()
    return (entry for entry in entries if isinstance(entry, Mapping) and entry)
