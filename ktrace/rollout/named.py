"""Which pods are a workload's, by their names alone: for those that the API server has no more."""

from __future__ import annotations

import re
from collections.abc import Collection

from ktrace.rollout.kinds import DEPLOYMENT, JOB, STATEFUL_SET
from ktrace.rollout.workload import Workload

_ALPHABET = "[bcdfghjklmnpqrstvwxz2456789]"
"""Of random suffixes and of templates' hashes (k8s.io/apimachinery pkg/util/rand)."""
_LONGEST_BASE = 58
"""Characters of a generated name before its suffix: the API server cuts a longer one there."""


def revision_of(workload: Workload, replica_sets: Collection[str], pod: str) -> str | None:
    """The ReplicaSet of a Deployment's pod, or an empty text for another kind's.

    None if the name is not that of a pod of ``workload``. Of a Deployment whose ``replica_sets``
    are not known, any name with a hash in it may be one.
    """
    if workload.kind is STATEFUL_SET:
        return "" if re.fullmatch(f"{re.escape(workload.name)}-[0-9]+", pod) else None
    if workload.kind is DEPLOYMENT:
        if replica_sets:
            return next((name for name in replica_sets if _generated(name, pod)), None)
        base, _, suffix = pod.rpartition("-")
        has_hash = re.fullmatch(f"{re.escape(workload.name)}-{_ALPHABET}{{6,10}}", base)
        return base if has_hash and re.fullmatch(f"{_ALPHABET}{{5}}", suffix) else None
    index = "([0-9]+-)?" if workload.kind is JOB else ""
    return "" if _generated(workload.name, pod, index) else None


def _generated(base: str, pod: str, index: str = "") -> bool:
    cut = re.escape(f"{base}-"[:_LONGEST_BASE])
    return bool(re.fullmatch(f"{cut}{index}{_ALPHABET}{{5}}", pod))
