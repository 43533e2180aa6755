"""``python -m tests.bench.ktrace``: what ktrace itself costs, without a stack.

Each figure is a median, with the bound that it must stay below. Seconds are the processor's, user
and system, so that other programs count little; on a quiet machine as many seconds pass. Needs
Linux, whose kernel tells a process's largest memory. Exit codes: 0 all are below their bounds, 1
one is not.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ktrace.cli import COMMANDS
from tests.configuration import PROJECT
from tests.fakes.http import FakeServer, Reply

_ROUNDS = 7
_SPANS = 10_000
_TAGS = 15
_HELP_SECONDS = 0.3
_READ_SECONDS = 1.0
_READ_MEGABYTES = 100
_COMPLETION = {
    "_KTRACE_COMPLETE": "complete_bash",
    "COMP_WORDS": "ktrace show --j",
    "COMP_CWORD": "2",
}
_READ = """
import re, sys, time
from pathlib import Path
from ktrace.jaeger import Jaeger
with Jaeger(sys.argv[1]) as jaeger:
    begin = time.process_time()
    (trace,) = jaeger.find("service-0")
    assert len(trace.below(trace.spans[0])) == len(trace.spans) - 1
    seconds = time.process_time() - begin
largest = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(seconds, int(largest) / 1024)
"""


def main() -> int:
    rows = [
        ("ktrace --help", "s", _HELP_SECONDS, _seconds("--help")),
        *(
            (f"ktrace {command} --help", "s", _HELP_SECONDS, _seconds(command, "--help"))
            for command in COMMANDS
        ),
        ("completion of an option", "s", _HELP_SECONDS, _seconds(**_COMPLETION)),
        *_reading(),
    ]
    for name, unit, bound, value in rows:
        verdict = "" if value < bound else "  TOO MUCH"
        print(f"{name:<40}{value:8.2f} {unit:<3} below {bound:g} {unit}{verdict}")
    return int(any(value >= bound for _, _, bound, value in rows))


def _seconds(*arguments: str, **variables: str) -> float:
    def once() -> float:
        begin = _children_seconds()
        _run([sys.executable, "-m", "ktrace", *arguments], variables)
        return _children_seconds() - begin

    return _median(once)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _reading() -> list[tuple[str, str, float, float]]:
    """The seconds and the largest memory of a process that reads one large trace."""
    text = json.dumps({"data": [_trace()]})
    server = FakeServer(lambda _: Reply(200, text))
    try:
        figures = [_run([sys.executable, "-c", _READ, server.url], {}).split() for _ in range(3)]
    finally:
        server.stop()
    seconds, megabytes = (
        statistics.median(map(float, column)) for column in zip(*figures, strict=True)
    )
    name = f"a trace of {_SPANS:,} spans"
    return [
        (f"{name}, read", "s", _READ_SECONDS, seconds),
        (f"{name}, memory", "MB", _READ_MEGABYTES, megabytes),
    ]


def _trace() -> dict[str, Any]:
    spans = [
        {
            "traceID": "t",
            "spanID": str(number),
            "operationName": f"operation {number % 50}",
            "references": [{"refType": "CHILD_OF", "traceID": "t", "spanID": str(number // 8)}]
            if number
            else [],
            "startTime": number,
            "duration": 10,
            "tags": [
                {"key": f"attribute.{at}", "type": "string", "value": f"value {number % 100} {at}"}
                for at in range(_TAGS)
            ],
            "processID": f"p{number % 3}",
        }
        for number in range(_SPANS)
    ]
    processes = {f"p{at}": {"serviceName": f"service-{at}", "tags": []} for at in range(3)}
    return {"traceID": "t", "spans": spans, "processes": processes}


def _median(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(_ROUNDS))


def _run(argv: Sequence[str], variables: Mapping[str, str]) -> str:
    return subprocess.run(
        argv, cwd=PROJECT, env=os.environ | variables, capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
