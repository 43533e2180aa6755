"""What followed from a command: the traces of its requests, and the pods of what it wrote."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ktrace.api import Api
from ktrace.components import APISERVER, KUBELET
from ktrace.following import pod_ends, touched
from ktrace.following.cluster_api import ReadError
from ktrace.following.followed_pod import EndCause, FollowedPod, terminates
from ktrace.following.owners import PodOwners
from ktrace.following.pods import PodInfo
from ktrace.following.refusals import REASON, Refusal
from ktrace.following.refused_removals import RefusedRemoval, refused
from ktrace.following.removed import Removed, RemovedObjects
from ktrace.following.written_objects import written_objects
from ktrace.jaeger import Jaeger, JaegerError, MixedStacksError, Reader, Trace, origin
from ktrace.podstart import cluster
from ktrace.podstart.calls import has_calls
from ktrace.podstart.cluster import NEVER_LISTED, FromCluster
from ktrace.podstart.in_progress import until_observed
from ktrace.podstart.model import PodStart
from ktrace.podstart.pod import pod_of
from ktrace.podstart.search import look_for_start
from ktrace.recording.requests import RecordedRequest

_POLL_SECONDS = 0.7
_QUIET_SECONDS = 2.5
"""Longer than an exporter's delay, and than a controller takes to react."""
_READ_SECONDS = 2.0
"""After the time to follow, for what has not been read from Jaeger yet."""
_END_SECONDS = 0.1
"""More of that for each pod that ends: an end takes several searches."""
_SKEW = 60 * 1_000_000
"""How far a node's clock may be off, in microseconds."""
_MOST_TRACES = 5_000
"""Of one pod."""
T = TypeVar("T")


@dataclass(frozen=True)
class Followed:
    """``traces`` of requests by Audit-Id; ``quiet``: nothing was changing any more at the end."""

    pods: list[FollowedPod]
    traces: dict[str, Trace]
    quiet: bool
    refusals: tuple[Refusal, ...] = ()
    """Of controllers that were written, or that belong to what was."""
    removed: tuple[Removed, ...] = ()
    refused: tuple[RefusedRemoval, ...] = ()


