"""The sample outputs of the documentation, from recorded traces and answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ktrace.benchmark import file as measurement
from ktrace.benchmark.samples import rows
from ktrace.benchmark.statistics import compare
from ktrace.bundle import file, ran, replay
from ktrace.components import CONTAINERD, KUBELET
from ktrace.expect import judge, schema, shipped
from ktrace.jaeger import Span, Trace
from ktrace.jaeger.model import read, trace_of
from ktrace.pipeline.collector_metrics import Counters
from ktrace.pipeline.coverage import Coverage
from ktrace.pipeline.hops import BrokenHop
from ktrace.pipeline.synthetic_span import Synthetic
from ktrace.pipeline.verification import Verification
from ktrace.target import target
from ktrace.view import benchmark, coverage, terminal, tree, verdicts
from runtime_observability.host.memory_loss import MemoryLoss
from tests.fakes import recorded

POD = "echo-one"
"""The recorded start of `kubectl run`; tests/fakes/recorded.py records another."""
EXPECTATIONS = "pod-start"


def block(command: str, lines: Iterable[str]) -> str:
    """A command and its output as a block of code."""
    return "\n".join(["```", f"$ {command}", *(line.rstrip() for line in lines), "```"])


# --- from recordings ------------------------------------------------------------------------------

_SPANS = (
    "syncPod",
    "runtime.v1.RuntimeService/RunPodSandbox",
    "cni.setup_pod_network",
    "container.NewTask",
    "client.task.Start",
    "runtime.v1.ImageService/ImageStatus",
    "runtime.v1.RuntimeService/CreateContainer",
    "runtime.v1.RuntimeService/StartContainer",
)


def trace() -> str:
    """The spans of the kubelet's first sync of the pod: some of them, indented by their depth."""
    found = max(_traces(POD), key=lambda trace: len(trace.spans))
    counts = ", ".join(f"{name} {found.counts[name]}" for name in (KUBELET, CONTAINERD))
    begin = found.spans[0].start
    title = f"one trace of {len(found.spans)} spans: {counts} (excerpt)"
    lines = ["", f" start ms       ms  service     {title}"]
    seen = set()
    for span in found.spans:
        if span.operation in _SPANS and (span.service, span.operation) not in seen:
            seen.add((span.service, span.operation))
            pod = f"  k8s.pod={span.tags['k8s.pod']}" if "k8s.pod" in span.tags else ""
            lines.append(
                f"{(span.start - begin) / 1000:9.1f} {span.duration / 1000:8.1f}  "
                f"{span.service:<10}  {'  ' * _depth(found, span)}{span.operation}{pod}"
            )
    return block(f"kubectl run {POD} --image=busybox:1.35 --restart=Never -- echo hello", lines)


def assert_() -> str:
    """The shipped expectations of a pod's start, judged on the recorded traces."""
    expected = schema.load(shipped.find(EXPECTATIONS), {"POD": f"default/{POD}"})
    traces = list(_traces(POD))
    found = [judge.judge(expectation, traces) for expectation in expected.expectations]
    assert all(verdict.ok for verdict in found)
    command = f"ktrace assert {EXPECTATIONS} --set POD=default/{POD} --junit report.xml"
    return block(command, map(str, verdicts.lines(found)))


_MEASUREMENTS = Path(__file__).with_name("measurements")
"""Recorded in the lab, before and after a validating webhook that hangs up after 0.3 s."""


def bench() -> str:
    """A measurement."""
    command = "ktrace bench --pods 21 --save before.json"
    parts = benchmark.summary(measurement.read(_MEASUREMENTS / "before.json"))
    return block(command, (line for part in parts for line in terminal.plain(part).splitlines()))


def diff() -> str:
    """Its difference from another: the rows until all that differ are told."""
    before, after = (
        measurement.read(_MEASUREMENTS / f"{name}.json") for name in ("before", "after")
    )
    shifts = compare(rows(before.warm), rows(after.warm))
    table = terminal.plain(*benchmark.differences(shifts, terminal.PIPE_WIDTH)).splitlines()
    last = max(number for number, line in enumerate(table) if line.rstrip().endswith("slower"))
    kept = [line.rstrip() for line in table[: last + 3]]
    return block("ktrace diff before.json after.json", [benchmark.verdict(shifts), *kept, "  ..."])


