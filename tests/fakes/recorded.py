"""What a real Jaeger answered once, kept in tests/unit/recorded and given again.

``python -m tests.fakes.recorded URL POD > tests/unit/recorded/NAME.json`` records what ktrace asks
to show a pod's start.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import httpx

from ktrace.jaeger import Jaeger
from ktrace.podstart.search import look_for_start
from tests.fakes.jaeger import client, data

FOLDER = Path(__file__).resolve().parent.parent / "unit" / "recorded"
_LEFT_OUT = ("internal.", "net.", "otel.scope", "rpc.", "telemetry.", "http.", "user_agent")
"""Tags that nothing here reads: without them a recording is half as long."""
_MOMENTARY = ("start", "end", "limit")


def replay(name: str, without: str = "") -> Jaeger:
    """A Jaeger with the recorded answers; what was not asked then finds nothing.

    ``without``: as if that service had not been traced.
    """
    answers = {entry["query"]: entry["answer"] for entry in json.loads(text(name))}
    for trace in (each for answer in answers.values() for each in answer["data"] or []):
        services = {key: process["serviceName"] for key, process in trace["processes"].items()}
        trace["spans"] = [s for s in trace["spans"] if services[s["processID"]] != without]

    def answer(request: httpx.Request) -> httpx.Response:
        found = answers.get(_question(request))
        return httpx.Response(200, json=found) if found else data()

    return client(answer)


def text(name: str) -> str:
    return (FOLDER / f"{name}.json").read_text()


def _question(request: httpx.Request) -> str:
    query = {k: v for k, v in request.url.params.items() if k not in _MOMENTARY}
    return f"{request.url.path} {json.dumps(query, sort_keys=True)}"


def _record(url: str, pod: str) -> list[dict[str, Any]]:
    taken: dict[str, Any] = {}

    def keep(response: httpx.Response) -> None:
        response.read()
        document = response.json()
        for trace in document["data"] or []:
            for each in (*trace["spans"], *trace["processes"].values()):
                each["tags"] = [t for t in each["tags"] if not t["key"].startswith(_LEFT_OUT)]
        taken.setdefault(_question(response.request), document)

    with Jaeger(url) as jaeger:
        jaeger._http.event_hooks["response"] = [keep]
        look_for_start(jaeger, "default", pod)
    return [{"query": query, "answer": answer} for query, answer in taken.items()]


if __name__ == "__main__":
    print(json.dumps(_record(*sys.argv[1:3]), separators=(",", ":")))
