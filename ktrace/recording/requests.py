"""What a request to the API server asked for, read from its method, path and answer."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from ktrace.recording.identity import NOTHING, Identity

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
    written: Identity = NOTHING
    """The object that the answer to a write names."""

    @property
    def request(self) -> Request:
        return parse(self.method, self.path, self.written)


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

    @property
    def names_its_object(self) -> bool:
        """Whether the answer is an object: a proxied request's can be anything, and endless."""
        return self.writes and "proxy" not in self.resource.split("/")


def parse(method: str, path: str, written: Identity = NOTHING) -> Request:
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
    return Request(
        verb,
        group,
        resource,
        namespace,
        name or (written.name if verb == "create" else ""),
        written.uid,
        "dryRun" in query,
    )
