"""Objects other than pods that a command deleted, and whether they are gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import quote

from ktrace.document import moment
from ktrace.following.cluster_api import ClusterApi, ReadError
from ktrace.following.pods import PodInfo
from ktrace.podstart import pod as pod_object
from ktrace.podstart import progress
from ktrace.recording.object_reference import ObjectReference
from ktrace.recording.requests import RecordedRequest

_CLAIM, _CLAIM_IN_USE = "persistentvolumeclaims", "kubernetes.io/pvc-protection"
_GRACE = "deletionGracePeriodSeconds"
"""Of a Namespace the API server does not write it."""
_ANOTHER = "an object of its name exists, and the answer to the request has no uid"
_TELLING = (
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
    "NamespaceContentRemaining",
    "NamespaceFinalizersRemaining",
    "Terminating",
)
"""The conditions that tell why a deletion goes on: of a Namespace (k8s.io/kubernetes
pkg/controller/namespace/deletion), and the last one of a CustomResourceDefinition."""

State = Literal["gone", "terminating", "there", "unknown"]
"""``there``: it is not being deleted, although the API server accepted that."""


@dataclass(frozen=True)
class Removed:
    resource: str
    """With its group: ``deployments.apps``."""
    namespace: str
    name: str
    uid: str
    audit_id: str
    """Of the request that deleted it."""
    state: State = "unknown"
    """As it was last looked at."""
    since: datetime | None = None
    """When its deletion was first asked for, to the second, by the API server's clock."""
    finalizers: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    """Its own, ``TYPE: MESSAGE``, that tell why it is still there."""
    used_by: tuple[str, ...] = ()
    """The pods that use it, of a claim which is held because it is in use."""
    reason: str = ""
    """Why it is not known whether it is gone."""
    made_again: datetime | None = None
    """When another object of its name was created, to the second; None if there is none."""
    made_by: str = ""
    """The field manager that wrote the other one when it was created; empty if its object does not
    tell."""

    def document(self) -> dict[str, Any]:
        """An entry of ``removed`` in docs/schemas/run.json; a bundle keeps the same."""
        return {
            "resource": self.resource,
            "namespace": self.namespace or None,
            "name": self.name,
            "uid": self.uid or None,
            "auditId": self.audit_id or None,
            "state": self.state,
            "terminatingSince": moment(self.since) if self.since else None,
            "finalizers": list(self.finalizers),
            "conditions": list(self.conditions),
            "usedBy": list(self.used_by),
            "reason": self.reason or None,
            "madeAgainAt": moment(self.made_again) if self.made_again else None,
            "madeAgainBy": self.made_by or None,
        }


class RemovedObjects:
    """Looks at the objects that ``requests`` deleted, until they are gone."""

    def __init__(self, api: ClusterApi, requests: Iterable[RecordedRequest]) -> None:
        self._api = api
        self._left = dict(entry for request in requests for entry in _removed_by(request))
        """By the paths of those that are not known to be gone."""
        self._gone: dict[str, Removed] = {}

    @property
    def found(self) -> tuple[Removed, ...]:
        """As they were last looked at, in the order of their names."""
        every = (*self._gone.values(), *self._left.values())
        return tuple(sorted(every, key=lambda one: (one.resource, one.namespace, one.name)))

    def look(self, paths: Iterable[str], pods: Sequence[PodInfo]) -> None:
        """At those of ``paths``; ``pods`` are those that exist."""
        for path in paths:
            one = self._left[path]
            try:
                looked = of_document(one, self._api.get(path), pods)
            except ReadError as error:
                looked = _unread(one, error)
                if not error.status:  # whatever else is asked is not answered either
                    self._left = {key: _unread(left, error) for key, left in self._left.items()}
                    return
            if looked.state == "gone":
                self._gone[path] = looked
                del self._left[path]
            else:
                self._left[path] = looked

    def look_again(self, paths: Iterable[str]) -> None:
        """Whether there are other objects now at those of ``paths``, which are of ``gone``."""
        for path in paths:
            try:
                self._gone[path] = _made_again(self._gone[path], self._api.get(path))
            except ReadError as error:
                if not error.status:
                    return

    @property
    def gone(self) -> list[str]:
        """The paths of those that are gone."""
        return list(self._gone)

    @property
    def left(self) -> list[str]:
        """The paths of those that are not known to be gone."""
        return list(self._left)

    @property
    def settled(self) -> bool:
        """Whether none is on its way out."""
        return all(one.state != "terminating" for one in self._left.values())


