"""The objects that a command touched, as the paths of requests name them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ktrace.activity.requests import NOT_KNOWN, object_at
from ktrace.following.followed_pod import FollowedPod
from ktrace.recording.requests import RecordedRequest


def objects(
    requests: Iterable[RecordedRequest], pods: Iterable[FollowedPod], owners: Iterable[str]
) -> frozenset[str]:
    """``RESOURCE.GROUP/NAMESPACE/NAME`` of what the requests wrote, and of what followed from it.

    That is the pods, and the owners between them and what was written; ``owners`` are their paths.
    """
    written = (name for request in requests for name in _written(request))
    followed = (f"pods/{pod.namespace}/{pod.name}" for pod in pods)
    between = filter(lambda name: name != NOT_KNOWN, map(object_at, owners))
    return frozenset((*written, *followed, *between))


def _written(request: RecordedRequest) -> Iterator[str]:
    info = request.info
    if not info.writes or not request.succeeded:
        return
    if info.object:
        yield info.object
    base = info.full_resource.partition("/")[0]
    for item in request.collection:
        if item.name:
            yield "/".join(filter(None, (base, info.namespace, item.name)))
