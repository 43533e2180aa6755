"""The sample outputs of the documentation, from recorded traces and answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ktrace.benchmark import alike, sources
from ktrace.benchmark import file as measurement
from ktrace.benchmark.samples import Measurement, rows
from ktrace.benchmark.statistics import compare
from ktrace.bundle import file, recording
from ktrace.components import CONTAINERD, KUBELET
from ktrace.errors import USAGE
from ktrace.expect import judge, schema, shipped
from ktrace.jaeger import Span, Trace
from ktrace.jaeger.model import read, trace_of
from ktrace.target import target
from ktrace.view import benchmark, terminal, verdicts
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
"""Bundles that were recorded in the lab, on stacks with one node."""
ANSWERED = ("show", "rollout", "ending", "top", "writers", "webhooks", "boot", "watch", "verify")
"""The bundles that ``answered`` prints: of a pod with an init container; of a Deployment with a
postStart of 3 s whose old pods ignore SIGTERM; of a pod with one container of two that does; of
requests while a script annotates a Deployment, twice; of requests while two webhooks do not
answer, of which one fails open; of a new stack; of three pods whose init container sleeps for two
seconds; and of a stack whose Jaeger was killed."""
_BEFORE = {"verify": "docker kill traced-one-jaeger; "}
"""What was done before a bundle was saved."""
_PAGE_IN_A_TABLE = re.compile(r"(  http\S+/trace/\w{4})\w+$")
_DAY = re.compile(r"(?<= at )\d{4}-\d\d-\d\d (?=\d\d:\d\d:\d\d )")
"""Of a time of another day than today: the sample is of its own day."""


def answered(name: str) -> str:
    """What the bundle's command prints, up to the first page; pages in a table are shortened."""
    asked, lines, _ = _answer(name)
    pages = (number for number, line in enumerate(lines) if line.startswith("http"))
    shown = lines[: next(pages, len(lines)) + 1]
    rest = ["…"] if len(shown) < len(lines) else []
    told = [_DAY.sub("", _PAGE_IN_A_TABLE.sub(r"\1…", line)) for line in shown]
    return block(_BEFORE.get(name, "") + asked, [*told, *rest])


EXCERPTS = {
    "webhook": ("create configmaps",),
    "removed": ("patch deployments/scale", "what followed", "note: "),
    "namespace": ("delete namespaces",),
    "eviction": ("create pods/eviction",),
}
"""Bundles of ``ktrace run``, and how the branches begin that ``excerpt`` prints: of a new object
while a webhook does not answer; of a Deployment that loses two pods, which ignore SIGTERM; of a
namespace with an object that a finalizer holds; and of a drain that a PodDisruptionBudget
refuses."""
_BRANCH = re.compile(r"[├└]── ")


def excerpt(name: str) -> str:
    """Some branches of what a command caused, each with what is below it."""
    asked, lines, _ = _answer(name)
    told, shown = list[str](), False
    for line in lines:
        if branch := _BRANCH.match(line):
            shown = line[branch.end() :].startswith(EXCERPTS[name])
        if shown:
            told.append(line)
        elif told[-1:] != ["…"]:
            told.append("…")
    return block(asked, told)


def bundle() -> str:
    """The first line of a start, when it is saved and from the file; what the file cannot tell."""
    asked, (title, *_), _ = _answer("show")
    name = "show.json.gz"
    spans = file.read(_ANSWERS / name).resource_spans
    saved = recording.saved(_ANSWERS / name, spans).replace(f"{_ANSWERS}{os.sep}", "")
    refused = _ktrace("show", "db-0", "--from", name)
    assert refused.returncode == USAGE
    rest = (
        f"$ ktrace show --from {name}", title, "…",
        f"$ ktrace show db-0 --from {name}", *refused.stderr.splitlines(),
    )  # fmt: skip
    return block(f"{asked} --save {name}", (title, "…", f"ktrace: {saved}", *rest))


def _answer(name: str) -> tuple[str, list[str], int]:
    """What was asked, the lines of the bundle's answer, and its exit code."""
    path = f"{name}.json.gz"
    asked = file.read(_ANSWERS / path).asked
    done = _ktrace(asked.command, "--from", path)
    assert done.returncode in (0, 1), done.stderr
    return str(asked).strip("`"), (done.stdout or done.stderr).splitlines(), done.returncode


def _ktrace(*words: str) -> subprocess.CompletedProcess[str]:
    """ktrace in the folder of the bundles."""
    return subprocess.run(
        (sys.executable, "-m", "ktrace", *words),
        cwd=_ANSWERS,
        env={**os.environ, "TZ": "UTC"},
        check=False,
        capture_output=True,
        text=True,
    )


def expected() -> str:
    """The verdicts on `kubectl apply` while an operator writes the Deployment each second."""
    asked, lines, code = _answer("expected")
    first = next(number for number, line in enumerate(lines) if line.startswith("FAILED"))
    told = block(asked, ["…", *lines[first:]])
    return told.removesuffix("```") + f"$ echo $?\n{code}\n```"


def stacks() -> str:
    """Starts on two releases of Kubernetes: the rows of the whole start and the next three."""
    one, two = map(_starts, ("one", "two"))
    kind, *_ = alike.common(one, two, "")
    one, two = alike.only(one, kind), alike.only(two, kind)
    shifts = compare(rows(one.warm), rows(two.warm))
    table = terminal.plain(*benchmark.differences(shifts, terminal.PIPE_WIDTH)).splitlines()
    titles = (
        f"{label}: stack:{name}, {benchmark.title(side)}"
        for label, name, side in (("A", "one", one), ("B", "two", two))
    )
    return block(
        "ktrace diff stack:one stack:two", [benchmark.verdict(shifts), *titles, *table[:6], "…"]
    )


def _starts(stack: str) -> Measurement:
    """What ``ktrace watch`` saw of that stack while ``ktrace bench`` ran."""
    path = str(_ANSWERS / f"starts-{stack}.json.gz")
    return sources.read(path, 0, lambda: target.choose(None, None, None), _untold)


@contextmanager
def _untold(_: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda *_: None


def run() -> str:
    """What `kubectl apply` of a Deployment with three replicas caused: its first pod."""
    asked, lines, _ = _answer("run")
    _, second, *_ = (number for number, line in enumerate(lines) if "── pod default/web-" in line)
    return block(asked, ["deployment.apps/web created", *lines[:second], "    …"])
