"""What holds for an ending made of any spans, any pod object and any Events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrace.podend import search
from ktrace.podend.model import PodEnding
from ktrace.podend.search import look_for_ending
from ktrace.podend.waits import until_observed
from ktrace.podstart import cluster
from ktrace.view import ending as view
from ktrace.view import ending_page, terminal, waterfall
from tests.fakes import endings, starts
from tests.fakes.clock import Clock
from tests.fakes.jaeger import URL, Handler, client
from tests.fakes.starts import Api
from tests.schemas import validate

_ROUNDING = 0.01
_LEAST_GRACE_MS = 1900
ANSWER: list[Handler] = []
JAEGER = client(lambda request: ANSWER[-1](request))  # noqa: PLW0108  it changes
NAMES = ("main", "side", "\x1b[2Jred")
UIDS = (starts.UID, starts.UID, "older")

times = st.one_of(
    st.integers(-1_000, 10_000).map(float),
    st.integers(-3_600_000, 7_200_000).map(float),
    st.sampled_from([0.0, 10.0, 1000.0, 1010.0]),
)
spells = st.one_of(
    st.just(0.0), st.integers(0, 40_000).map(float), st.integers(0, 3_600_000).map(float)
)
signals = st.lists(st.sampled_from((0.0, 1.0, 1500.0, 2000.0, 30_000.0)), max_size=3)
stops = st.builds(
    endings.stop,
    st.sampled_from(("", *NAMES)),
    times,
    spells,
    signals=signals,
    traced=st.booleans(),
    error=st.sampled_from(("", "", "no such container")),
)
calls = st.one_of(
    stops,
    st.builds(endings.hook, st.sampled_from(("", *NAMES)), times, spells),
    st.builds(endings.sandbox, times, spells),
)
terminating = st.builds(
    lambda start, made, **options: endings.terminating(start, *made, **options),
    times,
    st.lists(calls, max_size=4),
    end=st.one_of(st.none(), times),
    error=st.sampled_from(("", "", "cannot stop\x1b]0;x")),
    uid=st.sampled_from(UIDS),
    running=st.booleans(),
)
agents = st.sampled_from((endings.KUBECTL, endings.REPLICASETS, endings.KUBELET, "", "a\x1b[1m/1"))
writes = st.builds(
    endings.write,
    st.sampled_from(("DELETE", "DELETE", "PATCH", "PUT", "POST")),
    times,
    spells,
    agent=agents,
    subresource=st.sampled_from(("", "", "status", "eviction", "binding")),
    removes=st.booleans(),
    collection=st.booleans(),
    code=st.sampled_from((200, 200, 409)),
)
traces = st.one_of(
    terminating,
    st.builds(endings.terminated, times, spells, uid=st.sampled_from(UIDS)),
    writes,
    st.builds(starts.created, times, spells),
    st.builds(
        lambda start, uid: starts.sync(
            start, starts.started("main", start + 5), update="create", uid=uid
        ),
        times,
        st.sampled_from(UIDS),
    ),
)
states: Any = st.one_of(
    st.just({}),
    st.builds(starts.running, times),
    st.builds(endings.exited, times, st.sampled_from((0, 1, 137, 143))),
    st.builds(starts.waiting),
)
ids = {name: {"containerID": f"containerd://id-{name}-0"} for name in NAMES}
pods = st.builds(
    endings.pod,
    st.dictionaries(
        st.sampled_from(NAMES[:2]),
        st.builds(lambda state, own: {**state, **own}, states, st.sampled_from([*ids.values()])),
        min_size=1,
    ),
    grace=st.sampled_from((None, 0, 1, 30)),
    asked=times,
    finalizers=st.sampled_from(((), ("example.com/x",))),
    node=st.sampled_from(("", starts.NODE)),
    uid=st.sampled_from((starts.UID, "another")),
    phase=st.sampled_from(("Pending", "Running", "Succeeded", "Failed", "")),
    specs=st.sampled_from(({}, {"main": {"lifecycle": {"preStop": {"httpGet": {}}}}})),
)
events = st.builds(
    starts.event,
    st.sampled_from(("Killing", "FailedPreStopHook", "FailedKillPod", "Evicted")),
    st.sampled_from(("", "why", "\x1b[2J\u202e\r\nnow: b")),
    times,
    times,
    st.sampled_from(("", *NAMES)),
)
KNOWN = st.one_of(st.just("no cluster"), st.just("gone"), pods)


@settings(deadline=None, max_examples=150)
@given(st.lists(traces, max_size=8), KNOWN, st.lists(events, max_size=3))
def test_any_ending_is_told_without_a_contradiction(
    found: list[Any], pod: Any, events: list[Any]
) -> None:
    api = Api(pod if isinstance(pod, dict) else None, *events)
    with pytest.MonkeyPatch.context() as patch:
        Clock(starts.BEGIN / 1e6 + 7200).drive(patch, search)
        known = None if pod == "no cluster" else cluster.read(api, "default", "a")
        ANSWER[:] = [starts.handler(*unique(found))]
        ending = look_for_ending(JAEGER, "default", "a", known=known, api=api)
    if ending is None:
        assert not isinstance(pod, dict)
        return
    check(ending)
    check(until_observed(ending))
    check_killed(ending, found)
    if isinstance(pod, dict) and ending.uid == pod["metadata"]["uid"]:
        check_object(ending, pod)
    elif ending.ended:
        assert known is None or known.gone or known.pod


def unique(found: Iterable[Any]) -> list[Any]:
    return list({trace["traceID"]: trace for trace in found}.values())


def check(ending: PodEnding) -> None:
    """What no ending contradicts."""
    length_ms, outer = ending.length_ms, None
    covered = 0.0
    for step in ending.steps:
        assert step.start_ms >= 0
        assert step.duration_ms >= 0
        assert step.end_ms <= length_ms + _ROUNDING
        if step.depth == 0:
            assert step.start_ms >= covered - _ROUNDING
            covered, outer = step.end_ms, step
        else:
            assert outer is not None
            assert outer.start_ms - _ROUNDING <= step.start_ms
            assert step.end_ms <= outer.end_ms + _ROUNDING
    assert sum(step.share for step in ending.steps) <= 1.0001
    assert not (ending.ended and ending.waiting)
    assert ending.duration_ms is None or ending.duration_ms >= 0
    assert ending.begun is not None or not ending.steps
    assert ending.deleted is not False or not ending.asked
    drawn(ending)


def drawn(ending: PodEnding) -> None:
    """Every view of it can be made, and has no line break or control sequence of its sources."""
    validate("ending", view.document(ending, URL))
    page = ending_page.render(ending, URL)
    assert page.endswith("</html>\n")
    assert page.count("<script") == 0
    assert all(f"left:{wrong}" not in page for wrong in ("-", "nan", "inf"))
    lines = [view.title(ending), *view.summary(ending)]
    assert all(line.isprintable() for line in lines), lines
    terminal.plain(waterfall.table_of(ending.steps, ending.length_ms, 120))


def check_killed(ending: PodEnding, found: Iterable[Any]) -> None:
    """A container that is called killed had two signals with the least grace period between."""
    proven = set()
    for trace in found:
        for stop in (
            span for span in trace["spans"] if span["operationName"].endswith("/StopContainer")
        ):
            kills = [
                span["startTime"]
                for span in trace["spans"]
                if span["operationName"] == "client.task.Kill"
                and span["references"][0]["spanID"] == stop["spanID"]
            ]
            if kills and max(kills) - min(kills) >= _LEAST_GRACE_MS * 1000:
                proven.add(round(stop["duration"] / 1000, 3))
    for end in ending.containers:
        if end.how == "killed":
            assert end.exit_code in (None, 137)
            assert end.resisted_ms is not None
            assert end.resisted_ms >= _LEAST_GRACE_MS
            assert round(end.stop_ms or 0, 3) in proven


def check_object(ending: PodEnding, pod: Any) -> None:
    """While the object of a deleted pod is there, it has not ended."""
    deleted = "deletionTimestamp" in pod["metadata"]
    if deleted:
        assert ending.ended is False
        assert ending.deleted is True
    if ending.ended:
        assert pod["status"]["phase"] in ("Succeeded", "Failed")
