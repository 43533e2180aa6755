"""What an API server told of pods that never ran: status, node and Events of each.

``python -m tests.fakes.recorded_stops KUBECONFIG FILE POD...`` records pods of namespace default
beside those that FILE has already; ``zcat FILE | jq`` shows them.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

from ktrace.api import Api
from ktrace.podstart import cluster
from tests.fakes.recorded import FOLDER

_PODS = "/api/v1/namespaces/default/pods"
_EVENTS = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3D"
_OF_AN_EVENT = ("type", "reason", "message", "firstTimestamp", "lastTimestamp", "count")
_OF_A_SERIES = ("eventTime", "series")


def load(version: str) -> dict[str, dict[str, Any]]:
    """By the pod's name: ``status``, ``node``, ``events``, and ``ready``, a node's condition."""
    return _read(FOLDER / "stopped" / f"{version}.json.gz")


def _read(file: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(gzip.decompress(file.read_bytes()))
    return found


def _record(api: Api, pod: str) -> dict[str, Any]:
    document = api.get(f"{_PODS}/{pod}")
    events = api.get(f"{_EVENTS}{pod}")["items"]
    kept = (*_OF_AN_EVENT, *_OF_A_SERIES)
    node = document["spec"].get("nodeName", "")
    conditions = api.get(f"/api/v1/nodes/{node}")["status"]["conditions"] if node else []
    return {
        "status": document["status"],
        "node": node,
        "ready": next((found for found in conditions if found["type"] == "Ready"), {}),
        "events": [{key: event[key] for key in kept if key in event} for event in events],
    }


def main(kubeconfig: str, file: str, *pods: str) -> None:
    path = Path(file)
    found = _read(path) if path.exists() else {}
    with cluster.connected(Path(kubeconfig)) as api:
        assert not isinstance(api, str), api
        found |= {pod: _record(api, pod) for pod in pods}
    text = json.dumps(found, separators=(",", ":"))
    # Without a time of its own, so that the same answers are the same file.
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
