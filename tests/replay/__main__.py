"""Prints what each preset keeps of recorded traffic, as a real collector passes it on."""

from __future__ import annotations

import sys
import time

from runtime_observability.core.presets import Choice
from tests.collector import program as find_program
from tests.replay import collector, otlp, recordings

_PRESETS = (Choice(), Choice("quiet"), Choice("starts"), Choice("errors-and-slow", 1_000))
_TRAFFIC = {
    "lab's node, a minute at rest": recordings.at_rest,
    "real k3s, a minute at rest": recordings.k3s_at_rest,
    "lab's node, 8 s with a pod": recordings.with_pod,
}


def main() -> int:
    if (program := find_program()) is None:
        print("no collector: see tests/collector.py", file=sys.stderr)
        return 1
    print(f"| traffic | {' | '.join(choice.preset for choice in _PRESETS)} |")
    print("|---|" + "---|" * len(_PRESETS))
    for title, read in _TRAFFIC.items():
        requests = list(otlp.requests(read()))
        kept = []
        for choice in _PRESETS:
            with collector.running(program, choice) as running:
                running.send(*requests)
                time.sleep(collector.QUIET_SECONDS)
            traces = {trace for trace, _ in running.arrived}
            kept.append(f"{len(running.arrived):,} spans, {len(traces):,} traces")
        print(f"| {title} | {' | '.join(kept)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
