"""The API server's requests in traces: one for each Audit-Id, never a span below one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ktrace.components import APISERVER, is_kubelet
from ktrace.jaeger import Span, Trace

NOT_KNOWN = "not known"
REQUEST, LIST, WATCH = "request", "list", "watch"
_ETCD = "etcdserverpb."
WEBHOOKS = ("Call mutating webhook", "Call validating webhook")
"""The operations of webhooks' calls."""
_WEBHOOK = re.compile(r"Call (?P<kind>mutating|validating) webhook")
_LOOPBACK = "kube-apiserver"
"""First word of the API server's own user agent, before its slash."""
_RESOURCE = re.compile(
    r"/(?:api/[^/]+|apis/(?P<group>[^/]+)/[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/(?!status$|finalize$)))?"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>.+))?)?"
)
_CODES = ("http.response.status_code", "http.status_code")
METHODS = ("http.request.method", "http.method")
"""Tags, of which each request's own span has one."""
_AGENTS = ("user_agent.original", "http.user_agent")
_PEERS = ("network.peer.address", "net.sock.peer.addr", "net.peer.ip")
_PEER_PORTS = ("network.peer.port", "net.sock.peer.port", "net.peer.port")
_SERVERS = ("service.instance.id", "k8s.node.name")
"""Of a process."""
_TARGETS = ("http.target", "url.path")
_OF_REQUEST = frozenset(
    ("span.kind", "audit-id", *METHODS, *_TARGETS, *_CODES, *_AGENTS, *_PEERS, *_PEER_PORTS)
)
"""Tags that only a request's own span is asked for."""
_OF_ANY = frozenset(("user-agent", "url", "resource", "key", "configuration", "webhook", "error"))
_ACCOUNT = re.compile(r"/system:serviceaccount:([^:/\s]+):([^:/\s]+)$")
"""At the end of the user agents of kube-controller-manager's controllers."""
_FAILURE = 400
_CREATE = "Create etcd3"
"""The operation of the span that stores a new object; its ``key`` ends with the object's name."""
WRITING = ("POST", "PUT", "PATCH", "DELETE")
_CONNECTING = frozenset(("attach", "exec", "portforward", "proxy", "token"))
"""Subresources: what is sent to them does not change the object."""


@dataclass(frozen=True, slots=True)
class WebhookCall:
    """One call of an admission webhook; times are in microseconds."""

    trace_id: str
    duration: int
    webhook: str
    """``CONFIGURATION/WEBHOOK``: another configuration may have a webhook of the same name."""
    kind: str
    """``mutating`` or ``validating``."""
    failed: bool
    """No answer, or one that is an error. Spans do not tell what a webhook refused."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request; times are in microseconds. What its spans do not tell is ``not known``."""

    trace_id: str
    start: int
    duration: int
    client: str
    """The first word of the user agent."""
    method: str
    kind: str
    """``request``, ``list`` (of a collection) or ``watch``, which lasts as long as it is wanted."""
    resource: str
    """``deployments.apps``, ``pods/status``, or the path of what is no resource."""
    object: str
    """``deployments.apps/NAMESPACE/NAME``; ``not known`` for a collection.

    Of a create, where the spans tell the key in etcd.
    """
    writes: bool
    """Whether it is there to change the object: no dry run, no exec."""
    failed: bool | None
    """None where no status is told."""
    etcd: int
    """Time within the request in which a call to etcd was under way."""
    webhooks: int
    """Time within the request in which a webhook was asked."""
    calls: tuple[WebhookCall, ...]
    connection: str
    """The client's address and port, and the API server; empty where the span tells none."""
    kubelet: bool
    internal: bool
    """Whether the API server asked itself."""
    path: str = ""
    """With its query; empty where the spans do not tell it."""
    status: int | None = None
    """The answer's HTTP status."""
    audit_id: str = ""
    account: str = ""
    """``NAMESPACE/NAME`` of the service account that a controller names in its user agent."""

    def failed_open(self, call: WebhookCall) -> bool:
        """Whether the API server went on although ``call``, one of its own, failed."""
        return call.failed and self.failed is False


def requests_in(traces: Iterable[Trace]) -> Iterator[ApiRequest]:
    """Every request once, whatever the operation of its span is called in that Kubernetes."""
    seen: set[tuple[str, str]] = set()
    for trace in traces:
        for span in trace.spans:
            if _is_request(span) and (key := (span.trace_id, span.span_id)) not in seen:
                seen.add(key)
                yield _request(trace, span)


def needed(trace: Trace) -> Trace:
    """``trace`` with all that is read of it here, in a fraction of the memory.

    The requests in it are the same, also once it is merged with what another search has of it.
    """
    return Trace(trace.id, tuple(map(_needed, trace.spans)))


def _needed(span: Span) -> Span:
    read = _OF_ANY | _OF_REQUEST if _is_request(span) else _OF_ANY
    tags = {key: value for key, value in span.tags.items() if key in read}
    process = _process(*(str(span.process.get(key, "")) for key in _SERVERS))
    return replace(span, tags=tags or _NO_TAGS, process=process)


_NO_TAGS: Mapping[str, Any] = {}


@lru_cache
def _process(*values: str) -> Mapping[str, str]:
    return dict(zip(_SERVERS, values, strict=True))


def _is_request(span: Span) -> bool:
    return (
        span.service == APISERVER
        and span.tags.get("span.kind") == "server"
        and any(key in span.tags for key in METHODS)
    )


