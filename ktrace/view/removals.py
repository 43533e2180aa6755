"""What became of a command's deletions and evictions, as lines below their requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ktrace.following.followed_pod import FollowedPod
from ktrace.following.follower import Followed
from ktrace.following.refused_removals import Budget
from ktrace.following.removed import Removed
from ktrace.recording.requests import RecordedRequest
from ktrace.view.terminal import counted

BEFORE = "its deletion was asked for before the command began"
_BY = {"owner": "owners (or the namespace)", "node": "the node"}
"""What links a pod's end with the command, beside the time."""


def links(pods: Sequence[FollowedPod]) -> Iterator[str]:
    """How the ends of pods that the command did not delete itself are linked with it."""
    for cause, told in _BY.items():
        count = sum(pod.end_cause == cause for pod in pods)
        if count:
            yield (
                f"that the command ended {counted(count, 'pod')} is concluded from {told} and "
                "times, not from a span"
            )


def of_request(followed: Followed, request: RecordedRequest) -> Iterator[str]:
    """What the answer does not tell of the objects; nothing of those that are gone for good."""
    if not request.audit_id:
        return
    for refusal in followed.refused:
        if refusal.audit_id == request.audit_id:
            times = f" {refusal.times} times" if refusal.times > 1 else ""
            yield f"refused{times}: {refusal.message or 'the answer does not say why'}"
            yield from map(_budget_line, refusal.budgets)
            if refusal.unread:
                yield f"what the budget wants is not known: {refusal.unread}"
    for one in followed.removed:
        if one.audit_id == request.audit_id:
            yield from _lines_of(one)


def _budget_line(budget: Budget) -> str:
    told = [f"{name} {value}" for name, value in budget.wants.items()]
    if budget.allowed is not None:
        told.append(f"{counted(budget.allowed, 'disruption')} allowed")
    if budget.healthy is not None and budget.expected is not None:
        told.append(f"{budget.healthy} of {counted(budget.expected, 'pod')} healthy")
    if budget.desired is not None:
        told.append(f"{budget.desired} wanted")
    return f"PodDisruptionBudget {budget.name}, read later: {', '.join(told)}"


def _lines_of(one: Removed) -> Iterator[str]:
    what = " ".join((one.resource, "/".join(filter(None, (one.namespace, one.name)))))
    if one.made_again:
        by = f", by field manager {one.made_by}" if one.made_by else ""
        at = f"{one.made_again:%Y-%m-%d %H:%M:%S} UTC"
        yield f"another {what} exists now, made at {at}{by}"
    elif one.state == "unknown":
        yield f"whether {what} is gone is not known: {one.reason}"
    elif one.state == "there":
        yield f"{what} still exists, and is not being deleted"
    elif one.state == "terminating":
        since = f"{one.since:%Y-%m-%d %H:%M:%S} UTC" if one.since else "a time that is not known"
        several = "finalizers" if len(one.finalizers) > 1 else "finalizer"
        held = f": held by {several} {', '.join(one.finalizers)}" if one.finalizers else ""
        yield f"{what} still exists, terminating since {since}{held}"
        if one.used_by:
            yield f"used by {counted(len(one.used_by), 'pod')}: {', '.join(one.used_by)}"
        yield from one.conditions
