"""What the cluster has of a workload: its revisions, its pods and their Events. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ktrace.api import maps
from ktrace.podstart.cluster import FromCluster
from ktrace.podstart.pod import Pod, PodEvent, events_of, pod_of
from ktrace.rollout.kinds import DAEMON_SET, DEPLOYMENT, STATEFUL_SET
from ktrace.rollout.workload import Workload, revision_number, time_of

Document = Mapping[str, Any]
_HASH = "controller-revision-hash"
_TEMPLATE_HASH = "pod-template-hash"
_CREATE = ("FailedCreate", "FailedDelete")
_NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class Revision:
    """A ReplicaSet of a Deployment, or what a controller-revision-hash names."""

    name: str
    created: datetime | None = None
    uid: str = ""
    number: int | None = None
    grace: int | None = None
    """Seconds that the pods of a ReplicaSet have to end."""


@dataclass(frozen=True)
class PodObject:
    """``current``: whether it is of the newest revision; None where that is not known."""

    namespace: str
    name: str
    uid: str
    pod: Pod | None
    """None: without the cluster nothing is known of it."""
    revision: str = ""
    current: bool | None = True
    owner: str = ""
    """The controller that made it, as ``replicaset/NAME``."""
    events: tuple[PodEvent, ...] = ()

    @property
    def known(self) -> FromCluster:
        return FromCluster(self.pod, self.events, missing=()) if self.pod else FromCluster()


@dataclass(frozen=True)
class Sources:
    """What the API server told; ``workload`` None: a selection of pods."""

    workload: Workload | None
    revision: Revision | None = None
    """The newest; None where there is none yet, or it is not known."""
    older: tuple[Revision, ...] = ()
    pods: tuple[PodObject, ...] = ()
    refused: tuple[str, ...] = ()
    """What its controllers could not create, the newest last."""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lists:
    """Everything that was listed in one scope."""

    replica_sets: Sequence[Document] = ()
    controller_revisions: Sequence[Document] = ()
    pods: Sequence[Document] = ()
    events: Sequence[Document] = ()
    missing: tuple[str, ...] = ()
    _events: dict[str, list[Document]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for event in self.events:
            uid = str(_map(event.get("involvedObject")).get("uid", ""))
            self._events.setdefault(uid, []).append(event)

    def events_about(self, uid: str) -> list[Document]:
        return self._events.get(uid, [])

    def owned_by(self, uid: str, documents: Iterable[Document]) -> list[Document]:
        return [found for found in documents if controller_of(found).get("uid") == uid]


def of_workload(workload: Workload, document: Document, lists: Lists) -> Sources:
    """``document`` is the object's JSON."""
    if workload.kind is DEPLOYMENT:
        revisions, newest = _replica_sets(workload, document, lists)
        owners = {revision.uid: revision for revision in revisions}
        found = [
            (pod, owners[uid])
            for pod in lists.pods
            if (uid := str(controller_of(pod).get("uid", ""))) in owners
        ]
    else:
        own = lists.owned_by(workload.uid, lists.pods)
        revisions, newest = _hashes(workload, own, lists)
        by_name = {revision.name: revision for revision in revisions}
        found = [(pod, by_name.get(_hash(pod), Revision(_hash(pod)))) for pod in own]
    pods = tuple(
        pod_object(pod, lists, revision.name, _is_current(workload, revision, newest))
        for pod, revision in found
    )
    about = [workload.uid, *(revision.uid for revision in revisions if revision.uid)]
    return Sources(
        workload,
        newest,
        tuple(revision for revision in revisions if revision != newest),
        pods,
        tuple(_refused((e for uid in about for e in lists.events_about(uid)), workload.changed)),
        lists.missing,
    )


def pod_object(
    document: Document, lists: Lists, revision: str = "", current: bool | None = True
) -> PodObject:
    meta, owner = _map(document.get("metadata")), controller_of(document)
    pod = pod_of(document)
    uids = [str(meta.get("uid", "")), *pod.uids]
    items = [event for uid in dict.fromkeys(uids) for event in lists.events_about(uid)]
    return PodObject(
        str(meta.get("namespace", "")),
        str(meta.get("name", "")),
        str(meta.get("uid", "")),
        pod,
        revision,
        current,
        f"{str(owner['kind']).lower()}/{owner['name']}" if owner else "",
        events_of({"items": items}, pod),
    )


