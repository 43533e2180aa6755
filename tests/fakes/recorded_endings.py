"""Replays what Jaeger and the API server knew of the end of a pod at one moment.

``python -m tests.fakes.recorded_endings JAEGER_URL KUBECONFIG FILE POD`` records a pod of namespace
default, which may be gone, into FILE.json.gz; ``zcat FILE | jq`` shows it.
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

from ktrace import api as apis
from ktrace.jaeger import Jaeger
from ktrace.podend.model import PodEnding
from ktrace.podend.search import look_for_ending
from ktrace.podend.waits import until_observed
from ktrace.podstart import cluster
from runtime_observability.host.api_server import ApiError
from tests.fakes import starts
from tests.fakes.recorded import FOLDER, without_unread_tags
from tests.fakes.recorded_pods import drop_what_is_not_read

_READ_OF_NODE = ("type", "status", "reason", "lastTransitionTime")


class Api:
    """An API server that has a pod, or none, its Events, and its node, or none."""

    def __init__(
        self,
        pod: dict[str, Any] | None,
        *events: dict[str, Any],
        node: dict[str, Any] | None = None,
    ) -> None:
        self.pod, self.events, self.node = pod, events, node

    def get(self, path: str) -> dict[str, Any]:
        if "/events?" in path:
            return {"items": list(self.events)}
        found = self.node if "/nodes/" in path else self.pod
        if found is None:
            raise ApiError(httpx.Response(404, json={"message": "not found"}))
        return found


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
        api = Api(self.pod, *self.events, node=self.node)
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


class _Kept:
    """An API server whose answers are kept."""

    def __init__(self, api: apis.Api) -> None:
        self._api = api
        self.kept: dict[str, Any] = {"pod": None, "events": [], "node": None}

    def get(self, path: str) -> dict[str, Any]:
        answer = self._api.get(path)
        if "/nodes/" in path:
            conditions = [
                {key: found[key] for key in _READ_OF_NODE if key in found}
                for found in answer["status"]["conditions"]
            ]
            self.kept["node"] = {"status": {"conditions": conditions}}
            return answer
        of_events = "/events?" in path
        documents = answer["items"] if of_events else [answer]
        for document in documents:
            drop_what_is_not_read(document["metadata"])
        self.kept["events" if of_events else "pod"] = documents if of_events else answer
        return answer


def record(url: str, kubeconfig: Path, pod: str) -> dict[str, Any]:
    """What both know of ``pod`` now."""
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
            look_for_ending(jaeger, "default", pod, known=source, api=kept)
    return {"name": pod, "now": now, **kept.kept, "traces": list(traces.values())}


def main(url: str, kubeconfig: str, file: str, pod: str) -> None:
    text = json.dumps(record(url, Path(kubeconfig), pod), separators=(",", ":"))
    path = Path(f"{file}.json.gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without a time of its own, so that the same answers are the same file.
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
