"""What is asked of an API server, and how its answers are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol


class Api(Protocol):
    """Raises what ``api_server.FAILURES`` lists."""

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at ``path``."""
        ...


def maps(value: Any) -> Iterator[Mapping[str, Any]]:
    """The objects of a list in an answer, without empty ones; nothing of what is no list."""
    entries = value if isinstance(value, list) else ()
    return (entry for entry in entries if isinstance(entry, Mapping) and entry)
