"""Replays what Jaeger and the API server knew of the end of a pod at one moment.

``python -m tests.fakes.recorded_endings JAEGER_URL KUBECONFIG FILE POD`` records a pod of namespace
default, which may be gone, into FILE.json.gz; ``zcat FILE | jq`` shows it.
"""

from __future__ import annotations

import gzip
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ktrace.jaeger import Jaeger
from ktrace.podend.model import PodEnding
from ktrace.podend.search import look_for_ending
from ktrace.podend.waits import until_observed
from ktrace.podstart import cluster
from ktrace.podstart.cluster import FromCluster
from tests.fakes import recorded_pods, starts
from tests.fakes.recorded import FOLDER
from tests.fakes.recorded_pods import Kept


@dataclass(frozen=True)
class Recorded:
    """One recording: ``now`` is its moment, in microseconds since the Unix epoch."""

    name: str
    now: int
    pod: dict[str, Any] | None
    events: tuple[dict[str, Any], ...]
    node: dict[str, Any] | None
    traces: tuple[dict[str, Any], ...]

    def ending(self, *, with_cluster: bool = True, uid: str = "") -> PodEnding | None:
        """The ending as it is read from the recording; the clock has to stand at ``now``."""
        api = starts.Api(self.pod, *self.events, node=self.node)
        known = cluster.read(api, "default", self.name) if with_cluster else None
        jaeger = starts.jaeger(*self.traces)
        asked = api if with_cluster else ""
        found = look_for_ending(jaeger, "default", self.name, uid, known=known, api=asked)
        return until_observed(found) if found else None


def load(kind: str, version: str = "v1.36") -> Recorded:
    packed = (FOLDER / "endings" / version / f"{kind}.json.gz").read_bytes()
    found = json.loads(gzip.decompress(packed))
    events, traces = tuple(found["events"]), tuple(found["traces"])
    return Recorded(found["name"], found["now"], found["pod"], events, found["node"], traces)


def main(url: str, kubeconfig: str, file: str, pod: str) -> None:
    def look(jaeger: Jaeger, kept: Kept, known: FromCluster | None) -> object:
        return look_for_ending(jaeger, "default", pod, known=known, api=kept)

    found = recorded_pods.record(url, Path(kubeconfig), pod, look)
    recorded_pods.write(Path(f"{file}.json.gz"), {"name": pod, **found})


if __name__ == "__main__":
    main(*sys.argv[1:])