def _request(trace: Trace, span: Span) -> ApiRequest:
    below = _own(trace, span)
    handlers = [child for child in below if "user-agent" in child.tags]
    agent = _first(span, _AGENTS) or next((str(h.tags["user-agent"]) for h in handlers), "")
    client = (agent.split() or [NOT_KNOWN])[0]
    target = _first(span, _TARGETS)
    target = target or next((str(h.tags.get("url", "")) for h in handlers), "")
    method = _first(span, METHODS)
    parts = urlsplit(target)
    resource, name = _named(parts.path)
    kind = _kind(method, parts.query, resource, name)
    if method == "POST" and name == NOT_KNOWN:
        name = _created(parts.path, below)
    code = _first(span, _CODES)
    return ApiRequest(
        trace_id=trace.id,
        start=span.start,
        duration=span.duration,
        client=client,
        method=method,
        kind=kind,
        resource=resource,
        object=name,
        writes=method in WRITING
        and resource.split("/")[-1] not in _CONNECTING
        and "dryRun" not in parse_qs(parts.query),
        failed=int(code) >= _FAILURE if code.isdigit() else None,
        etcd=_covered(span, (s for s in below if s.operation.startswith(_ETCD))),
        webhooks=_covered(span, (s for s in below if _WEBHOOK.fullmatch(s.operation))),
        calls=tuple(_calls(below)),
        connection=_connection(span),
        kubelet=is_kubelet(agent),
        internal=client.partition("/")[0] == _LOOPBACK,
        path=target,
        status=int(code) if code.isdigit() else None,
        audit_id=str(span.tags.get("audit-id", "")),
        account="/".join(found.groups()) if (found := _ACCOUNT.search(agent)) else "",
    )


def _own(trace: Trace, request: Span) -> list[Span]:
    """What is below ``request``, without the requests that a webhook or an operator made for it."""
    below = trace.below(request)
    nested = [span for span in below if _is_request(span)]
    if not nested:
        return below
    others = {span.span_id for span in (*nested, *trace.below(*nested))}
    return [span for span in below if span.span_id not in others]


def _calls(below: Sequence[Span]) -> Iterator[WebhookCall]:
    trace = Trace("", tuple(below))
    for span in below:
        if (found := _WEBHOOK.fullmatch(span.operation)) is None:
            continue
        within = (span, *trace.below(span))
        names = (str(span.tags.get(key, "")) for key in ("configuration", "webhook"))
        yield WebhookCall(
            trace_id=span.trace_id,
            duration=span.duration,
            webhook="/".join(filter(None, names)) or NOT_KNOWN,
            kind=found["kind"],
            failed=any(s.failed for s in within if s.service == APISERVER),
        )


def _connection(span: Span) -> str:
    address, port = _first(span, _PEERS), _first(span, _PEER_PORTS)
    server = next((span.process[key] for key in _SERVERS if span.process.get(key)), "")
    return f"{address} {port} {server}" if address and port else ""


def _created(path: str, below: Iterable[Span]) -> str:
    """The object that a POST to the collection at ``path`` made, by its key in etcd."""
    found = _RESOURCE.fullmatch(path)
    if found is None:
        return NOT_KNOWN
    plural, group, namespace = found.group("resource", "group", "namespace")
    names = set()
    for span in below:
        resource = str(span.tags.get("resource", plural)).partition(".")[0]
        key = str(span.tags.get("key", "")).split("/")
        if span.operation == _CREATE and resource == plural and key[-1]:
            names.add(key[-1] if namespace in (None, *key[-2:-1]) else "")
    name = names.pop() if len(names) == 1 else ""
    base = f"{plural}.{group}" if group else plural
    return "/".join(filter(None, (base, namespace, name))) if name else NOT_KNOWN


def object_at(path: str) -> str:
    """``deployments.apps/NAMESPACE/NAME`` of a request's path, or ``not known``."""
    return _named(urlsplit(path).path)[1]


def _named(path: str) -> tuple[str, str]:
    """The resource and the object of a request's path."""
    found = _RESOURCE.fullmatch(path)
    if found is None:
        return path or NOT_KNOWN, NOT_KNOWN
    group, namespace, plural, name, sub = found.group(
        "group", "namespace", "resource", "name", "sub"
    )
    base = f"{plural}.{group}" if group else plural
    resource = f"{base}/{sub.partition('/')[0]}" if sub else base
    if not name:
        return resource, NOT_KNOWN
    return resource, "/".join(filter(None, (base, namespace, unquote(name))))


def _kind(method: str, query: str, resource: str, name: str) -> str:
    if method != "GET":
        return REQUEST
    if parse_qs(query).get("watch", [""])[0] in ("true", "1"):
        return WATCH
    return LIST if name == NOT_KNOWN and not resource.startswith(("/", NOT_KNOWN)) else REQUEST


def _first(span: Span, keys: Iterable[str]) -> str:
    return next((str(span.tags[key]) for key in keys if span.tags.get(key)), "")


def _covered(span: Span, parts: Iterable[Span]) -> int:
    """Microseconds of ``span`` that ``parts`` cover; two at once count once."""
    total, reached = 0, span.start
    for part in sorted(parts, key=lambda part: part.start):
        total += max(0, min(part.end, span.end) - max(part.start, reached))
        reached = max(reached, min(part.end, span.end))
    return total
