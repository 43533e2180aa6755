"""What each span, metric and log record says of the stack that it passed through. Pure.

The collector adds resource attributes: of OpenTelemetry's semantic conventions those that fit, and
two of this project's own, by which one Jaeger can hold the traces of many stacks. The conventions'
``k8s.cluster.uid`` is not among them: it is the UID of the namespace kube-system, which nobody
knows before there is a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runtime_observability.core.naming import Names

STACK = "runtime_observability.stack"
"""ORGANIZATION/PROJECT/STACK, as Pulumi has it."""
OWNER = "runtime_observability.owner"
"""``stackOwner``, or the digest of stack and folder that everything of the stack in Docker has."""
CLUSTER = "k8s.cluster.name"
ENVIRONMENT = "deployment.environment.name"

PROCESSOR = "resource/stack"
"""The core distribution has it in every release from 0.34.0 on (opentelemetry-collector-releases
distributions/otelcol/manifest.yaml, each of its 180 versions up to 0.159.0)."""


@dataclass(frozen=True)
class Origin:
    """Names one stack among all that send to one place."""

    own: Mapping[str, str]
    """Set on everything, whatever its sender says of itself: so no program can take the name of
    another stack, not even by an environment that it was started with."""
    usual: Mapping[str, str]
    """Set where the sender says nothing: an application knows its own environment better."""

    @property
    def attributes(self) -> dict[str, str]:
        """All of them by name, as they are on what says nothing of itself."""
        return {**self.own, **self.usual}

    def add_to(self, collector: dict[str, Any]) -> None:
        """Put the processor before the batches of every pipeline in the ``collector``'s document.

        Behind what drops spans it has the least to do.
        """
        actions = ((self.own, "upsert"), (self.usual, "insert"))
        collector["processors"][PROCESSOR] = {
            "attributes": [
                # The collector expands a dollar.
                {"key": key, "value": value.replace("$", "$$"), "action": action}
                for values, action in actions
                for key, value in values.items()
            ]
        }
        for pipeline in collector["service"]["pipelines"].values():
            if processors := pipeline.get("processors"):
                processors.insert(-1, PROCESSOR)


def of(names: Names, owner: str = "") -> Origin:
    """That of the stack of ``names``; ``owner`` is the configured one, empty for the digest."""
    return Origin(
        own={STACK: names.full_stack, OWNER: owner or names.owner},
        usual={CLUSTER: names.cluster, ENVIRONMENT: names.stack},
    )
