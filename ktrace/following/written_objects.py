"""The objects that a command's requests wrote, and which pods belong to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ktrace.following.pods import PodInfo
from ktrace.recording.requests import RecordedRequest, RequestInfo

_NODES = ("nodes", "nodes/status")


@dataclass(frozen=True)
class WrittenObjects:
    """Objects by uid; pods also by (namespace, name); deleted namespaces by name."""

    uids: frozenset[str] = frozenset()
    pods: frozenset[tuple[str, str]] = frozenset()
    deleted_namespaces: frozenset[str] = frozenset()
    removed_uids: frozenset[str] = frozenset()
    """Of ``uids``, the objects that were deleted."""
    removed_pods: frozenset[tuple[str, str]] = frozenset()
    """Of ``pods``, those that were deleted or evicted."""
    namespaces: frozenset[str] = frozenset()
    """Namespaces of all of them."""
    nodes: frozenset[str] = frozenset()
    """By name."""

    def include(self, pod: PodInfo) -> bool:
        """Whether ``pod`` is one of them, or belongs to one."""
        return (
            bool(self.uids & {pod.uid, *pod.owners})
            or (pod.namespace, pod.name) in self.pods
            or pod.namespace in self.deleted_namespaces
        )

    def removed(self, known: Iterable[PodInfo]) -> set[str]:
        """uids of what was removed, those of pods of which only the name is known too."""
        by_name = {pod.uid for pod in known if (pod.namespace, pod.name) in self.removed_pods}
        return by_name | self.removed_uids


def written_objects(requests: Iterable[RecordedRequest]) -> WrittenObjects:
    """Those of the requests that succeeded."""
    writes = [request for request in requests if request.info.writes and request.succeeded]
    removals = [write for write in writes if write.info.removes]
    return WrittenObjects(
        frozenset(_uids(writes)),
        frozenset(_pods(writes)),
        frozenset(
            write.info.name
            for write in writes
            if (write.info.verb, write.info.resource) == ("delete", "namespaces")
        ),
        frozenset(_uids(removals)),
        frozenset(_pods(removals)),
        frozenset(_namespaces(write.info for write in writes)),
        frozenset(write.info.name for write in writes if write.info.full_resource in _NODES),
    )


def _uids(writes: Iterable[RecordedRequest]) -> Iterator[str]:
    for write in writes:
        yield from filter(None, (write.info.uid, *(item.uid for item in write.collection)))


def _pods(writes: Iterable[RecordedRequest]) -> Iterator[tuple[str, str]]:
    for write in writes:
        if write.info.resource.partition("/")[0] == "pods" and not write.info.group:
            names = (write.info.name, *(item.name for item in write.collection))
            yield from ((write.info.namespace, name) for name in names if name)


def _namespaces(writes: Iterable[RequestInfo]) -> Iterator[str]:
    for write in writes:
        yield write.namespace or (write.name if write.resource == "namespaces" else "")
