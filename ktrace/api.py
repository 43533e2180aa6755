"""What is asked of an API server."""

from __future__ import annotations

from typing import Any, Protocol


class Api(Protocol):
    """Raises what ``api_server.FAILURES`` lists."""

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at ``path``."""
        ...
