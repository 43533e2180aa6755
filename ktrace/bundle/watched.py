"""The starts that ``ktrace watch`` has told, as a bundle keeps them, and the starts again.

Each is built anew of its spans and of what the API server told of its pod by then: a later pod of
the same name has other answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ktrace.api import Api
from ktrace.bundle import file, session, typed
from ktrace.bundle.replay import Answers
from ktrace.clock import time
from ktrace.jaeger import Jaeger, Reader
from ktrace.podstart import cluster
from ktrace.podstart.model import PodStart
from ktrace.podstart.search import look_for_start
from runtime_observability.host.http import httpx

_UNASKED = httpx.TransportError("not in the bundle")


def told(start: PodStart) -> dict[str, Any]:
    """``start`` as JSON has it, while what the API server told of it last is of the same look."""
    return {
        "namespace": start.namespace,
        "name": start.pod,
        "uid": start.uid,
        "lookedAt": start.looked_at.timestamp() if start.looked_at else None,
        "api": session.current().kept(cluster.paths(start.namespace, start.pod)),
    }


@dataclass(frozen=True)
class Watched:
    """What a watch has told: ``starts`` in their order, and ``notes`` besides."""

    starts: tuple[PodStart, ...]
    notes: tuple[str, ...]


def watched(facts: Mapping[str, Any], jaeger: Jaeger, *, runtime_traced: bool) -> Watched:
    """UsageError if ``facts`` are not what a watch has kept."""
    with typed.reading("watch"), cluster.connected(None) as api:
        reader = Reader(jaeger)
        return Watched(
            tuple(_starts(typed.items(facts["starts"]), reader, api, runtime_traced)),
            tuple(map(typed.text, typed.items(facts["notes"]))),
        )


def _starts(
    told: Sequence[Mapping[str, Any]], reader: Reader, api: Api | str, runtime_traced: bool
) -> Iterator[PodStart]:
    """``api`` is the reason why there is none, for starts without answers of one."""
    for found in told:
        namespace, name = typed.text(found["namespace"]), typed.text(found["name"])
        answers = file.answers(found["api"])
        with time.at(float(found["lookedAt"])):
            start = look_for_start(
                reader,
                namespace,
                name,
                typed.text(found["uid"]) or None,
                known=cluster.read(Answers(answers, _UNASKED) if answers else api, namespace, name),
                runtime_traced=runtime_traced,
            )
        if start:
            yield start
