"""TraceProbe: the proof that a pod's start is one joined trace, or up fails by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import _commands
from runtime_observability.core.naming import Names


@dataclass(frozen=True)
class ProbeArgs:
    """Components as Jaeger names their services.

    ``demanded``: their spans of the probe's own pod must be found; ``expected``: some span.
    """

    names: Names
    jaeger_url: str
    image: str
    seconds: int
    k3s_version: str
    demanded: Sequence[str]
    expected: Sequence[str]
    reruns_with: Sequence[pulumi.Input[Any]]
    """The probe runs again when one of these is another."""


class TraceProbe(pulumi.ComponentResource):
    """Runs a pod and finds its trace (``python -m ktrace.pipeline.probe``)."""

    result: pulumi.Output[dict[str, Any]]

    def __init__(
        self, name: str, args: ProbeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("runtime-observability:index:TraceProbe", name, None, opts)
        probed = _commands.python(
            f"{name}-run",
            "ktrace.pipeline.probe",
            stdin=json.dumps(
                {
                    "jaegerUrl": args.jaeger_url,
                    "kubeconfig": str(args.names.kubeconfig),
                    "image": args.image,
                    "seconds": args.seconds,
                    "demanded": list(args.demanded),
                    "expected": list(args.expected),
                    "k3sVersion": args.k3s_version,
                    "report": str(args.names.directory / "probe.json"),
                }
            ),
            triggers=list(args.reruns_with),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.result = probed.stdout.apply(json.loads)
        self.register_outputs({"result": self.result})