def of_document(one: Removed, document: Mapping[str, Any], pods: Sequence[PodInfo]) -> Removed:
    """What the object of that name says; ``pods`` are those that exist."""
    meta = document.get("metadata") or {}
    uid = str(meta.get("uid") or "")
    since = progress.at(pod_object.deletion_requested({_GRACE: 0, **meta}))
    if one.uid and uid != one.uid:
        return _made_again(one, document)
    if since is None:
        if one.uid:
            return _now(one, "there")
        return _now(one, "unknown", reason=_ANOTHER)
    own = (document.get("spec") or {}).get("finalizers") if one.resource == "namespaces" else ()
    finalizers = tuple(map(str, (*(meta.get("finalizers") or ()), *(own or ()))))
    held = one.resource == _CLAIM and _CLAIM_IN_USE in finalizers
    return _now(
        one,
        "terminating",
        since=since,
        finalizers=finalizers,
        conditions=tuple(_conditions(document)),
        used_by=tuple(_users(one, pods)) if held else (),
    )


def _made_again(one: Removed, document: Mapping[str, Any]) -> Removed:
    """``one`` is gone, and ``document`` another object of its name."""
    meta = document.get("metadata") or {}
    created = pod_object.moment(meta.get("creationTimestamp"))
    return _now(one, "gone", made_again=progress.at(created), made_by=_maker(meta))


def _maker(meta: Mapping[str, Any]) -> str:
    """The only field manager that wrote the object, and not its status, when it was created."""
    created = meta.get("creationTimestamp")
    entries = meta.get("managedFields") or ()
    own = [entry for entry in entries if not entry.get("subresource")]
    first = {str(entry.get("manager") or "") for entry in own if entry.get("time") == created}
    return first.pop() if len(first) == 1 else ""


def _unread(one: Removed, error: ReadError) -> Removed:
    if error.status == HTTPStatus.NOT_FOUND:
        return _now(one, "gone")
    return _now(one, "unknown", reason=str(error))


def _now(one: Removed, state: State, **more: Any) -> Removed:
    """``one`` as it is now, and nothing of what was known before."""
    return Removed(one.resource, one.namespace, one.name, one.uid, one.audit_id, state, **more)


def _removed_by(request: RecordedRequest) -> Iterator[tuple[str, Removed]]:
    """With their paths. What became of pods is told of each of them."""
    info = request.info
    if not (info.writes and info.removes and request.succeeded):
        return
    if info.evicts or info.full_resource == "pods":
        return
    path = request.path.partition("?")[0]
    items: Iterable[tuple[str, ObjectReference]]
    if info.verb == "deletecollection":
        items = ((f"{path}/{quote(item.name, safe='')}", item) for item in request.collection)
    else:
        items = ((path, ObjectReference(info.name, info.uid)),)
    for own_path, item in items:
        if item.name:
            yield (
                own_path,
                Removed(info.full_resource, info.namespace, item.name, item.uid, request.audit_id),
            )


def _conditions(document: Mapping[str, Any]) -> Iterator[str]:
    for condition in (document.get("status") or {}).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") in _TELLING:
            yield f"{condition['type']}: {condition.get('message') or condition.get('reason')}"


def _users(claim: Removed, pods: Sequence[PodInfo]) -> Iterator[str]:
    """A pod that is on a node keeps its claims until its object is gone, even one that has ended
    (podUsesPVC in pkg/controller/volume/pvcprotection of Kubernetes 1.34 to 1.37)."""
    for pod in pods:
        if pod.namespace == claim.namespace and pod.node:
            volumes = (pod.document.get("spec") or {}).get("volumes") or ()
            claims = [(volume.get("persistentVolumeClaim") or {}) for volume in volumes]
            if any(found.get("claimName") == claim.name for found in claims):
                yield pod.name
