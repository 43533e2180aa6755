"""The objects that a command's requests wrote, and which pods belong to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ktrace.following.owners import PodInfo
from ktrace.recording.requests import RecordedRequest


@dataclass(frozen=True)
class WrittenObjects:
    """Objects by uid; pods also by (namespace, name); deleted namespaces by name."""

    uids: frozenset[str] = frozenset()
    pods: frozenset[tuple[str, str]] = frozenset()
    deleted_namespaces: frozenset[str] = frozenset()

    def include(self, pod: PodInfo) -> bool:
        """Whether ``pod`` is one of them, or belongs to one."""
        return (
            bool(self.uids & {pod.uid, *pod.owners})
            or (pod.namespace, pod.name) in self.pods
            or pod.namespace in self.deleted_namespaces
        )


def written_objects(requests: Iterable[RecordedRequest]) -> WrittenObjects:
    """Those of the requests that succeeded."""
    writes = [
        request.info for request in requests if request.info.writes and 200 <= request.status < 300
    ]
    return WrittenObjects(
        frozenset(write.uid for write in writes if write.uid),
        frozenset(
            (write.namespace, write.name)
            for write in writes
            if write.resource.partition("/")[0] == "pods" and write.name
        ),
        frozenset(
            write.name
            for write in writes
            if (write.verb, write.resource) == ("delete", "namespaces")
        ),
    )
