"""Whether the probe's pod runs, and if not why: from its state, its Events and its node."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from ktrace.pipeline import probe_pod
from ktrace.pipeline.probe_pod import NAMESPACE, CreatedPod, PodState, ProbeError
from ktrace.text import cleaned
from runtime_observability.host import api_server
from runtime_observability.host.api_server import ApiServer

_POLL_SECONDS = 0.2
_LOOK_SECONDS = 1.0
"""Between two looks at the pod: each is a request whose spans end up in Jaeger, too."""
_UNSCHEDULABLE_SECONDS = 10.0
"""How long the pod may find no node: a taint of a node that becomes ready goes away sooner."""
_OF_IMAGES = (
    "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName",
    "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed",
)  # fmt: skip
"""What a container waits for whose image is not there (pkg/kubelet/images/types.go)."""
_NO_CAUSES = ("BackOff", "FailedScheduling", "MissingClusterDNS", "DNSConfigForming")
"""Reasons of warnings that repeat another one's, are over once the pod has a node, or stop none."""
_NO_CONCLUSION = "Nothing follows from that about the spans' way to Jaeger"
_IMAGE_CURE = "Set probeImage to an image that the nodes can pull"
_SCHEDULER_CURE = (
    "Let a node take it (`kubectl describe nodes` shows taints, capacity and conditions)"
)
_EVENTS_CURE = f"`kubectl -n {NAMESPACE} get events` shows more"
_CURES = {
    "FailedCreatePodSandBox": "See whether the node's network plugin (CNI) is installed and runs",
    "FailedMount": "See which volume a webhook or a policy adds to pods, and why it is missing",
}
"""By an Event's reason."""


class StartWatch:
    """Ends a wait for the trace of a pod that cannot run."""

    def __init__(self, api: ApiServer, pod: CreatedPod) -> None:
        self._api = api
        self._pod = pod
        self._looked_at = 0.0
        self._unschedulable_since: float | None = None
        self._last = PodState("not seen")
        self._ran = False

    def look(self) -> None:
        """ProbeError if the pod is gone or has ended, or had no node for too long."""
        now = time.time()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        state = self.state()
        if not state.unschedulable:
            self._unschedulable_since = None
            return
        if self._unschedulable_since is None:
            self._unschedulable_since = now
        if now - self._unschedulable_since >= _UNSCHEDULABLE_SECONDS:
            raise never_ran(self._api, self._pod, state)

    def state(self) -> PodState:
        """Its state now. ProbeError if it cannot run any more, and was not seen to run."""
        state = probe_pod.state_of(self._api, self._pod)
        self._ran = self._ran or bool(state.ran)
        if self._ran:
            return state
        if state.gone:
            raise _deleted(self._pod, self._last)
        if state.ran is False and state.ended:
            raise never_ran(self._api, self._pod, state)
        self._last = state
        return state


def wait_until_started(api: ApiServer, pod: CreatedPod, seconds: float) -> None:
    """ProbeError when it stays pending: a start that fails leaves a trace too, but proves less."""
    while (state := probe_pod.state_of(api, pod)).ran is False:
        if state.ended:
            raise never_ran(api, pod, state)
        if time.time() > pod.created_at + seconds:
            raise ProbeError(
                f"the trace of pod {pod.key} arrived, but within {seconds:g} s the pod did not "
                f"start: {_why(api, pod, state)}"
            )
        time.sleep(_POLL_SECONDS)


def never_ran(api: ApiServer, pod: CreatedPod, state: PodState) -> ProbeError:
    """Why there can be no trace of the pod's start: no hop has to be broken for that."""
    where = f" on node {state.node}" if state.node else ""
    why = _why(api, pod, state)
    return ProbeError(f"pod {pod.key} did not run{where}: {why}. {_NO_CONCLUSION}")


def why_not(api: ApiServer, pod: CreatedPod, state: PodState) -> str:
    """Why the pod does not run, as far as that is known, without a full stop."""
    if state.gone:
        return state.summary
    why, _ = _cause(api, pod, state)
    return why.rstrip(".")


def _deleted(pod: CreatedPod, last: PodState) -> ProbeError:
    return ProbeError(
        f"pod {pod.key} was deleted before it was seen to run, by an eviction, a preemption or "
        f"another client; seen last: {last.summary}. {_EVENTS_CURE}. {_NO_CONCLUSION}"
    )


def _why(api: ApiServer, pod: CreatedPod, state: PodState) -> str:
    """Why the pod does not run, and the cure, as two sentences without the last full stop."""
    why, cure = _cause(api, pod, state)
    return f"{why.rstrip('.')}. {cure}"


def _cause(api: ApiServer, pod: CreatedPod, state: PodState) -> tuple[str, str]:
    """The first of these that is known, and its cure."""
    if state.unschedulable:
        return f"it is unschedulable: {state.unschedulable}", _SCHEDULER_CURE
    if not (state.node or state.ended or state.waits_for):
        return (
            f"{state.summary}, and no scheduler has looked at it",
            "See whether the cluster's scheduler runs",
        )
    if not state.ended and (problem := _problem_of_node(api, state.node)):
        return (
            f"{state.summary}; {problem}",
            f"`kubectl describe node {state.node}` shows its conditions",
        )
    of_image = state.waits_for in _OF_IMAGES
    reason, message = _last_warning(api, pod)
    told = f"{reason}: {message}" if reason else ""
    why = f"{state.summary}; {told}" if told and told not in state.summary else state.summary
    return why, _IMAGE_CURE if of_image else _CURES.get(reason, _EVENTS_CURE)


def _problem_of_node(api: ApiServer, name: str) -> str:
    """Why the kubelet of the node starts no pods; empty if it is Ready, or cannot be read."""
    for condition in _items(api, f"/api/v1/nodes/{quote(name)}", "status", "conditions"):
        if condition.get("type") == "Ready" and condition.get("status") != "True":
            reasons = (str(condition.get(key) or "") for key in ("reason", "message"))
            return f"node {name} is not Ready: {': '.join(filter(None, reasons))}"
    return ""


def _last_warning(api: ApiServer, pod: CreatedPod) -> tuple[str, str]:
    """Reason and message of the newest Event that says what failed; empty if none is known."""
    query = f"fieldSelector=involvedObject.name%3D{quote(pod.name)}"
    events = _items(api, f"/api/v1/namespaces/{NAMESPACE}/events?{query}", "items")
    told = [
        (_time(event), str(event.get("reason") or ""), str(event.get("message") or ""))
        for event in events
        if event.get("type") == "Warning"
    ]
    causes = [
        (reason, message)
        for _, reason, message in sorted(told)
        # The kubelet tells "Error: ErrImagePull" after the error itself.
        if reason not in _NO_CAUSES and not message.startswith("Error: ")
    ]
    return causes[-1] if causes else ("", "")


def _time(event: dict[str, Any]) -> str:
    """As RFC 3339 in UTC, which sorts as text."""
    keys = ("lastTimestamp", "eventTime", "firstTimestamp")
    return next((str(event[key]) for key in keys if event.get(key)), "")


def _items(api: ApiServer, path: str, *keys: str) -> list[dict[str, Any]]:
    """The objects below ``keys`` of the document at ``path``; none where it cannot be read."""
    try:
        found: Any = cleaned(api.get(path))
        for key in keys:
            found = found[key]
    except (*api_server.FAILURES, LookupError, TypeError):
        return []
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
