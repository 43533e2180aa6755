"""The ends of the pods that followed from a command, as ``ktrace show --ending`` tells them."""

from __future__ import annotations

from ktrace.api import Api
from ktrace.clock import time
from ktrace.following.followed_pod import FollowedPod
from ktrace.jaeger import Reader
from ktrace.podend import waits
from ktrace.podend.model import PodEnding
from ktrace.podend.search import look_for_ending
from ktrace.podstart import cluster


def read(reader: Reader, api: Api | str, pod: FollowedPod, at: float) -> PodEnding | None:
    """As Jaeger and the cluster have it ``at`` a Unix time in seconds; None if neither does.

    Raises JaegerError.
    """
    known = cluster.read(api, pod.namespace, pod.name)
    with time.at(at):  # the searches and the answer have one time
        ending = look_for_ending(reader, pod.namespace, pod.name, pod.uid, known=known, api=api)
    return waits.until_observed(ending) if ending else None
