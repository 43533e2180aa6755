"""What holds for a start made of any spans, any pod object and any Events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ktrace.brief import brief, clause
from ktrace.podstart import cluster, gaps, pod, search
from ktrace.podstart.build import build
from ktrace.podstart.in_progress import until_observed
from ktrace.podstart.model import PodStart, Request, Spans, Step
from ktrace.podstart.search import look_for_start
from ktrace.text import cleaned
from ktrace.view import page, terminal, waterfall
from ktrace.view.retries import fold
from ktrace.view.start import document
from tests.fakes import starts
from tests.fakes.clock import Clock
from tests.fakes.jaeger import URL, Handler, client
from tests.schemas import validate

CALLS = ("RunPodSandbox", "PullImage", "CreateContainer", "StartContainer", "ExecSync")
OTHERS = ("StopContainer", "ImageStatus", "PodSandboxStatus")
NAMES = ("first", "main", "side", "debugger")
ERRORS = (
    "",
    "failed",
    'failed to "StartContainer" for "main" with CrashLoopBackOff: "back-off 10s"',
    'failed to "StartContainer" for "side" with ImagePullBackOff: "a \\"x\\": ErrImagePull: y"',
    '[failed to "StartContainer" for "main" with A: "a", failed to "StartContainer" for "x" with '
    'B: "b"]',
    "unmounted volumes=[v]",
)
_ROUNDING = 0.01
ANSWER: list[Handler] = []
JAEGER = client(lambda request: ANSWER[-1](request))  # noqa: PLW0108  it changes
"""A client takes 20 ms to make: one for all examples."""

times = st.one_of(
    st.integers(-1_000, 5_000).map(float),
    st.integers(-3_600_000, 36_000_000).map(float),
    st.sampled_from([0.0, 0.001, 20.0, 30.0, 300.0, 330.0]),
)
spells = st.one_of(
    st.just(0.0), st.integers(0, 2_000).map(float), st.integers(0, 3_600_000).map(float)
)
calls = st.builds(
    starts.call,
    st.sampled_from(CALLS + OTHERS),
    times,
    spells,
    container=st.sampled_from(("", *NAMES)),
    error=st.sampled_from(("", "", "", "no such file")),
    traced=st.booleans(),
    attempt=st.integers(0, 2),
)
syncs = st.builds(
    lambda start, made, **options: starts.sync(start, *made, **options),
    times,
    st.lists(calls, max_size=6),
    end=st.one_of(st.none(), times),
    error=st.sampled_from(ERRORS),
    update=st.sampled_from(("create", "sync")),
    node=st.sampled_from(("agent-1", "agent-2")),
    uid=st.sampled_from((starts.UID, starts.UID, "older")),
    running=st.booleans(),
)
requests = st.one_of(
    st.builds(starts.created, times, spells, code=st.sampled_from((201, 409))),
    st.builds(starts.bound, times, spells),
    st.builds(starts.patched, times, spells),
)
states: Any = st.one_of(
    st.just({}),
    st.builds(starts.running, times, restartCount=st.integers(0, 2)),
    st.builds(starts.ended, times, st.sampled_from(("Completed", "Error", "StartError"))),
    st.builds(starts.waiting, st.sampled_from(("ContainerCreating", "ImagePullBackOff"))),
)
parts: Any = st.fixed_dictionaries(
    {},
    optional={
        "restartPolicy": st.just("Always"),
        "startupProbe": st.just({"exec": {}}),
        "readinessProbe": st.just({"exec": {}}),
        "lifecycle": st.sampled_from(
            ({"postStart": {"exec": {}}}, {"postStart": {"sleep": {}}}, {"preStop": {}})
        ),
    },
)
pods = st.builds(
    starts.pod,
    st.dictionaries(st.sampled_from(("main", "side")), states, min_size=1),
    st.dictionaries(st.just("first"), states),
    specs=st.dictionaries(st.sampled_from(NAMES), parts),
    ready=st.one_of(st.none(), times),
    not_ready=st.sampled_from(("", "containers with unready status: [main]")),
    node=st.sampled_from(("", "agent-1")),
    uid=st.sampled_from((starts.UID, "another")),
    spec=st.just({"ephemeralContainers": [{"name": "debugger"}]}),
    phase=st.sampled_from(("Pending", "Running", "Succeeded", "Failed", "")),
)
events = st.builds(
    starts.event,
    st.sampled_from(
        ("Pulling", "Pulled", "Failed", "FailedMount", "FailedScheduling", "Unhealthy", "BackOff")
    ),
    st.sampled_from(("", "why", "Startup probe failed: x", "\x1b[2J\u202e\r\nnow: b")),
    times,
    times,
    st.sampled_from(("", *NAMES)),
)
junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                (
                    "metadata",
                    "spec",
                    "status",
                    "containers",
                    "containerStatuses",
                    "state",
                    "name",
                    "running",
                    "terminated",
                    "startedAt",
                    "conditions",
                    "items",
                    "involvedObject",
                    "series",
                    "count",
                    "creationTimestamp",
                    "lastTransitionTime",
                    "restartCount",
                )
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(syncs, max_size=4),
    st.lists(requests, max_size=4),
    st.one_of(st.none(), pods),
    st.lists(events, max_size=3),
)
def test_any_start_is_told_without_a_contradiction(
    syncs: list[Any], requests: list[Any], pod: Any, events: list[Any]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Clock(starts.BEGIN / 1e6 + 7200).drive(patch, search)
        known = cluster.read(starts.Api(pod, *events), "default", "a") if pod else None
        ANSWER[:] = [starts.handler(*unique([*syncs, *requests]))]
        start = look_for_start(JAEGER, "default", "a", known=known)
    if start is None:
        assert pod is None
        return
    check(start)
    observed = until_observed(start)
    check(observed)
    check_so_far(observed)
    assert start.complete == (pod is not None and start.started == start.wanted)
    if known and known.pod:
        check_containers(start, known.pod)
    for request in requests:
        assert start.started_at.timestamp() <= starts.BEGIN / 1e6 + 36_000, request


def check_containers(start: PodStart, known: pod.Pod) -> None:
    """Whatever spans say, a container that neither they nor the pod saw start is missing."""
    assert [found.name for found in start.containers] == [found.name for found in known.containers]
    seen = {step.name.removeprefix("start container ") for step in start.steps if not step.error}
    for container, found in zip(known.containers, start.containers, strict=True):
        if not container.started and container.name not in seen:
            assert not found.started
            assert not start.complete
    assert "debugger" not in {found.name for found in start.containers}


def check(start: PodStart) -> None:
    """What no start contradicts."""
    top = [step for step in start.steps if step.depth == 0]
    for step in start.steps:
        assert step.start_ms >= 0
        assert step.duration_ms >= 0
        assert step.end_ms <= start.duration_ms + _ROUNDING
    for step in start.ready.steps:
        assert start.duration_ms - _ROUNDING <= step.start_ms
        assert step.end_ms <= start.length_ms + _ROUNDING
    check_covered(top, 0.0, start.duration_ms)
    check_covered(start.ready.steps, start.duration_ms, start.length_ms)
    for detail, outer in details(start.steps):
        assert outer.start_ms - _ROUNDING <= detail.start_ms
        assert detail.end_ms <= outer.end_ms + _ROUNDING
    assert 0 <= start.unexplained_ms <= start.duration_ms + _ROUNDING
    unknown = sum(step.duration_ms for step in top if step.unexplained)
    assert start.unexplained_ms >= unknown - _ROUNDING
    known = sum(step.duration_ms for step in top if not step.unexplained)
    assert start.unexplained_ms == pytest.approx(start.duration_ms - known, abs=_ROUNDING)
    assert start.incomplete == (not start.complete) or not start.wanted_known
    assert sum(step.share for step in start.steps) <= 1.0001
    assert all(0 <= step.share <= 1.0001 for step in start.steps)
    marked = [step for step in start.steps if step.critical]
    assert len(marked) <= 5
    assert not marked or start.measured
    for step in start.steps:
        assert step.share * start.duration_ms <= step.duration_ms + _ROUNDING
    if start.ready.after_ms is not None:
        assert start.complete
        assert start.ready.after_ms >= start.duration_ms - _ROUNDING
    drawn(start)


def check_covered(steps: Sequence[Step], begin_ms: float, end_ms: float) -> None:
    """They follow one another without an overlap; what is left between them is not worth a step."""
    covered = begin_ms
    for step in steps:
        assert step.start_ms >= covered - _ROUNDING
        assert step.start_ms - covered < 100, "a gap of this length is always a step"
        assert not gaps.is_shown(step.start_ms - covered - _ROUNDING, end_ms)
        covered = max(covered, step.end_ms)
    assert not gaps.is_shown(end_ms - covered - _ROUNDING, end_ms)


def check_so_far(start: PodStart) -> None:
    """What is claimed of a start that goes on."""
    if not start.so_far:
        assert "so far" not in waterfall.title(start)
        return
    assert start.incomplete
    assert start.looked_at is not None
    passed = start.looked_at - start.started_at
    assert start.duration_ms == pytest.approx(passed.total_seconds() * 1000)
    assert waterfall.title(start).endswith("so far")


def details(steps: tuple[Step, ...]) -> list[tuple[Step, Step]]:
    """Each detail with the step that it belongs to."""
    found, outer = [], steps[0] if steps else None
    for step in steps:
        if step.depth == 0:
            outer = step
        elif outer:
            found.append((step, outer))
    return found


def drawn(start: PodStart) -> None:
    told = document(start, URL)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    validate("show", told)
    assert all("\n" not in line for line in waterfall.summary(start))
    for columns in (60, 120):
        terminal.plain(waterfall.table(start, columns))
    assert page.render(start, URL).endswith("</html>\n")
    assert all(character.isprintable() for line in strings(told) for character in line)
    same_in_text(start, told)


def strings(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    values = document.values() if isinstance(document, dict) else document
    for value in values if isinstance(document, dict | list) else ():
        yield from strings(value)


def same_in_text(start: PodStart, told: dict[str, Any]) -> None:
    """The text has what the document has, and the same durations."""
    title, lines = waterfall.title(start), waterfall.summary(start)
    table = waterfall.table(start, 120)
    begins, took, marks, components, _, names = (list(column.cells) for column in table.columns)
    found = (*start.steps, *start.ready.steps)
    documents = [*told["steps"], *told["ready"]["steps"]]
    told_of = {id(known): step for known, step in zip(found, documents, strict=True)}
    rows = list(fold(found))
    assert len(rows) == table.row_count
    for number, known in enumerate(rows):
        if isinstance(known, int):
            assert str(names[number]) == f"… {known:,} more of these: see --json"
            continue
        step = told_of[id(known)]
        assert begins[number] == terminal.milliseconds(known.start_ms)
        assert round(known.start_ms, 1) == step["startMs"]
        assert took[number] == terminal.milliseconds(known.duration_ms)
        assert round(known.duration_ms, 1) == step["durationMs"]
        assert bool(str(marks[number])) == step["critical"]
        assert str(components[number]) == step["component"]
        name = str(names[number])
        assert name.strip().startswith(brief(step["name"]))
        assert ("FAILED" in name) == bool(step["error"]) or "FAILED" in step["name"]
        assert name.endswith("(placed)") == (step["placed"] and not step["error"])
        where, error = f"error in {brief(step['name'])}", f": {step['error']}"
        told_once = (line.startswith(where) and line.endswith(error) for line in lines)
        assert not step["error"] or any(told_once)
    for waiting in told["waitingFor"]:
        what = clause(waiting["what"])
        (line,) = {line for line in lines if line.startswith(f"now: {what}")} or {""}
        assert line, waiting
        assert line.endswith((what, f"{what}.")) or waiting["forSeconds"] is not None
    for note in told["notes"]:
        assert brief(note) in lines
    for source in told["missing"]:
        assert any(source in line for line in lines if line.startswith("without "))
    assert (told["durationMs"] is None) == (waterfall.length(start) == "")
    assert (told["soFarMs"] is not None) == title.endswith("so far")
    assert (" started in " in title or " started; how long" in title) >= told["complete"]
    began = any(line.startswith("began: ") for line in lines)
    assert began == told["beginningKnown"]
    ready = told["ready"]["afterMs"]
    assert (ready is not None) == any(line.startswith("Ready after ") for line in lines)


def unique(traces: list[Any]) -> list[Any]:
    """Jaeger has one trace of an id."""
    return list({trace["traceID"]: trace for trace in traces}.values())


@settings(deadline=None)
@given(junk)
@example({"metadata": [], "spec": {"containers": ["a", {"name": 1}]}, "status": "x"})
def test_any_answer_of_an_api_server_is_read(answer: Any) -> None:
    document = cleaned(answer)
    found = pod.pod_of(document)
    pod.events_of(document, found)
    start = build("default", "a", Spans(), found, pod.events_of({"items": [document]}, None))
    assert start is not None
    check(start)


class Broken:
    """An API server each of whose answers is another surprise."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def get(self, path: str) -> dict[str, Any]:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut")],
)
def test_a_cluster_that_fails_is_named(error: Exception) -> None:
    known = cluster.read(Broken(error), "default", "a")
    assert known.missing == (f"the pod object and its Events: {error}",)


def test_a_request_alone_is_no_start() -> None:
    (creation,) = starts.read(starts.created(0))
    assert build("default", "a", Spans(creation=Request(creation.spans[0]))) is None
