"""The same pod in the clusters of two stacks that send to one Jaeger, and in a third one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ktrace.jaeger import Origin
from tests.contract import recordings
from tests.contract.spans import NOW, Sent, of_jaeger

ADA = Origin("acme/shop/dev", "ada")
BOB = Origin("acme/shop/dev", "bob")
OLD = Origin("acme/shop/old", "ada")
"""It has sent no span that names it."""
TWIN, ALONE = "default/twin", "default/alone"
_KINDS = {ADA: "post-start", BOB: "init-sidecar-app"}


def spans() -> list[Sent]:
    """Of a different recorded start each, called TWIN; ADA has another pod, ALONE, too."""
    twins = [sent for stack in _KINDS for sent in _of(stack, _KINDS[stack], TWIN)]
    return [*twins, *_of(ADA, "recreated", ALONE)]


def uid(stack: Origin) -> str:
    found: str = recordings.load(_KINDS[stack]).pod["metadata"]["uid"]
    return found


def _of(stack: Origin, kind: str, pod: str) -> list[Sent]:
    recorded = recordings.load(kind)
    name = recorded.pod["metadata"]["name"]
    sent = [span for trace in recorded.traces for span in of_jaeger(trace)]
    later = (NOW - 300_000_000) * 1000 - min(span.start for span in sent)
    return [
        replace(
            span,
            trace=_trace(f"{stack} {pod} {span.trace}"),
            start=span.start + later,
            tags=_renamed(span.tags, name, pod.partition("/")[2]),
            process={**span.process, **stack.tags},
        )
        for span in sent
    ]


def _trace(name: str) -> str:
    return "f" + hashlib.sha256(name.encode()).hexdigest()[1:32]


def _renamed(tags: Mapping[str, Any], before: str, after: str) -> dict[str, Any]:
    return {
        key: value.replace(before, after) if isinstance(value, str) else value
        for key, value in tags.items()
    }
