"""Which Docker daemon's stack used a prefix in a cluster last: a mark there. Pure.

A prefix is made of the stack's name and folder, which two machines may have alike. The mark is an
index template that fits no index, so it takes no shard, and goes with the stack's other templates.
A destroy leaves what another daemon's stack has used last (host/scripts/remove_indices.sh).
"""

from __future__ import annotations

import json

from runtime_observability.core.search_engine import Answer


def path(prefix: str) -> str:
    return f"/_index_template/{prefix}-jaeger-mark"


def document(prefix: str, daemon: str) -> str:
    """The template; ``daemon`` is Docker's own id."""
    return json.dumps({"index_patterns": [f"{prefix}-jaeger-mark"], "_meta": {"docker": daemon}})


def daemon_of(answer: Answer) -> str:
    """From the answer to ``GET path``; empty where there is no mark, or none can be read."""
    try:
        return str(
            json.loads(answer.body)["index_templates"][0]["index_template"]["_meta"]["docker"]
        )
    except (ValueError, LookupError, TypeError):
        return ""


def warning(prefix: str, daemon: str) -> str:
    return (
        f"indices {prefix}-jaeger-* were last used from another Docker daemon, {daemon}: if a "
        "stack of this name and folder runs there, each finds the other's traces, and the destroy "
        "of this one deletes them: give it a name of its own"
    )
