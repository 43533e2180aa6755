"""Measures what each preset of ``tracing`` costs and keeps, and prints it as a table.

The lab's node makes fewer spans than a real k3s: the lone ones that it lacks are sent beside it.
``python -m tests.bench.presets``. The machine should be quiet, with all images there. Exit codes: 0
measured, 1 something failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ktrace.pipeline import collector_metrics
from tests.bench import load, noise
from tests.bench.report import on_a_stack
from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.traces import search

PRESETS = ("everything", "quiet", "starts", "errors-and-slow")
_SERVICES = ("apiserver", "kubelet", "containerd")
_PROCESSES = {"API server": "kube-apiserver", "kubelet": "kubelet"}
"""Of the lab's node; k3s has both in one process, which is then shown as the server."""
_PARTS = ("server", *_PROCESSES, "collector", "Jaeger")
_SETTLE_SECONDS = 30
_SLICE = 10
"""Seconds of one search, which has 1,000 traces at most."""
_RING = 50_000
"""The default of jaegerMaxTraces."""


@dataclass(frozen=True)
class Minute:
    """What one minute of a stack made."""

    accepted: float
    sent: float
    """Spans that came into the collector, and that went to Jaeger."""
    traces: float
    cpu: Mapping[str, float]
    """Percent of one core, by the name of the part."""
    collector_mib: float

    @property
    def ring(self) -> str:
        """How long the default of Jaeger's memory lasts."""
        if not self.traces:
            return "no end"
        hours = _RING / self.traces / 60
        return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.0f} days"


def measure(stack: Stack, seconds: float) -> Minute:
    """What ``seconds`` of the running stack made, for a minute."""
    metrics = f"http://127.0.0.1:{stack.ports['collectorMetricsPort']}/metrics"
    containers = load.parts(stack)
    begin = time.time()
    before = collector_metrics.read(metrics)
    used = {part: load.used(name, stack.environment)[0] for part, name in containers.items()}
    used |= _of_processes(stack)
    time.sleep(seconds)
    after = collector_metrics.read(metrics)
    of_containers = {part: load.used(name, stack.environment) for part, name in containers.items()}
    now = {part: cpu for part, (cpu, _) in of_containers.items()} | _of_processes(stack)
    passed = time.time() - begin
    found = {
        trace.document["traceID"]
        for service in _SERVICES
        for slice_ in range(int(seconds // _SLICE))
        for trace in search(
            stack.jaeger_url,
            service,
            since=begin + slice_ * _SLICE,
            before=begin + (slice_ + 1) * _SLICE,
        )
    }
    return Minute(
        accepted=(after.accepted - before.accepted) * 60 / passed,
        sent=(after.sent - before.sent) * 60 / passed,
        traces=len(found) * 60 / passed,
        cpu={part: 100 * (cpu - used[part]) / passed for part, cpu in now.items()},
        collector_mib=of_containers["collector"][1],
    )


def _of_processes(stack: Stack) -> dict[str, float]:
    """Seconds of the processor that each process of ``_PROCESSES`` on the server has used."""
    found = load.used_by_processes(stack.docker, stack.server)
    return {part: found[name] for part, name in _PROCESSES.items() if name in found}


def under_load(stack: Stack, seconds: float, number: int) -> Minute:
    """The same while ``number`` pods start."""
    with pods(stack, "sleep", "3600", count=number) as many:
        measured = measure(stack, seconds)
        many.wait_for("Running")
    return measured


def table(rows: Mapping[str, tuple[Minute, Minute]]) -> str:
    """As Markdown; CPU is in percent of one core, at rest and under load."""
    lines = [
        "| `tracing` | spans a minute at rest: made, kept "
        "| traces kept, and how long 50,000 last | under load: made, kept "
        f"| CPU: {', '.join(_PARTS)}: at rest | under load | memory of the collector |",
        "|---|---|---|---|---|---|---|",
    ]
    for preset, (rest, busy) in rows.items():
        cpu = [f"{', '.join(_percent(minute.cpu))} %" for minute in (rest, busy)]
        cells = [
            f"`{preset}`",
            f"{rest.accepted:,.0f}, {rest.sent:,.0f}",
            f"{rest.traces:,.0f}, {rest.ring}",
            f"{busy.accepted:,.0f}, {busy.sent:,.0f}",
            *cpu,
            f"{busy.collector_mib:.0f} MiB",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _percent(cpu: Mapping[str, float]) -> Iterator[str]:
    for part in _PARTS:
        yield f"{cpu[part]:.1f}" if part in cpu else "-"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.presets", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="of a measurement (default: 60)")
    parser.add_argument("--pods", type=int, default=20, help="under load (default: 20)")
    options = parser.parse_args(arguments)
    rows: dict[str, tuple[Minute, Minute]] = {}

    def compare(stack: Stack, _: Path) -> None:
        for preset in PRESETS:
            stack.settle(tracing=preset)
            with noise.of_k3s(stack):
                time.sleep(_SETTLE_SECONDS)
                rest = measure(stack, options.seconds)
                rows[preset] = rest, under_load(stack, options.seconds, options.pods)
            print(table({preset: rows[preset]}), file=sys.stderr, flush=True)

    return on_a_stack(compare, lambda: table(rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
