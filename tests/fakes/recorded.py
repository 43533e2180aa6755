"""Replays responses of a real Jaeger, recorded in tests/unit/recorded.

``python -m tests.fakes.recorded URL POD > tests/unit/recorded/NAME.json.gz`` records the responses
that ktrace needs to show a pod's start; ``zcat NAME.json.gz | jq`` shows them.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import httpx

from ktrace.jaeger import Jaeger
from ktrace.podstart.search import look_for_start
from tests.fakes.jaeger import Handler, client, data

FOLDER = Path(__file__).resolve().parent.parent / "unit" / "recorded"
_DROPPED_TAGS = ("internal.", "net.", "otel.scope", "rpc.", "telemetry.", "http.", "user_agent")
"""Prefixes of tags that ktrace does not read; without them a recording is half as long."""
_CHANGING_PARAMETERS = ("start", "end", "limit")


def replay(name: str, without: str = "") -> Jaeger:
    """A Jaeger client with the recorded responses.

    ``without`` names a service whose spans are left out.
    """
    return client(handler(name, without))


def handler(name: str, without: str = "") -> Handler:
    """Gives the recorded responses; any other search finds nothing."""
    answers = {entry["query"]: entry["answer"] for entry in json.loads(text(name))}
    for trace in (trace for answer in answers.values() for trace in answer["data"] or []):
        services = {key: process["serviceName"] for key, process in trace["processes"].items()}
        trace["spans"] = [span for span in trace["spans"] if services[span["processID"]] != without]

    def answer(request: httpx.Request) -> httpx.Response:
        found = answers.get(_query(request))
        return httpx.Response(200, json=found) if found else data()

    return answer


def text(name: str) -> str:
    return gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()).decode()


def _query(request: httpx.Request) -> str:
    """The path and the parameters that identify the request when it is repeated."""
    parameters = {
        name: value
        for name, value in request.url.params.items()
        if name not in _CHANGING_PARAMETERS
    }
    return f"{request.url.path} {json.dumps(parameters, sort_keys=True)}"


def without_unread_tags(answer: dict[str, Any]) -> dict[str, Any]:
    """Jaeger's ``answer``, changed in place."""
    for trace in answer["data"] or []:
        for part in (*trace["spans"], *trace["processes"].values()):
            part["tags"] = [tag for tag in part["tags"] if not tag["key"].startswith(_DROPPED_TAGS)]
    return answer


def _record(url: str, pod: str) -> list[dict[str, Any]]:
    answers: dict[str, Any] = {}

    def keep(response: httpx.Response) -> None:
        response.read()
        answers.setdefault(_query(response.request), without_unread_tags(response.json()))

    with Jaeger(url, http={"event_hooks": {"response": [keep]}}) as jaeger:
        look_for_start(jaeger, "default", pod)
    return [{"query": query, "answer": answer} for query, answer in answers.items()]


if __name__ == "__main__":
    answers = json.dumps(_record(*sys.argv[1:3]), separators=(",", ":"))
    # Without a time of its own, so that the same responses are the same file.
    sys.stdout.buffer.write(gzip.compress(answers.encode(), mtime=0))
