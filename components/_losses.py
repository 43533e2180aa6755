"""Tells in a preview that a Jaeger goes with the traces in its memory, where nothing else tells it.

A change of its configuration is told by ``core.advice``. It is also made again for another network,
for ``--replace`` and a taint, and where Pulumi's state is an older one: the engine alone knows.
"""

from __future__ import annotations

import pulumi

from runtime_observability.host import docker


def tell(name: str, owner: str, spec: str) -> pulumi.ResourceHook:
    """Before container ``name`` of ``spec`` is created, in previews alone: an up has deleted it."""

    def hook(_: pulumi.ResourceHookArgs) -> None:
        if not pulumi.runtime.is_dry_run():
            return
        for found in docker.containers():
            is_its = (found.name, found.owner, found.spec) == (name, owner, spec)
            if is_its and found.has_traces_in_memory:
                pulumi.log.warn(
                    f"container {name} will be made again, and the traces in its memory are lost: "
                    "traceStore badger keeps traces beyond that. If Pulumi's state does not have "
                    "this container, up refuses instead"
                )

    options = pulumi.ResourceHookOptions(on_dry_run=True)
    return pulumi.ResourceHook(f"tell-the-loss-of-{name}", hook, options)
