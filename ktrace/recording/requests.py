"""Requests to the API server: as recorded, and what one means by its method, path and answer."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from ktrace.recording.object_reference import NO_OBJECT, ObjectReference
from ktrace.recording.refused import UNTOLD, Refused
from ktrace.text import clean

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}
_REMOVING_VERBS = {"delete", "deletecollection"}
_WRITING_VERBS = {"create", "update", "patch", *_REMOVING_VERBS}
_REVIEWING_GROUPS = {
    "authentication.k8s.io",
    "authorization.k8s.io",
    "authorization.openshift.io",
    "security.openshift.io",
}
"""Of the resources ...reviews: a question in the form of an object, which is not stored."""
_CONNECTING = {"exec", "attach", "portforward", "proxy"}
"""Subresources behind which a pod or a node answers, and not the API server."""
_FALSE = ("0", "false", "")

WRITE, DRY_RUN, WATCH, CONNECT, READ = "write", "dryRun", "watch", "connect", "read"


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
    collection: tuple[ObjectReference, ...] = ()
    """The objects that the answer to a deletion of a collection lists."""
    span_id: str = ""
    """Of ktrace's span for it; empty if it has none, as the command sent a traceparent itself."""
    dry_run: bool | None = None
    """Whether the body makes it a dry run; None if that depends on the query."""
    client: str = ""
    """The first word of the user agent."""
    refused: Refused = UNTOLD
    """Why a removal was refused."""

    @property
    def info(self) -> RequestInfo:
        return parse(self.method, self.path, self.written, self.dry_run)

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300


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
    follows_log: bool = False
    """Whether the answer goes on as long as a container writes, or until the client leaves."""

    @property
    def full_resource(self) -> str:
        """With its group: ``deployments.apps/scale``."""
        plural, slash, subresource = self.resource.partition("/")
        return f"{plural}.{self.group}{slash}{subresource}" if self.group else self.resource

    @property
    def object(self) -> str:
        """``deployments.apps/NAMESPACE/NAME``; empty without a name."""
        base = self.full_resource.partition("/")[0]
        return "/".join(filter(None, (base, self.namespace, self.name))) if self.name else ""

    @property
    def kind(self) -> str:
        """WRITE, DRY_RUN, WATCH, CONNECT or READ."""
        if self._connects:
            return CONNECT
        if self.verb in _WRITING_VERBS and self.resource and not self._reviews:
            return DRY_RUN if self.dry_run else WRITE
        return WATCH if self.verb == "watch" or self.follows_log else READ

    @property
    def writes(self) -> bool:
        return self.kind == WRITE

    @property
    def evicts(self) -> bool:
        return (self.verb, self.resource, self.group) == ("create", "pods/eviction", "")

    @property
    def removes(self) -> bool:
        """Whether it deletes or evicts objects, or would in a dry run."""
        deletes = self.verb in _REMOVING_VERBS and self.resource and "/" not in self.resource
        return bool(deletes) or self.evicts

    @property
    def _reviews(self) -> bool:
        return self.group in _REVIEWING_GROUPS and self.resource.endswith("reviews")

    @property
    def _connects(self) -> bool:
        return not _CONNECTING.isdisjoint(self.resource.split("/")[1:2])


def parse(
    method: str,
    path: str,
    written: ObjectReference = NO_OBJECT,
    dry_run_in_body: bool | None = None,
) -> RequestInfo:
    """Splits a path as the API server does (RequestInfo in apiserver's pkg/endpoints/request)."""
    encoded, _, query_text = path.partition("?")
    query = parse_qs(query_text)
    parts = [clean(part) for part in unquote(encoded).split("/") if part]
    verb = _VERBS.get(method, method.lower())
    if len(parts) >= 3 and parts[0] == "api":
        group, rest = "", parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, rest = parts[1], parts[3:]
    else:
        return RequestInfo(verb)
    watches = query.get("watch", ["0"])[0].lower() not in _FALSE
    if rest[0] == "watch" and len(rest) > 1:
        watches, rest = True, rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource, name = "/".join([rest[0], *rest[2:]]), rest[1] if len(rest) > 1 else ""
    if verb == "get" and not name:
        verb = "watch" if watches else "list"
    if verb == "delete" and not name:
        verb = "deletecollection"
    follows_log = resource == "pods/log" and query.get("follow", ["0"])[0].lower() not in _FALSE
    return RequestInfo(
        verb,
        group,
        resource,
        namespace,
        name or (written.name if verb == "create" else ""),
        written.uid,
        "dryRun" in query if dry_run_in_body is None else dry_run_in_body,
        verb == "get" and follows_log,
    )
