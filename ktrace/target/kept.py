"""Whether a stack's Jaeger gets the requests of every client, or only some of them."""

from __future__ import annotations

from collections.abc import Collection

from ktrace.errors import UsageError
from ktrace.target import stack_settings
from ktrace.target.stack import is_this_project, project_folder, selected_stack
from ktrace.target.target import Target

_MILLION = 1_000_000
_KEEP_WRITES = ("everything", "quiet")
"""Presets of ``tracing`` that pass on every write, but for what ``_QUIET_DROPS`` has."""
_QUIET_DROPS = ("leases.coordination.k8s.io", "events", "events.events.k8s.io")


def writes(target: Target, stack: str | None, objects: Collection[str]) -> tuple[str, str]:
    """Why Jaeger lacks writes of ``objects``, and why it may lack some; empty if it does not.

    They are ``RESOURCE.GROUP/NAMESPACE/NAME``; ``stack`` is --stack's value.
    """
    if target.is_shared or not target.outputs:
        return "", "whether this Jaeger is sent every request is not known"
    folder, name = project_folder(), stack or selected_stack()
    unread = ("", "whether this stack's sampling leaves out requests is not known")
    if name is None or not is_this_project(folder):
        return unread
    try:
        own = stack_settings.read(folder, name.rpartition("/")[2], without_secrets=True)
    except UsageError:
        return unread
    for key, rate in (
        ("apiserverSamplingPerMillion", own.apiserver_sampling_per_million),
        ("collectorSamplingPerMillion", own.collector_sampling_per_million),
    ):
        if rate < _MILLION:
            told = f"{key} {rate} leaves out requests of other clients: set it to {_MILLION}"
            return told, ""
    if own.tracing not in _KEEP_WRITES:
        return f"tracing: {own.tracing} leaves out writes: set it to everything or quiet", ""
    left_out = sorted(one for one in objects if one.partition("/")[0] in _QUIET_DROPS)
    if own.tracing == "quiet" and left_out:
        return f"tracing: quiet leaves out the writes of {left_out[0]}: set it to everything", ""
    return "", ""
