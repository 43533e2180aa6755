"""A pod, and what kubelet and containerd did for it since the command began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ktrace.following import resizes
from ktrace.following.pods import Owner, PodInfo
from ktrace.jaeger import Trace
from ktrace.podend.model import PodEnding
from ktrace.podstart import progress
from ktrace.podstart.calls import all_calls, container_names, has_calls
from ktrace.podstart.cluster import FromCluster
from ktrace.podstart.model import PodStart, Waiting
from ktrace.podstart.pod import pod_of

TERMINATION = "syncTerminatingPod"
_NODE = "k8s.node.name"

Outcome = Literal["started", "starting", "changed", "ending", "ended", "waiting", "unread"]
"""``changed``: containers of a pod that ran already were started. ``ending``: it is terminating.
``waiting``: no trace of its own. ``unread``: its start could not be read from Jaeger in time."""

EndCause = Literal["request", "owner", "node", "before"]
"""Why the end of a pod follows from the command. ``request``: one of its own deleted or evicted it.
``owner``, ``node``: it wrote an owner or the node, and the pod ended later, which is no proof.
``before``: it does not, as the pod was being deleted when the command began."""


@dataclass(frozen=True)
class FollowedPod:
    """The one source of what the report says of a pod, as text and as JSON."""

    namespace: str
    name: str
    uid: str
    phase: str
    """As last listed; empty for a pod that never was."""
    traces: tuple[Trace, ...] = field(repr=False)
    start: PodStart | None = field(default=None, repr=False)
    listed_node: str = ""
    cause: str = ""
    """Why it follows from the command, if neither it nor an owner was written."""
    ran_before: bool = False
    """Whether it had begun to run before the command."""
    start_was_read: bool = False
    known: FromCluster = field(default_factory=lambda: FromCluster(missing=()), repr=False)
    """What the cluster told of it when its start was read."""
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The pod object as last listed; empty for a pod that never was."""
    created: datetime | None = None
    """To the second, by the API server's clock; None for a pod that never was listed."""
    settled: bool = False
    """Whether it was last listed as neither starting nor ending."""
    is_new: bool = False
    """Whether it was made after the command began."""
    gone: bool = False
    """Whether it was not there any more when it was last looked for."""
    controller: Owner | None = None
    ending: PodEnding | None = field(default=None, repr=False)
    """As ``ktrace show --ending`` tells it; None until it is read, and without one."""
    end_cause: EndCause | None = None
    """Of a pod that is deleted or gone."""

    @classmethod
    def of(
        cls,
        pod: PodInfo,
        traces: tuple[Trace, ...],
        cause: str,
        *,
        ran_before: bool,
        is_new: bool = False,
        gone: bool = False,
        end_cause: EndCause | None = None,
    ) -> FollowedPod:
        return cls(
            pod.namespace,
            pod.name,
            pod.uid,
            pod.phase,
            traces,
            listed_node=pod.node,
            cause=cause,
            ran_before=ran_before,
            document=pod.document,
            created=pod.created,
            settled=bool(pod.uid) and pod.settled,
            is_new=is_new,
            gone=gone,
            controller=pod.controller,
            end_cause=end_cause,
        )

    @property
    def is_told(self) -> bool:
        """Whether anything is known of it that may follow from the command."""
        began = self.is_new or (self.phase == "Pending" and not self.gone)
        return bool(self.traces or began or self.end_cause or self._unfinished_resize)

    @property
    def services(self) -> list[str]:
        return sorted({service for trace in self.traces for service in trace.counts})

    @property
    def node(self) -> str:
        """As the pod object or else its spans name it; empty if neither does."""
        spans = (span for trace in self.traces for span in trace.spans)
        named = (str(span.process[_NODE]) for span in spans if _NODE in span.process)
        told = self.listed_node or (self.start.node if self.start else "")
        return told or next(named, "")

    @property
    def started(self) -> int:
        """Number of its containers that are known to have started."""
        return self.start.started if self.start else 0

    @property
    def wanted(self) -> int | None:
        """Number of its containers that must start; None if that is not known."""
        return self.start.wanted if self.start else None

    @property
    def complete(self) -> bool | None:
        """Whether every container that must start is known to have; None without a start."""
        return self.start.complete if self.start else None

    @property
    def outcome(self) -> Outcome:
        if self.start:
            return "starting" if self.start.incomplete else "started"
        if self.ending and self.ending.goes_on:
            return "ending"
        if any(map(terminates, self.traces)) or (self.gone and self.end_cause):
            return "ended"
        if self.end_cause:
            return "ending"
        if any(map(has_calls, self.traces)):
            return "changed" if self.start_was_read else "unread"
        return "waiting"

    @property
    def ends(self) -> bool:
        """Whether it is ending, or has ended, by what was listed or by its traces."""
        return self.end_cause is not None or any(map(terminates, self.traces))

    @property
    def waiting(self) -> tuple[Waiting, ...]:
        """What it waits for, or why it has failed, as its start or else the pod object tells; and
        what its kubelet has not done of a resize."""
        return (*self._waits_of_start, *self._unfinished_resize)

    @property
    def _unfinished_resize(self) -> tuple[Waiting, ...]:
        starting = self.start is not None and self.start.incomplete
        return () if starting or self.gone or self.ends else resizes.unfinished(self.document)

    @property
    def _waits_of_start(self) -> tuple[Waiting, ...]:
        if self.start:
            return self.start.waiting
        if self.outcome != "waiting" or self.gone or not self.document:
            return ()
        pod = pod_of(self.document)
        started = [container.name for container in pod.containers if container.started]
        return progress.of_pod(pod, self.known.events, started)

    @property
    def restarted(self) -> tuple[str, ...]:
        """The containers that were started in a pod that ran already, as far as spans name them,
        each with how often it has been restarted in all."""
        calls = all_calls(trace for trace in self.traces if has_calls(trace))
        known = {found.name: found for found in pod_of(self.document).containers}
        names = sorted(set(container_names(calls).values()))
        return tuple(
            f"{name}, {progress.restarted(known[name])} in all"
            if name in known and known[name].restarts
            else name
            for name in names
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """What could not be read of it, with the reasons."""
        return self.start.missing if self.start else self.known.missing

    @property
    def whole(self) -> bool:
        """Whether no span is known to be missing."""
        if self.start:
            return not self.start.incomplete and not self.start.spans_without_parent
        if self.outcome == "waiting":
            return self.ran_before
        return self.outcome == "ending" or (
            self.outcome in ("changed", "ended") and bool(self.traces)
        )

    @property
    def note_of_retry(self) -> str:
        """What a Job may still do after this pod has failed; empty where nothing is known of that.

        It starts another 10 s later and then at longer intervals, which nothing waits for.
        """
        if self.phase != "Failed" or self.controller is None or self.controller.kind != "Job":
            return ""
        return (
            f"pod {self.namespace}/{self.name} has failed, and Job {self.controller.name} may "
            "start another one later than is followed here"
        )

    @property
    def errors(self) -> list[str]:
        """The failures of its start, without repetitions."""
        steps = self.start.steps if self.start else ()
        return list(dict.fromkeys(f"{step.name}: {step.error}" for step in steps if step.error))

    @property
    def duration_ms(self) -> float | None:
        """How long the outcome took; None where no span tells."""
        if self.start:
            return self.start.duration_ms if self.start.length_known else None
        if self.outcome in ("ending", "ended"):
            return self.ending.duration_ms if self.ending else None
        if self.outcome == "changed":
            return sum(_length_ms(trace) or 0.0 for trace in self.traces if has_calls(trace))
        return None

    @property
    def termination_ms(self) -> float | None:
        """From the kubelet's first span of the pod's end to the last; None if it did not end."""
        return _length_ms(*filter(terminates, self.traces))

    @property
    def longest(self) -> Trace | None:
        """The trace with the most spans."""
        return max(self.traces, key=lambda trace: len(trace.spans), default=None)


def terminates(trace: Trace) -> bool:
    return any(span.operation == TERMINATION for span in trace.spans)


def _length_ms(*traces: Trace) -> float | None:
    """From the first span's start to the last span's end."""
    spans = [span for trace in traces for span in trace.spans]
    if not spans:
        return None
    return (max(span.end for span in spans) - min(span.start for span in spans)) / 1000
