"""The same pod in the clusters of two stacks that send to one Jaeger, and in a third one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ktrace.components import APISERVER
from ktrace.jaeger import Origin
from tests.contract import recordings
from tests.contract.spans import NOW, Sent, of_jaeger

ADA = Origin("acme/shop/dev", "ada")
BOB = Origin("acme/shop/dev", "bob")
OLD = Origin("acme/shop/old", "ada")
"""It has sent no span that names it."""
TWIN, ALONE = "default/twin", "default/alone"
REQUESTS = {ADA: ("twin", "first", "second"), BOB: ("twin", "third")}
"""The pods that somebody reads in the cluster of each."""
_KINDS = {ADA: "post-start", BOB: "init-sidecar-app"}


def spans() -> list[Sent]:
    """Of a different recorded start each, called TWIN; ADA has another pod, ALONE, too."""
    twins = [sent for stack in _KINDS for sent in of(stack, _KINDS[stack], TWIN)]
    asked = [sent for stack in REQUESTS for sent in requests(stack)]
    return [*twins, *of(ADA, "recreated", ALONE), *asked]


def uid(stack: Origin) -> str:
    found: str = recordings.load(_KINDS[stack]).pod["metadata"]["uid"]
    return found


def requests(stack: Origin) -> list[Sent]:
    """One for each of REQUESTS, of that pod; the recordings have none of kind server."""
    return [
        Sent(
            APISERVER,
            "GET /api/v1/namespaces/{:namespace}/pods/{:name}",
            _trace(f"{stack} {name}"),
            _trace(f"{stack} {name}")[:16],
            (NOW - 200_000_000) * 1000,
            kind=2,
            tags={
                "http.request.method": "GET",
                "http.response.status_code": 200,
                "url.path": f"/api/v1/namespaces/default/pods/{name}",
                "user_agent.original": "kubectl/v1.36.3 (linux/amd64) kubernetes/0000000",
            },
            process=stack.tags,
        )
        for name in REQUESTS[stack]
    ]


def of(stack: Origin, kind: str, pod: str) -> list[Sent]:
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