def controller_of(document: Document) -> Document:
    references = _map(document.get("metadata")).get("ownerReferences")
    return next((found for found in maps(references) if found.get("controller")), {})


def _replica_sets(
    workload: Workload, document: Document, lists: Lists
) -> tuple[list[Revision], Revision | None]:
    """A Deployment's ReplicaSets, and the one whose template is the Deployment's.

    Its controller chooses so too: the oldest of those that are the same but for the label with the
    hash (k8s.io/kubernetes pkg/controller/deployment/util FindNewReplicaSet).
    """
    wanted = _map(document.get("spec")).get("template")
    owned = sorted(lists.owned_by(workload.uid, lists.replica_sets), key=_age)
    revisions = [(_replica_set(found), _template(found)) for found in owned]
    newest = next((revision for revision, template in revisions if template == wanted), None)
    return [revision for revision, _ in revisions], newest


def _template(replica_set: Document) -> dict[str, Any]:
    template = dict(_map(_map(replica_set.get("spec")).get("template")))
    meta = dict(_map(template.get("metadata")))
    labels = dict(_map(meta.get("labels")))
    labels.pop(_TEMPLATE_HASH, None)
    return template | {"metadata": meta | {"labels": labels}}


def _replica_set(document: Document) -> Revision:
    meta = _map(document.get("metadata"))
    created = time_of(meta.get("creationTimestamp"))
    uid = str(meta.get("uid", ""))
    grace = _map(_template(document).get("spec")).get("terminationGracePeriodSeconds")
    return Revision(
        str(meta.get("name", "")),
        created,
        uid,
        revision_number(document),
        grace if isinstance(grace, int) else None,
    )


def _hashes(
    workload: Workload, pods: Iterable[Document], lists: Lists
) -> tuple[list[Revision], Revision | None]:
    """The revisions of a StatefulSet or DaemonSet; a Job and a ReplicaSet have one without name."""
    if workload.kind not in (STATEFUL_SET, DAEMON_SET):
        only = Revision("", workload.created)
        return [only], only
    documents = lists.owned_by(workload.uid, lists.controller_revisions)
    documents.sort(key=lambda found: int(found.get("revision") or 0))
    revisions = [
        Revision(
            _hash(found) if workload.kind is DAEMON_SET else str(_map(found["metadata"])["name"]),
            time_of(_map(found.get("metadata")).get("creationTimestamp")),
            number=int(found.get("revision") or 0),
        )
        for found in documents
    ]
    known = {revision.name for revision in revisions}
    revisions[:0] = [Revision(name) for name in sorted({_hash(pod) for pod in pods} - known)]
    if workload.kind is DAEMON_SET:
        newest = revisions[-1] if documents else None
    else:
        newest = next((found for found in revisions if found.name == workload.revision), None)
        newest = newest or (Revision(workload.revision) if workload.revision else None)
    return revisions, newest if workload.observed else None


def _hash(document: Document) -> str:
    return str(_map(_map(document.get("metadata")).get("labels")).get(_HASH, ""))


def _is_current(workload: Workload, revision: Revision, newest: Revision | None) -> bool | None:
    if newest is None:
        # A Deployment's ReplicaSets can be compared; what a controller says is not known yet.
        return False if workload.kind is DEPLOYMENT else None
    return revision.name == newest.name


def _refused(events: Iterable[Document], since: datetime | None) -> Iterator[str]:
    """What was refused ``since`` then, the newest last."""

    def last(event: Document) -> datetime:
        times = (event.get("lastTimestamp"), event.get("eventTime"), event.get("firstTimestamp"))
        return next(filter(None, map(time_of, times)), _NEVER)

    for event in sorted(events, key=last):
        if event.get("reason") in _CREATE and (since is None or last(event) >= since):
            yield " ".join(str(event.get("message", "")).split())


def _age(document: Document) -> tuple[str, str]:
    meta = _map(document.get("metadata"))
    return str(meta.get("creationTimestamp", "")), str(meta.get("name", ""))


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