def _traces(name: str) -> Iterable[Trace]:
    answers = [entry["answer"] for entry in read(recorded.text(name).encode())]
    found = [trace_of(document) for answer in answers for document in answer["data"] or []]
    return {trace.id: trace for trace in found}.values()


def _depth(found: Trace, span: Span) -> int:
    by_id = {other.span_id: other for other in found.spans}
    parent = by_id.get(span.parent_id or "")
    return _depth(found, parent) + 1 if parent else 0


# --- from recorded answers ------------------------------------------------------------------------

_ANSWERS = Path(__file__).with_name("answers")
"""Recorded in the lab, on stacks with one node: bundles, and what `ktrace verify --json` printed
once its Jaeger was killed."""


ANSWERED = ("show", "rollout", "ending", "top", "writers", "boot")
"""The bundles that ``answered`` prints: of a pod with an init container; of a Deployment with a
postStart of 3 s whose old pods ignore SIGTERM; of a pod with one container of two that does; of
requests while a script annotates a Deployment, twice; and of a new stack."""
_PAGE_IN_A_TABLE = re.compile(r"(  http\S+/trace/\w{4})\w+$")


def answered(name: str) -> str:
    """What the bundle's command prints, up to the first page; pages in a table are shortened."""
    bundle = _ANSWERS / f"{name}.json.gz"
    asked = file.read(bundle).asked
    command = (sys.executable, "-m", "ktrace", asked.command, "--from", str(bundle))
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    pages = (number for number, line in enumerate(lines) if line.startswith("http"))
    shown = lines[: next(pages, len(lines)) + 1]
    rest = ["…"] if len(shown) < len(lines) else []
    told = [_PAGE_IN_A_TABLE.sub(r"\1…", line) for line in shown]
    return block(str(asked).strip("`"), [*told, *rest])


def run() -> str:
    """What `kubectl apply` of a Deployment with three replicas caused: its first pod."""
    with replay.of(_ANSWERS / "run.json.gz") as recorded_run:
        chosen = target.choose(None, None, None)
        with chosen.connect() as jaeger:
            traced = chosen.traces_runtime
            report = ran.report(recorded_run.facts("run"), jaeger, runtime_traced=traced)
    lines = terminal.plain(*tree.render(report)).splitlines()
    _, second, *_ = (number for number, line in enumerate(lines) if "── pod default/web-" in line)
    output = ["deployment.apps/web created", *lines[:second], "    …"]
    return block("ktrace run -- kubectl apply -f deployment.yaml", output)


def verify() -> str:
    """A Jaeger that was killed."""
    told = json.loads((_ANSWERS / "verify.json").read_text())
    lost = told["lostTraces"]
    verification = Verification(
        [_coverage(part) for part in told["components"]],
        Synthetic(**told["synthetic"]),
        to_jaeger=Counters(**told["toJaeger"]),
        loss=_Loss(datetime.fromisoformat(lost["before"]), why=lost["why"]),
    )
    lines = [terminal.plain(line) for line in coverage.lines(verification, 0.0)]
    return block("docker kill traced-kt-jaeger; ktrace verify", _lines(lines))


def _coverage(part: Mapping[str, Any]) -> Coverage:
    assert part["lastSpanAgeSeconds"] is None
    assert part["nodeKnown"]
    broken = BrokenHop(**part["brokenHop"])
    return Coverage(part["component"], part["node"], expected=part["expected"], broken=broken)


@dataclass(frozen=True)
class _Loss(MemoryLoss):
    """In the words of the day on which it was recorded."""

    why: str = ""

    def __str__(self) -> str:
        return self.why


def _lines(texts: Sequence[str]) -> list[str]:
    return [line for text in texts for line in text.split("\n")]
