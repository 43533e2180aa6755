"""What is kept of the API server's answers: the fields that ktrace reads, and nothing else. Pure.

Environments, arguments, commands, volumes, most annotations and the data of any object are never
among them. Of a pod's template only whether it is the same as another's is kept, as a digest with a
key that is forgotten: nobody can try secrets against it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

_WORD = "word"
"""A text, a number, true or false; anything deeper is left out."""
_NAMES = "names"
"""Of a map the names of its members, and those that are numbers; not what they hold."""
_SOME = "some"
"""Whether there is anything: an empty member stands for it."""
_DIGEST = "digest"
"""Whether it is the same as another one."""

_HASH = "pod-template-hash"

Shape = Mapping[str, Any] | str

_OWNERS = dict.fromkeys(("apiVersion", "kind", "name", "uid", "controller"), _WORD)
_ANNOTATIONS = dict.fromkeys(
    (
        "kubernetes.io/config.hash",
        "kubernetes.io/config.mirror",
        "deployment.kubernetes.io/revision",
    ),
    _WORD,
)
_LABELS = dict.fromkeys(
    (
        _HASH,
        "controller-revision-hash",
        "pod-template-generation",
        "job-name",
        "batch.kubernetes.io/job-name",
        "batch.kubernetes.io/controller-uid",
        "node-role.kubernetes.io/control-plane",
        "kubernetes.io/hostname",
    ),
    _WORD,
)
_META: dict[str, Any] = {
    **dict.fromkeys(
        (
            "name",
            "namespace",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        ),
        _WORD,
    ),
    "finalizers": _WORD,
    "ownerReferences": _OWNERS,
    "annotations": _ANNOTATIONS,
    "labels": _LABELS,
    "managedFields": {
        **dict.fromkeys(("manager", "operation", "subresource", "time"), _WORD),
        "fieldsV1": {"f:spec": {}, "f:status": {}},
    },
}
_CONDITION = dict.fromkeys(
    ("type", "status", "reason", "message", "lastTransitionTime", "lastUpdateTime"), _WORD
)
_STATE = {
    "running": {"startedAt": _WORD},
    "waiting": dict.fromkeys(("reason", "message"), _WORD),
    "terminated": dict.fromkeys(
        ("reason", "message", "exitCode", "signal", "startedAt", "finishedAt", "containerID"), _WORD
    ),
}
_CONTAINER = {
    **dict.fromkeys(("name", "image", "restartPolicy", "imagePullPolicy"), _WORD),
    "lifecycle": {"postStart": _NAMES, "preStop": _NAMES},
    "startupProbe": _NAMES,
    "readinessProbe": _NAMES,
    "livenessProbe": _NAMES,
}
_STATUS = {
    **dict.fromkeys(
        ("name", "image", "imageID", "containerID", "ready", "restartCount", "started"), _WORD
    ),
    "state": _STATE,
    "lastState": _STATE,
}
_POD_STATUS = {
    **dict.fromkeys(
        (
            "phase",
            "reason",
            "message",
            "startTime",
            "qosClass",
            "nominatedNodeName",
            "observedGeneration",
            "resize",
        ),
        _WORD,
    ),
    "conditions": _CONDITION,
    "resourceClaimStatuses": dict.fromkeys(("name", "resourceClaimName"), _WORD),
    "initContainerStatuses": _STATUS,
    "containerStatuses": _STATUS,
    "ephemeralContainerStatuses": _STATUS,
}
_CLAIM = dict.fromkeys(("name", "resourceClaimName", "resourceClaimTemplateName"), _WORD)
_POD_SPEC = {
    **dict.fromkeys(
        (
            "nodeName",
            "restartPolicy",
            "terminationGracePeriodSeconds",
            "schedulerName",
            "priorityClassName",
            "activeDeadlineSeconds",
            "hostNetwork",
        ),
        _WORD,
    ),
    "initContainers": _CONTAINER,
    "containers": _CONTAINER,
    "ephemeralContainers": _CONTAINER,
    "schedulingGates": {"name": _WORD},
    "readinessGates": {"conditionType": _WORD},
    "volumes": _SOME,
    "resourceClaims": {**_CLAIM, "source": _CLAIM},
}
_TEMPLATE = {
    "metadata": {"labels": _LABELS},
    "spec": {"terminationGracePeriodSeconds": _WORD},
    _DIGEST: _DIGEST,
}
_COUNTS = dict.fromkeys(
    (
        "replicas",
        "readyReplicas",
        "availableReplicas",
        "updatedReplicas",
        "unavailableReplicas",
        "currentReplicas",
        "fullyLabeledReplicas",
        "terminatingReplicas",
        "observedGeneration",
        "currentRevision",
        "updateRevision",
        "collisionCount",
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "updatedNumberScheduled",
        "numberReady",
        "numberAvailable",
        "numberUnavailable",
        "numberMisscheduled",
        "active",
        "ready",
        "succeeded",
        "failed",
        "terminating",
        "startTime",
        "completionTime",
    ),
    _WORD,
)
_UPDATE = {
    "type": _WORD,
    "rollingUpdate": dict.fromkeys(("partition", "maxSurge", "maxUnavailable"), _WORD),
}
_WORKLOAD = {
    "spec": {
        **dict.fromkeys(
            (
                "replicas",
                "paused",
                "suspend",
                "minReadySeconds",
                "progressDeadlineSeconds",
                "revisionHistoryLimit",
                "podManagementPolicy",
                "parallelism",
                "completions",
                "completionMode",
                "backoffLimit",
                "activeDeadlineSeconds",
                "ttlSecondsAfterFinished",
            ),
            _WORD,
        ),
        "selector": {"matchLabels": _WORD},
        "strategy": _UPDATE,
        "updateStrategy": _UPDATE,
        "template": _TEMPLATE,
    },
    "status": {**_COUNTS, "conditions": _CONDITION},
}
_NODE = {
    "spec": {"unschedulable": _WORD},
    "status": {
        "conditions": {**_CONDITION, "lastHeartbeatTime": _WORD},
        "nodeInfo": dict.fromkeys(
            (
                "kubeletVersion",
                "containerRuntimeVersion",
                "kernelVersion",
                "osImage",
                "architecture",
                "operatingSystem",
            ),
            _WORD,
        ),
    },
}
_EVENT = {
    **dict.fromkeys(
        (
            "reason",
            "message",
            "note",
            "type",
            "count",
            "firstTimestamp",
            "lastTimestamp",
            "eventTime",
            "action",
            "reportingComponent",
            "reportingController",
            "reportingInstance",
        ),
        _WORD,
    ),
    "series": dict.fromkeys(("count", "lastObservedTime"), _WORD),
    "source": dict.fromkeys(("component", "host"), _WORD),
    "involvedObject": dict.fromkeys(
        ("apiVersion", "kind", "namespace", "name", "uid", "fieldPath"), _WORD
    ),
}
_RESOURCES = {
    "groupVersion": _WORD,
    "resources": dict.fromkeys(("name", "kind", "namespaced", "singularName"), _WORD),
}
_VERSION = dict.fromkeys(("major", "minor", "gitVersion", "platform"), _WORD)
_KINDS: Mapping[str, Mapping[str, Any]] = {
    "Pod": {"spec": _POD_SPEC, "status": _POD_STATUS},
    "Event": _EVENT,
    "Node": _NODE,
    "APIGroup": {"preferredVersion": {"version": _WORD}},
    "ResourceClaim": {"status": {"allocation": _SOME}},
    "ControllerRevision": {"revision": _WORD, "data": _DIGEST},
    **dict.fromkeys(("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"), _WORKLOAD),
    **{kind: {} for kind in ("Lease", "Namespace")},
}
"""What else but its metadata is kept of an object; of a kind that is not here, its owners."""
_BARE = {"apiVersion": _WORD, "kind": _WORD}
_OF_ANY_KIND = {
    **_BARE,
    "metadata": {
        key: _META[key]
        for key in ("name", "namespace", "uid", "creationTimestamp", "ownerReferences")
    },
}
_NEVER = ("Secret", "ConfigMap", "TokenReview", "TokenRequest", "CertificateSigningRequest")


class Reducer:
    """Keeps what ktrace reads; ``key`` makes the digests of one bundle comparable."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def kept(self, document: Mapping[str, Any], path: str = "") -> dict[str, Any] | None:
        """What is kept of an answer; None of what is never kept.

        ``path`` is the request's, which tells the kind of a document that does not.
        """
        kind = str(document.get("kind") or _kind_at(path, is_list="items" in document))
        if not kind and "gitVersion" in document:
            return self._map(document, _VERSION)
        if kind == "APIResourceList":
            return self._map(document, {**_BARE, **_RESOURCES})
        if kind.endswith("List") and isinstance(document.get("items"), list):
            return self._list(document, kind.removesuffix("List"))
        return self._object(document, kind)

    def _list(self, document: Mapping[str, Any], kind: str) -> dict[str, Any] | None:
        items = [item for item in document["items"] if isinstance(item, Mapping)]
        kept = [self._object(item, str(item.get("kind") or kind)) for item in items]
        if None in kept or kind in _NEVER:
            return None
        shape = {**_BARE, "metadata": dict.fromkeys(("resourceVersion", "continue"), _WORD)}
        return {**self._map(document, shape), "items": kept}

    def _object(self, document: Mapping[str, Any], kind: str) -> dict[str, Any] | None:
        if kind in _NEVER:
            return None
        if kind not in _KINDS:
            return self._map(document, _OF_ANY_KIND)
        return self._map(document, {**_BARE, "metadata": _META, **_KINDS[kind]})

    def _map(self, document: Mapping[str, Any], shape: Mapping[str, Any]) -> dict[str, Any]:
        kept = {
            key: found
            for key, value in document.items()
            if key in shape and (found := self._of(value, shape[key])) is not None
        }
        if _DIGEST in shape:
            kept[_DIGEST] = self._digest(_without_hash(document))
        return kept

    def _of(self, value: Any, shape: Shape) -> Any:
        """None for what is left out."""
        if shape == _DIGEST:
            return {_DIGEST: self._digest(value)}
        if shape == _SOME:
            return [{}] if value else []
        if isinstance(value, list):
            return [found for item in value if (found := self._of(item, shape)) is not None]
        if shape == _NAMES:
            return _names(value)
        if shape == _WORD:
            if isinstance(value, Mapping):  # such as the labels of a selector
                words = value.items()
                return {key: word for key, word in words if isinstance(word, str | int | float)}
            return value if isinstance(value, str | int | float) else None
        if isinstance(value, Mapping) and isinstance(shape, Mapping):
            return self._map(value, shape)
        return None

    def _digest(self, value: Any) -> str:
        text = json.dumps(value, sort_keys=True)
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:32]


def _kind_at(path: str, *, is_list: bool) -> str:
    parts = path.partition("?")[0].split("/")
    plural = parts[-1] if is_list else parts[-2] if len(parts) > 1 else ""
    known = {f"{kind.lower()}s": kind for kind in (*_KINDS, *_NEVER)}
    return known.get(plural, "") + ("List" if is_list else "")


def _without_hash(template: Mapping[str, Any]) -> dict[str, Any]:
    """A ReplicaSet has its Deployment's template, and this label in it besides."""
    meta = template.get("metadata")
    if not isinstance(meta, Mapping) or not isinstance(meta.get("labels"), Mapping):
        return dict(template)
    labels = {name: value for name, value in meta["labels"].items() if name != _HASH}
    return {**template, "metadata": {**meta, "labels": labels}}


def _names(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return None
    return {key: member if isinstance(member, int) else {} for key, member in value.items()}
