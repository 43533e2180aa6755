"""Requests to the API server: as recorded, and what one means by its method, path and answer."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from ktrace.recording.object_reference import NO_OBJECT, ObjectReference

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}
_WRITING_VERBS = {"create", "update", "patch", "delete", "deletecollection"}


@dataclass
class RecordedRequest:
    """A request and its answer; ``started`` and ``ended`` are Unix times in seconds."""

    method: str
    path: str
    started: float
    ended: float = 0.0
    """0 while it is open."""
    status: int = 0
    """The answer's HTTP status; 0 without an answer."""
    audit_id: str = ""
    written: ObjectReference = NO_OBJECT
    """The object that the answer to a write names."""

    @property
    def info(self) -> RequestInfo:
        return parse(self.method, self.path, self.written)


@dataclass(frozen=True)
class RequestInfo:
    """``resource`` is empty if the request is about no object: discovery, health, version."""

    verb: str
    group: str = ""
    resource: str = ""
    """With its subresource: ``deployments/scale``."""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    dry_run: bool = False

    @property
    def writes(self) -> bool:
        return self.verb in _WRITING_VERBS and bool(self.resource) and not self.dry_run

    @property
    def is_answered_by_object(self) -> bool:
        """Whether the answer is one object: that of a proxy subresource is anything, or endless."""
        return self.writes and "proxy" not in self.resource.split("/")


def parse(method: str, path: str, written: ObjectReference = NO_OBJECT) -> RequestInfo:
    """Splits a path as the API server does (RequestInfo in apiserver's pkg/endpoints/request)."""
    url = urlsplit(path)
    query = parse_qs(url.query)
    parts = [part for part in url.path.split("/") if part]
    verb = _VERBS.get(method, method.lower())
    if len(parts) >= 3 and parts[0] == "api":
        group, rest = "", parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, rest = parts[1], parts[3:]
    else:
        return RequestInfo(verb)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource, name = "/".join([rest[0], *rest[2:]]), rest[1] if len(rest) > 1 else ""
    if verb == "get" and not name:
        watches = query.get("watch", ["0"])[0] not in ("0", "false", "")
        verb = "watch" if watches else "list"
    if verb == "delete" and not name:
        verb = "deletecollection"
    return RequestInfo(
        verb,
        group,
        resource,
        namespace,
        name or (written.name if verb == "create" else ""),
        written.uid,
        "dryRun" in query,
    )
