"""What is told of one pod that followed from a command."""

from __future__ import annotations

import pytest

from ktrace.following.followed_pod import FollowedPod
from ktrace.following.pods import Owner, PodInfo


@pytest.mark.parametrize(
    ("phase", "controller", "told"),
    [
        ("Failed", Owner("Job", "migrate", "u-1", is_controller=True), True),
        ("Succeeded", Owner("Job", "migrate", "u-1", is_controller=True), False),
        ("Running", Owner("Job", "migrate", "u-1", is_controller=True), False),
        ("Failed", Owner("ReplicaSet", "web-1", "u-2", is_controller=True), False),
        ("Failed", None, False),
    ],
)
def test_what_a_job_may_do_later_is_told(phase: str, controller: Owner | None, told: bool) -> None:
    listed = PodInfo("shop", "migrate-x", "u-p", phase, controller=controller)
    pod = FollowedPod.of(listed, (), "", ran_before=False)
    expected = (
        "pod shop/migrate-x has failed, and Job migrate may start another one later than is "
        "followed here"
    )
    assert pod.note_of_retry == (expected if told else "")


def test_what_has_no_trace_yet_is_not_whole() -> None:
    pod = FollowedPod.of(PodInfo("shop", "web-0", "u-p", "Pending"), (), "", ran_before=False)
    assert (pod.outcome, pod.whole) == ("waiting", False)
