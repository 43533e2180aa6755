"""Whether the stack's releases still get fixes."""

from __future__ import annotations

from datetime import date

from ktrace.checks.finding import Finding
from runtime_observability.core import support
from runtime_observability.core.versions import Version

_CHECK = "Kubernetes support"


def kubernetes(version: Version, today: date) -> Finding:
    """A warning if the Kubernetes of a k3s release is past its end of life."""
    ended = support.ended_kubernetes(version, today)
    if ended:
        return Finding(_CHECK, "warning", ended.seen, ended.why, ended.cure)
    end = support.KUBERNETES.end_of(version)
    return Finding(_CHECK, "ok", f"{version}, until {end or 'a day that is not known'}")
