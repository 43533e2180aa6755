"""Replays what Jaeger and the API server knew of a pod at one moment.

``python -m tests.fakes.recorded_pods JAEGER_URL KUBECONFIG FOLDER POD...`` records pods of
namespace default into FOLDER, a folder of tests/unit/recorded; ``zcat FILE | jq`` shows one.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ktrace.api import Api
from ktrace.jaeger import Jaeger
from ktrace.podstart import cluster
from ktrace.podstart.cluster import FromCluster
from ktrace.podstart.in_progress import until_observed
from ktrace.podstart.model import PodStart
from ktrace.podstart.search import look_for_start
from tests.fakes import starts
from tests.fakes.recorded import FOLDER, without_unread_tags

_READ_OF_NODE = ("type", "status", "reason", "message", "lastTransitionTime")
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
    node: dict[str, Any] | None = None

    def start(self, *, with_cluster: bool = True) -> PodStart | None:
        """The start as it is read from the recording; the clock has to stand at ``now``."""
        name = self.pod["metadata"]["name"]
        known = cluster.read(starts.Api(self.pod, *self.events, node=self.node), "default", name)
        jaeger = starts.jaeger(*self.traces)
        found = look_for_start(jaeger, "default", name, known=known if with_cluster else None)
        return until_observed(found) if found else None


def load(version: str, kind: str) -> Recorded:
    packed = (FOLDER / version / f"{kind}.json.gz").read_bytes()
    found = json.loads(gzip.decompress(packed))
    events, traces = tuple(found["events"]), tuple(found["traces"])
    return Recorded(kind, found["now"], found["pod"], events, traces, found.get("node"))


class Kept:
    """An API server whose answers are kept: the pod, the list of its Events, and the node."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.documents: dict[str, Any] = {"pod": None, "events": [], "node": None}

    def get(self, path: str) -> dict[str, Any]:
        answer = self._api.get(path)
        self.keep(path, answer)
        return answer

    def keep(self, path: str, answer: dict[str, Any]) -> None:
        if "/nodes/" in path:
            self.documents["node"] = _conditions(answer)
            return
        of_events = "/events?" in path
        documents = answer["items"] if of_events else [answer]
        for document in documents:
            _drop_what_is_not_read(document["metadata"])
        self.documents["events" if of_events else "pod"] = documents if of_events else answer


def _conditions(node: dict[str, Any]) -> dict[str, Any]:
    conditions = [
        {key: found[key] for key in _READ_OF_NODE if key in found}
        for found in node["status"]["conditions"]
    ]
    return {"status": {"conditions": conditions}}


def _drop_what_is_not_read(metadata: dict[str, Any]) -> None:
    metadata.pop("managedFields", None)
    annotations = metadata.pop("annotations", {})
    kept = {key: annotations[key] for key in annotations if key.startswith(_READ_ANNOTATIONS)}
    if kept:
        metadata["annotations"] = kept


def record(
    url: str,
    kubeconfig: Path,
    pod: str,
    look: Callable[[Jaeger, Kept, FromCluster | None], object],
) -> dict[str, Any]:
    """What both know of ``pod`` now, as far as ``look`` asks for it, with the pod object and
    without: then more is searched for."""
    traces: dict[str, Any] = {}

    def keep(response: httpx.Response) -> None:
        response.read()
        for trace in without_unread_tags(response.json())["data"] or []:
            traces[trace["traceID"]] = trace

    hooks = {"event_hooks": {"response": [keep]}}
    with cluster.connected(kubeconfig) as api, Jaeger(url, http=hooks) as jaeger:
        assert not isinstance(api, str), api
        kept = Kept(api)
        known = cluster.read(kept, "default", pod)
        now = round(time.time() * 1_000_000)
        for source in (known, None):
            look(jaeger, kept, source)
    return {"now": now, **kept.documents, "traces": list(traces.values())}


def write(file: Path, recording: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(recording, separators=(",", ":"))
    # Without a time of its own, so that the same answers are the same file.
    file.write_bytes(gzip.compress(text.encode(), mtime=0))


def main(url: str, kubeconfig: str, folder: str, *pods: str) -> None:
    for pod in pods:

        def look(jaeger: Jaeger, _: Kept, known: FromCluster | None, pod: str = pod) -> object:
            return look_for_start(jaeger, "default", pod, known=known)

        write(Path(folder) / f"{pod}.json.gz", record(url, Path(kubeconfig), pod, look))


if __name__ == "__main__":
    main(*sys.argv[1:])