class Follower:
    """Follows what ``requests`` caused since ``since``, a Unix time in seconds.

    With ``runtime_traced`` a start is not whole before it has spans of the node's runtime.
    """

    def __init__(
        self,
        jaeger: Jaeger,
        owners: PodOwners,
        requests: Sequence[RecordedRequest],
        since: float,
        *,
        runtime_traced: bool = False,
    ) -> None:
        self._jaeger = jaeger
        self._runtime_traced = runtime_traced
        self._reader = Reader(jaeger)
        self._limits: dict[str, str] = {}
        self._owners = owners
        self._since = int(since * 1_000_000)
        writes_first = sorted(requests, key=lambda request: not request.info.writes)
        self._audit_ids = [request.audit_id for request in writes_first if request.audit_id]
        self._requests = tuple(requests)
        self._written = written_objects(requests)
        owners.look_into(self._written.namespaces)
        self._removed = RemovedObjects(owners.api, requests)
        self._refused: tuple[RefusedRemoval, ...] = ()
        self._traces: dict[str, Trace] = {}
        self._pods: dict[str, FollowedPod] = {}
        self._quiet = False
        self._refusals: tuple[Refusal, ...] = ()
        self.interrupted = False
        """Whether Ctrl-C has ended the following."""

    @property
    def problem(self) -> str:
        """Why pods may be missing; empty if none is."""
        unknown = [
            (pod, reason)
            for pod in self._owners.pods.values()
            if self._written.uids
            and self._owners.is_new(pod)
            and not self._written.include(pod)
            and (reason := self._owners.unread_owner(pod))
        ]
        if not unknown:
            return ""
        pod, reason = unknown[0]
        more = f" and of {len(unknown) - 1} more" if len(unknown) > 1 else ""
        return f"the owners of new pod {pod.namespace}/{pod.name}{more} are not known: {reason}"

    @property
    def limits(self) -> tuple[str, ...]:
        """What was too much to read from Jaeger, in words."""
        return tuple(self._limits.values())

    @property
    def followed(self) -> Followed:
        """As far as it is known; also while ``follow`` runs or after it was interrupted."""
        pods = sorted(self._pods.values(), key=lambda pod: (pod.namespace, pod.name))
        return Followed(
            pods, self._traces, self._quiet, self._refusals, self._removed.found, self._refused
        )

    def follow(self, seconds: float) -> None:
        """Until nothing changes for ``_QUIET_SECONDS`` and no pod is starting or ending.

        At most for ``seconds``, or until Ctrl-C, and ``_READ_SECONDS`` more to read what has
        happened by then, or longer where many pods end. What fails is repeated in that time;
        JaegerError or MixedStacksError if the last time failed.
        """
        deadline = time.monotonic() + seconds
        try:
            failure = self._follow(deadline)
        except KeyboardInterrupt:
            failure, deadline = None, time.monotonic()
            self.interrupted = True
        self._refusals = self._read_refusals()
        pods = tuple(self._owners.pods.values())
        self._refused = refused(self._requests, pods, self._owners.api.get)
        self._removed.look_again(_before(deadline + _READ_SECONDS, self._removed.gone))
        if failure:
            raise failure
        self._read_whole(deadline + _READ_SECONDS)

    def read_again(self, seconds: float) -> None:
        """What has arrived in Jaeger since, for ``seconds`` at most.

        Raises JaegerError or MixedStacksError.
        """
        deadline = time.monotonic() + seconds
        self._reader.forget()
        self._update(deadline)
        self._read_requests(self._audit_ids, deadline)
        self._read_whole(deadline)

    @property
    def touched(self) -> frozenset[str]:
        """The objects that were written, and those that followed from them. Raises ReadError."""
        owners = self._owners.below(self._written.uids)
        return touched.objects(self._requests, self._pods.values(), owners)

    def _read_whole(self, read_deadline: float) -> None:
        self._add_starts(read_deadline)
        self._add_endings(read_deadline)
        # A trace was read once, when its first spans had arrived.
        grown = [key for key, trace in self._traces.items() if trace.spans_without_parent]
        self._read_requests(grown, read_deadline)

    def _follow(self, deadline: float) -> JaegerError | MixedStacksError | None:
        """Returns how the last update failed."""
        before, unchanged_since = (True, self._progress()), time.monotonic()
        quiet_seconds = _QUIET_SECONDS + self._jaeger.store.late
        while True:
            failure: JaegerError | MixedStacksError | None = None
            try:
                settled = self._update(deadline + _READ_SECONDS)
            except (JaegerError, MixedStacksError) as error:
                settled, failure = False, error
            # What made it settled has its spans later: they have the time of any other change.
            if (now := (settled, self._progress())) != before:
                before, unchanged_since = now, time.monotonic()
            self._quiet = settled and time.monotonic() - unchanged_since >= quiet_seconds
            if self._quiet or time.monotonic() >= deadline:
                return failure
            time.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))

    def _read_refusals(self) -> tuple[Refusal, ...]:
        if not self._written.uids:
            return ()
        caused = self._written.uids | set(self._owners.replacing(self._lost()))
        try:
            found = self._owners.refusals()
        except ReadError as error:
            self._limits[REASON] = (
                f"whether a controller could create its pods is not known: {error}"
            )
            return ()
        return tuple(refusal for refusal, uids in found if not caused.isdisjoint(uids))

    def _progress(self) -> object:
        """Differs after an update that found anything new."""
        pods = {
            key: (pod.phase, sum(len(trace.spans) for trace in pod.traces))
            for key, pod in self._pods.items()
        }
        return pods, len(self._traces), self._removed.found

    def _update(self, deadline: float) -> bool:
        """Returns whether every pod that exists is settled."""
        self._owners.refresh()
        self._choose_stack(deadline)
        candidates = self._candidates()
        for pod, cause in _before(deadline, candidates):
            key = pod.uid or f"{pod.namespace}/{pod.name}"
            followed = FollowedPod.of(
                pod,
                self._traces_of(pod),
                cause,
                ran_before=self._owners.ran_before(pod),
                is_new=self._owners.is_new(pod),
                gone=not self._owners.exists(pod),
                end_cause=self._end_cause(pod),
            )
            if followed.is_told:
                self._pods[key] = followed
            else:
                self._pods.pop(key, None)
        missing = [audit_id for audit_id in self._audit_ids if audit_id not in self._traces]
        self._read_requests(missing, deadline)
        present = [pod for pod in self._owners.pods.values() if self._owners.exists(pod)]
        self._removed.look(_before(deadline, self._removed.left), present)
        settled = all(pod.settled for pod, _ in candidates if self._owners.exists(pod))
        return settled and self._removed.settled

    def _made_again(self, pod: PodInfo) -> str:
        """What a new object of a static pod is there for, if the command removed the old one."""
        removed = (pod.namespace, pod.name) in self._written.removed_pods
        if removed and self._owners.is_new(pod) and pod_of(pod.document).mirror:
            return "it is static: its kubelet made its object again, and the pod goes on"
        return ""

    def _lost(self) -> set[str]:
        """uids of what the command removed, and of the pods that a node which it wrote loses."""
        known = self._owners.pods.values()
        return self._written.removed(known) | {
            pod.uid for pod in known if self._leaves_its_node(pod)
        }

    def _leaves_its_node(self, pod: PodInfo) -> bool:
        return pod.node in self._written.nodes and pod.ended_with_node

    def _end_cause(self, pod: PodInfo) -> EndCause | None:
        if not pod.uid or not (pod.deleted or not self._owners.exists(pod)):
            return None
        if pod_of(pod.document).mirror:
            return None  # the pod goes on: a request ends its object alone
        if self._owners.was_ending(pod):
            return "before"
        if pod.uid in self._written.removed([pod]):
            return "request"
        return "owner" if self._written.include(pod) or self._owners.is_new(pod) else "node"

    def _choose_stack(self, deadline: float) -> None:
        """In a Jaeger of many stacks another one's pods may have the names of these.

        An Audit-Id is of one request alone, so its spans tell which stack is meant.
        """
        if not self._jaeger.shared or self._jaeger.stack or self._traces:
            return
        self._read_requests(self._audit_ids, deadline)
        for audit_id, trace in self._traces.items():
            for span in trace.spans:
                if span.service == APISERVER and span.tags.get("audit-id") == audit_id:
                    self._jaeger.narrow(origin.of(span))

    def _read_requests(self, audit_ids: Iterable[str], deadline: float) -> None:
        """A trace that holds several of the requests is read once."""
        unread = dict.fromkeys(audit_ids)
        for audit_id in _before(deadline, list(unread)):
            if audit_id not in unread:
                continue
            traces_of_request = self._jaeger.find(
                APISERVER, tags={"audit-id": audit_id}, start=self._since - 1_000_000, limit=1
            )
            if traces_of_request:
                found = traces_of_request[0]
                spans = (span for span in found.spans if span.service == APISERVER)
                others = unread.keys() & {span.tags.get("audit-id") for span in spans}
                for held in others | {audit_id}:
                    self._traces[held] = found
                    del unread[held]

    def _candidates(self) -> list[tuple[PodInfo, str]]:
        """Pods, each with the reason if it is not that its object or an owner was written.

        These are pods of the written objects, pods that replace one that was removed, pods that
        a written node has to lose, and pods that were never listed but written by name.
        """
        replacing = self._owners.replacing(self._lost())
        found = []
        for pod in self._owners.pods.values():
            if self._written.include(pod):
                found.append((pod, self._made_again(pod)))
            elif self._owners.is_new(pod):
                reasons = [replacing[uid] for uid in pod.owners if uid in replacing]
                found += [(pod, reason) for reason in reasons[:1]]
            elif self._leaves_its_node(pod):
                found.append((pod, f"it was on node {pod.node}, which the command wrote"))
        names = {(pod.namespace, pod.name) for pod, _ in found}
        unlisted = sorted(self._written.pods - names)
        return found + [(PodInfo(namespace, name), "") for namespace, name in unlisted]

    def _traces_of(self, pod: PodInfo) -> tuple[Trace, ...]:
        """Without those in which the kubelet only checked the pod.

        The node's clock may be behind: a pod that was made, or ended, since the command began did
        not do so before, whatever its spans say.
        """
        is_new = bool(pod.uid) and self._owners.is_new(pod)
        ends = is_new or self._end_cause(pod) is not None
        name = f"{pod.namespace}/{pod.name}"
        found, whole = self._reader.find_all(
            KUBELET,
            tags={"k8s.pod": name},
            start=max(0, self._since - _SKEW) if ends else self._since,
            end=int(time.time() * 1_000_000) + _SKEW,
            most=_MOST_TRACES,
        )
        if not whole:
            told = f"only the newest {len(found):,} of the kubelet's traces of pod {name} were read"
            self._limits[name] = told
        return tuple(
            trace
            for trace in found
            if _is_of(trace, pod)
            and ((has_calls(trace) and (is_new or self._is_since(trace))) or terminates(trace))
        )

    def _is_since(self, trace: Trace) -> bool:
        return any(span.start >= self._since for span in trace.spans if span.service == KUBELET)

    def _add_starts(self, deadline: float) -> None:
        """A start from before the command is not what it caused."""
        with cluster.connected(self._owners.kubeconfig) as api:
            for key, pod in _before(deadline, list(self._pods.items())):
                known = self._known(api, pod)
                read = replace(pod, known=known)
                if any(map(has_calls, pod.traces)):
                    start = self._start(pod, known)
                    read = replace(read, start=start, start_was_read=True)
                self._pods[key] = read

    def _start(self, pod: FollowedPod, known: FromCluster) -> PodStart | None:
        start = look_for_start(
            self._reader,
            pod.namespace,
            pod.name,
            pod.uid or None,
            known=known,
            runtime_traced=self._runtime_traced,
        )
        if start and pod.ran_before:
            began = start.started_at.timestamp() * 1_000_000
            start = start if began >= self._since else None
        return until_observed(start) if start else None

    def _add_endings(self, deadline: float) -> None:
        ends = [(key, pod) for key, pod in self._pods.items() if pod.ends]
        if not ends:
            return
        deadline += _END_SECONDS * len(ends)
        with cluster.connected(self._owners.kubeconfig) as api:
            for key, pod in _before(deadline, ends):
                ending = pod_ends.read(self._reader, api, pod, time.time())
                self._pods[key] = replace(pod, ending=ending)

    def _known(self, api: Api | str, pod: FollowedPod) -> FromCluster:
        """The pod object as it was last listed."""
        listed = self._owners.pods.get(pod.uid)
        if listed is None:
            return NEVER_LISTED
        return cluster.of_listed(api, pod.namespace, pod.name, pod_of(listed.document))


def _before(deadline: float, items: Iterable[T]) -> Iterator[T]:
    """As many of ``items`` as are reached before ``deadline``."""
    return itertools.takewhile(lambda _: time.monotonic() < deadline, items)


def _is_of(trace: Trace, pod: PodInfo) -> bool:
    """Not of another pod that had the same name."""
    uids = {span.tags["k8s.pod.uid"] for span in trace.spans if "k8s.pod.uid" in span.tags}
    return not uids or not pod.uid or pod.uid in uids
