"""The cluster's pods and their owners."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ktrace.following import pods
from ktrace.following.cluster_api import ClusterApi, ReadError
from ktrace.following.pods import Owner, PodInfo
from ktrace.following.refusals import REASON, Refusal, refusals
from ktrace.podstart import progress
from ktrace.podstart.pod import deletion_requested
from ktrace.recording import kubeconfig as kubeconfig_file

_POLL_SECONDS = 0.7
_WHOLE_CLUSTER = ""
_MAKES_NO_REPLACEMENT = ("CronJob", "Node")
"""Controllers whose later pods are not there because an earlier one is gone."""


class PodOwners:
    """Lists pods and reads their owners, and remembers both after they are deleted.

    A user who may not list the pods of all namespaces gets those of the kubeconfig's namespace,
    and of the ones that ``look_into`` adds.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.api = ClusterApi(kubeconfig)
        self._default_namespace = kubeconfig_file.namespace(kubeconfig)
        self._wanted: set[str] = set()
        self._refused = ""
        """Why the pods of all namespaces cannot be listed; empty if they can."""
        self._parents: dict[str, tuple[Owner, ...]] = {}
        """Owners of owners, by the owner's uid."""
        self._failed: set[str] = set()
        """uids of owners that the current refresh could not read."""
        self._is_silent = False
        """Whether the API server gave no answer at all in the current refresh."""
        self._unread: dict[str, str] = {}
        """Why an owner could not be read, by its uid."""
        self._existing: dict[str, set[str]] = {}
        """uids of the pods that were last listed, by namespace."""
        self._initial: dict[str, PodInfo] | None = None
        """Pods of the first list, by uid."""
        self.pods: dict[str, PodInfo] = {}
        """Every pod that was ever listed, by uid."""
        self.problem = ""
        """Why the last refresh failed; empty after one that succeeded."""

    def look_into(self, namespaces: Iterable[str]) -> None:
        """Namespaces that have to be listed one by one if the whole cluster cannot be."""
        self._wanted.update(filter(None, namespaces))

    def refresh(self) -> None:
        """Lists the pods; what is known stays if the API server does not answer."""
        self._failed.clear()
        self._is_silent = False
        if not self._refused:
            try:
                self._take(_WHOLE_CLUSTER, self.api.get("/api/v1/pods"))
            except ReadError as error:
                self.problem = f"the cluster's pods cannot be listed: {error}"
                if error.status != HTTPStatus.FORBIDDEN or self._initial is not None:
                    return  # it may work again
                self._refused = self.problem
            else:
                self.problem = ""
                return
        self._refresh_namespaces()

    @property
    def namespaces(self) -> list[str] | None:
        """Those whose pods were listed; None for all."""
        return sorted(self._existing) if self._refused else None

    @contextmanager
    def refreshing(self, namespaces: Callable[[], Collection[str]] = list) -> Iterator[None]:
        """Refreshes within the context, so that a pod which exists only meanwhile is listed.

        ``namespaces`` returns those to look into.
        """
        ended = threading.Event()

        def refresh_until_ended() -> None:
            while not ended.wait(_POLL_SECONDS):
                self.look_into(namespaces())
                self.refresh()

        thread = threading.Thread(target=refresh_until_ended, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def exists(self, pod: PodInfo) -> bool:
        """Whether the last refresh listed it."""
        return any(pod.uid in listed for listed in self._existing.values())

    def is_new(self, pod: PodInfo) -> bool:
        """Whether it was made after the first refresh.

        In a namespace that was listed later, its creation is compared with the API server's clock.
        """
        if pod.uid in (self._initial or ()):
            return False
        begin = self.api.first_answer
        return not (pod.created and begin and pod.created < begin)

    def ran_before(self, pod: PodInfo) -> bool:
        """Whether it had begun to run before the first refresh."""
        first = (self._initial or {}).get(pod.uid)
        return not self.is_new(pod) and (first is None or first.phase != "Pending")

    def was_ending(self, pod: PodInfo) -> bool:
        """Whether its deletion had been requested before the first refresh, to the second."""
        first = (self._initial or {}).get(pod.uid)
        if first is not None:
            return first.deleted
        asked = progress.at(deletion_requested(pod.document.get("metadata") or {}))
        begin = self.api.first_answer
        return bool(asked and begin and asked < begin)

    def unread_owner(self, pod: PodInfo) -> str:
        """Why not all of its owners are known; empty if they are."""
        return next((self._unread[uid] for uid in pod.owners if uid in self._unread), "")

    def refusals(self) -> list[tuple[Refusal, tuple[str, ...]]]:
        """What controllers could not create since the first refresh, and their and their owners'
        uids.

        Raises ReadError if the Events cannot be read.
        """
        found: list[Refusal] = []
        for namespace in self.namespaces or [_WHOLE_CLUSTER]:
            place = f"/namespaces/{namespace}" if namespace else ""
            listed = self.api.get(f"/api/v1{place}/events?fieldSelector=reason%3D{REASON}")
            try:
                found += refusals(listed, self.api.first_answer)
            except (LookupError, TypeError, AttributeError, ValueError):
                raise ReadError("the answer is not a list of Events", HTTPStatus.OK) from None
        return [(one, self._all_owners(one.namespace, [one.controller])) for one in found]

    def below(self, uids: Collection[str]) -> list[str]:
        """The paths of all owners of pods that are one of ``uids`` or belong to one.

        Raises ReadError if one is not known; what has no kind any more has no path.
        """
        found: dict[str, str] = {}
        for pod in self.pods.values():
            unvisited = list(pods.owners_of(pod.document))
            while unvisited:
                owner = unvisited.pop()
                if owner.uid in found:
                    continue
                found[owner.uid] = ""
                parents = self._parents.get(owner.uid, ())
                unvisited += parents
                if set(uids) & {owner.uid, *self._all_owners(pod.namespace, parents)}:
                    found[owner.uid] = self._path(pod.namespace, owner)
        return list(filter(None, found.values()))

    def _path(self, namespace: str, owner: Owner) -> str:
        try:
            return self.api.path_of(owner.api_version, owner.kind, namespace, owner.name)
        except ReadError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return ""

    def replacing(self, removed: Collection[str]) -> dict[str, str]:
        """By the uid of each controller of an object in ``removed``: the reason for its new pods.

        Whoever deletes or evicts a pod of a controller causes another one.
        """
        lost: dict[Owner, list[str]] = {}
        for uid in sorted(removed):
            pod = self.pods.get(uid)
            owner = pod.controller if pod else pods.controller(self._parents.get(uid, ()))
            if owner and owner.kind not in _MAKES_NO_REPLACEMENT:
                lost.setdefault(owner, []).append(pod.name if pod else "")
        return {owner.uid: _reason(owner, names) for owner, names in lost.items()}

    def _refresh_namespaces(self) -> None:
        errors: dict[str, ReadError] = {}
        tried = sorted({self._default_namespace, *self._wanted})
        for namespace in tried:
            try:
                self._take(namespace, self.api.get(f"/api/v1/namespaces/{namespace}/pods"))
            except ReadError as error:
                errors[namespace] = error
        needed = [namespace for namespace in errors if namespace in self._wanted]
        if needed:
            self.problem = (
                f"the pods of namespace {needed[0]} cannot be listed: {errors[needed[0]]}"
            )
        else:
            self.problem = "" if len(errors) < len(tried) else self._refused

    def _take(self, namespace: str, listed: dict[str, Any]) -> None:
        """ReadError if ``listed`` is not a list of pods."""
        try:
            found = {}
            for pod in listed.get("items") or []:
                owners = self._all_owners(pod["metadata"]["namespace"], pods.owners_of(pod))
                found[pod["metadata"]["uid"]] = pods.pod_info(pod, owners)
        except (LookupError, TypeError, AttributeError):
            raise ReadError("the answer is not a list of pods", HTTPStatus.OK) from None
        self.pods |= found
        self._existing[namespace] = set(found)
        if self._initial is None:
            self._initial = found

    def _all_owners(self, namespace: str, direct: Iterable[Owner]) -> tuple[str, ...]:
        """uids of ``direct``, of their owners, and so on."""
        found: dict[str, None] = {}
        unvisited = list(direct)
        while unvisited:
            owner = unvisited.pop(0)
            if owner.uid not in found:
                found[owner.uid] = None
                unvisited += self._parents_of(namespace, owner)
        return tuple(found)

    def _parents_of(self, namespace: str, owner: Owner) -> tuple[Owner, ...]:
        """A ReplicaSet's Deployment, a Job's CronJob, an operator's kinds.

        What could not be read is read again with the next refresh.
        """
        if owner.uid in self._parents:
            return self._parents[owner.uid]
        if self._is_silent or owner.uid in self._failed:
            return ()
        try:
            path = self.api.path_of(owner.api_version, owner.kind, namespace, owner.name)
            document = self.api.get(path)
        except ReadError as error:
            self._failed.add(owner.uid)
            self._is_silent = not error.status
            if error.status == HTTPStatus.NOT_FOUND:  # it is gone
                self._unread.pop(owner.uid, None)
            else:
                self._unread[owner.uid] = f"{owner} cannot be read: {error}"
            return ()
        self._unread.pop(owner.uid, None)
        if (document.get("metadata") or {}).get("uid") != owner.uid:
            self._failed.add(owner.uid)  # another object has its name now
            return ()
        self._parents[owner.uid] = pods.owners_of(document)
        return self._parents[owner.uid]


def _reason(owner: Owner, lost: list[str]) -> str:
    names = [name for name in lost if name]
    if not names:
        return f"new pod of {owner}, of which an object was removed"
    which = f"pod {names[0]} was" if len(names) == 1 else f"pods {', '.join(names)} were"
    return f"new pod of {owner}, of which {which} removed"
