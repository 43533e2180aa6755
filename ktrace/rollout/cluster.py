"""Reads workloads, their revisions, their pods and the Events of all from an API server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from ktrace.api import Api
from ktrace.errors import KtraceError, UnreachableError, UsageError
from ktrace.rollout import sources
from ktrace.rollout.kinds import (
    CONTROLLER_REVISION,
    DAEMON_SET,
    DEPLOYMENT,
    EVENT,
    PODS,
    REPLICA_SET,
    STATEFUL_SET,
    Kind,
)
from ktrace.rollout.sources import Lists, Sources
from ktrace.rollout.workload import Workload, workload_of
from ktrace.text import clean, cleaned
from runtime_observability.host import api_server
from runtime_observability.host.api_server import ApiError

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Selection:
    """What is asked for: one object of ``name``, or all that ``selector`` finds."""

    kind: Kind
    namespace: str
    """Empty: all namespaces."""
    name: str = ""
    selector: str = ""

    @property
    def told(self) -> str:
        """``deployment shop/web``, ``pods app=web in shop``, ``deployments in all namespaces``."""
        if self.name:
            return f"{self.kind.title} {self.namespace}/{self.name}"
        what = " ".join(filter(None, (self.kind.plural, self.selector)))
        return f"{what} in {self.namespace or 'all namespaces'}"


def read(api: Api, wanted: Selection) -> list[Sources]:
    """Each workload that is asked for, or one selection of pods.

    KtraceError if there is none or it cannot be read, UnreachableError without an API server.
    """
    if wanted.kind is PODS:
        documents = _items(api, _query(PODS.path(wanted.namespace), wanted.selector), wanted.told)
        if not documents:
            raise KtraceError(f"there are no {wanted.told}")
        events, missing = _events(api, wanted.namespace)
        lists = Lists(events=events, missing=missing)
        pods = tuple(sources.pod_object(document, lists) for document in documents)
        return [Sources(None, pods=pods, missing=missing)]
    if wanted.name:
        document = _get(api, wanted.kind.path(wanted.namespace, wanted.name), wanted.told)
        objects = [document]
        selector = _selector(document)
    else:
        objects = _items(api, _query(wanted.kind.path(wanted.namespace), wanted.selector),
                         wanted.told)  # fmt: skip
        selector = ""
        if not objects:
            raise KtraceError(f"there are no {wanted.told}")
    lists = _lists(api, wanted.kind, wanted.namespace, selector)
    return [
        sources.of_workload(_workload(wanted.kind, document), document, lists)
        for document in objects
    ]


def _workload(kind: Kind, document: Document) -> Workload:
    found = workload_of(kind, document)
    if not (found.uid and found.name):
        raise UnreachableError(
            f"the API server's answer is not a {kind.kind}: is that a Kubernetes API server?"
        )
    return found


def _lists(api: Api, kind: Kind, namespace: str, selector: str) -> Lists:
    told = f"in {namespace or 'all namespaces'}"

    def of(other: Kind) -> list[Document]:
        return _items(api, _query(other.path(namespace), selector), f"{other.plural} {told}")

    replica_sets = of(REPLICA_SET) if kind is DEPLOYMENT else []
    revisions = of(CONTROLLER_REVISION) if kind in (STATEFUL_SET, DAEMON_SET) else []
    pods = of(PODS)
    events, missing = _events(api, namespace)
    return Lists(replica_sets, revisions, pods, events, missing)


def _query(path: str, selector: str) -> str:
    return f"{path}?labelSelector={quote(selector, safe='')}" if selector else path


def _events(api: Api, namespace: str) -> tuple[list[Document], tuple[str, ...]]:
    """Not everybody may read them, and without them most is known."""
    try:
        return list(_entries(api.get(EVENT.path(namespace)))), ()
    except api_server.FAILURES as error:
        return [], (f"the Events: {clean(api_server.reason(error))}",)


def _items(api: Api, path: str, told: str) -> list[Document]:
    return list(_entries(_get(api, path, told)))


def _entries(listed: Document) -> Iterator[Document]:
    items = listed.get("items")
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield cleaned(item)


def _get(api: Api, path: str, told: str) -> Document:
    try:
        document: Document = cleaned(api.get(path))
    except ApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            raise KtraceError(
                f"there is no {told}: name another one, or its namespace with -n"
            ) from None
        reason = clean(api_server.reason(error))
        if error.status in (HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED):
            raise KtraceError(
                f"{told} cannot be read: {reason}. Let this user get and list it, or name another "
                "kubeconfig with --kubeconfig PATH"
            ) from None
        if error.status == HTTPStatus.BAD_REQUEST:
            raise UsageError(f"{told} cannot be read: {reason}. Correct the selector") from None
        raise UnreachableError(f"{told} cannot be read: {reason}") from None
    except api_server.FAILURES as error:
        reason = clean(api_server.reason(error))
        raise UnreachableError(
            f"the cluster cannot be reached: {reason}. Start it, or name another one with "
            "--kubeconfig PATH"
        ) from None
    return document


def _selector(document: Document) -> str:
    """The label selector of a workload, as a request has it."""
    spec = document.get("spec")
    selector = spec.get("selector") if isinstance(spec, dict) else None
    if not isinstance(selector, dict):
        return ""
    labels = selector.get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in labels.items())
