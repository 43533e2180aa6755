"""Replays what Jaeger and the API server knew of a pod at one moment.

``python -m tests.fakes.recorded_pods JAEGER_URL KUBECONFIG FOLDER POD...`` records pods of
namespace default into FOLDER, a folder of tests/unit/recorded; ``zcat FILE | jq`` shows one.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ktrace.api import Api
from ktrace.jaeger import Jaeger
from ktrace.podstart import cluster
from ktrace.podstart.in_progress import until_observed
from ktrace.podstart.model import PodStart
from ktrace.podstart.search import look_for_start
from tests.fakes import starts
from tests.fakes.recorded import FOLDER, without_unread_tags

_READ_ANNOTATIONS = "kubernetes.io/config."
"""How those begin that tell a static pod; others may have anything in them."""


@dataclass(frozen=True)
class Recorded:
    """One recording: ``now`` is its moment, in microseconds since the Unix epoch."""

    kind: str
    now: int
    pod: dict[str, Any]
    events: tuple[dict[str, Any], ...]
    traces: tuple[dict[str, Any], ...]

    def start(self, *, with_cluster: bool = True) -> PodStart | None:
        """The start as it is read from the recording; the clock has to stand at ``now``."""
        name = self.pod["metadata"]["name"]
        known = cluster.read(starts.Api(self.pod, *self.events), "default", name)
        jaeger = starts.jaeger(*self.traces)
        found = look_for_start(jaeger, "default", name, known=known if with_cluster else None)
        return until_observed(found) if found else None


def load(version: str, kind: str) -> Recorded:
    packed = (FOLDER / version / f"{kind}.json.gz").read_bytes()
    found = json.loads(gzip.decompress(packed))
    events, traces = tuple(found["events"]), tuple(found["traces"])
    return Recorded(kind, found["now"], found["pod"], events, traces)


class _Kept:
    """An API server whose answers are kept: the pod, and the list of its Events."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.pod: dict[str, Any] | None = None
        self.events: list[dict[str, Any]] = []

    def get(self, path: str) -> dict[str, Any]:
        answer = self._api.get(path)
        kept = answer["items"] if "/events?" in path else [answer]
        for document in kept:
            drop_what_is_not_read(document["metadata"])
        if "/events?" in path:
            self.events = kept
        else:
            self.pod = answer
        return answer


def drop_what_is_not_read(metadata: dict[str, Any]) -> None:
    metadata.pop("managedFields", None)
    annotations = metadata.pop("annotations", {})
    kept = {key: annotations[key] for key in annotations if key.startswith(_READ_ANNOTATIONS)}
    if kept:
        metadata["annotations"] = kept


def _record(url: str, kubeconfig: Path, pod: str) -> dict[str, Any]:
    traces: dict[str, Any] = {}

    def keep(response: httpx.Response) -> None:
        response.read()
        for trace in without_unread_tags(response.json())["data"] or []:
            traces[trace["traceID"]] = trace

    with cluster.connected(kubeconfig) as api, Jaeger(url) as jaeger:
        assert not isinstance(api, str), api
        kept = _Kept(api)
        jaeger._http.event_hooks["response"] = [keep]
        known = cluster.read(kept, "default", pod)
        now = round(time.time() * 1_000_000)
        for source in (known, None):  # without the pod object, more is searched for
            look_for_start(jaeger, "default", pod, known=source)
    return {"now": now, "pod": kept.pod, "events": kept.events, "traces": list(traces.values())}


def main(url: str, kubeconfig: str, folder: str, *pods: str) -> None:
    for pod in pods:
        text = json.dumps(_record(url, Path(kubeconfig), pod), separators=(",", ":"))
        file = Path(folder) / f"{pod}.json.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        # Without a time of its own, so that the same answers are the same file.
        file.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
