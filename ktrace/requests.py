"""What a request to the API server asked for, read from its method, path and bodies."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}
WRITES = {"create", "update", "patch", "delete", "deletecollection"}


@dataclass
class Seen:
    """A request as it went by; ``status`` 0 when no answer came."""

    method: str
    path: str
    began: float
    """Unix time in seconds."""
    ended: float = 0.0
    status: int = 0
    audit_id: str = ""
    answer: Any = field(default=None, repr=False)

    @property
    def request(self) -> Request:
        return parse(self.method, self.path, self.answer)


@dataclass(frozen=True)
class Request:
    """``resource`` is empty for what is not about an object: discovery, health, version."""

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    dry_run: bool = False

    @property
    def writes(self) -> bool:
        return self.verb in WRITES and bool(self.resource) and not self.dry_run


def parse(method: str, path: str, answer: Any = None) -> Request:
    """As the API server itself takes a path apart (apiserver pkg/endpoints/request)."""
    split = urlsplit(path)
    query = parse_qs(split.query)
    parts = [part for part in split.path.split("/") if part]
    verb = _VERBS.get(method, method.lower())
    if len(parts) >= 3 and parts[0] == "api":
        group, rest = "", parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, rest = parts[1], parts[3:]
    else:
        return Request(verb)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource, name = "/".join([rest[0], *rest[2:]]), rest[1] if len(rest) > 1 else ""
    if verb == "get" and not name:
        watches = query.get("watch", ["0"])[0] not in ("0", "false", "")
        verb = "watch" if watches else "list"
    if verb == "delete" and not name:
        verb = "deletecollection"
    metadata = _metadata(answer)
    return Request(
        verb,
        group,
        resource,
        namespace,
        name or (metadata.get("name", "") if verb == "create" else ""),
        metadata.get("uid", ""),
        "dryRun" in query,
    )


def _metadata(answer: Any) -> dict[str, str]:
    """Of the object in an answer; a deletion is answered by a Status that names it."""
    if not isinstance(answer, dict):
        return {}
    found = answer.get("details") if answer.get("kind") == "Status" else answer.get("metadata")
    return found if isinstance(found, dict) else {}


def read_json(body: bytes) -> Any:
    """None for what is no JSON: protobuf, a table cut short."""
    try:
        return json.loads(body)
    except ValueError:
        return None
