"""Verdicts on what a command caused: of nothing else, and never without what decides."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace.activity.requests import ApiRequest, requests_in
from ktrace.expect import caused
from ktrace.expect.caused import Caused
from ktrace.expect.judge_command import Evidence, judge, unjudged
from ktrace.expect.judge_quiet import Watched
from ktrace.expect.schema import Expectation
from ktrace.expect.verdict import Verdict
from ktrace.following.followed_pod import FollowedPod
from ktrace.jaeger import Trace
from ktrace.podstart.model import ContainerStart, PodStart, Ready, Step, Waiting
from tests.unit.ktrace.expect.command_spans import BEGIN, CONFIGMAPS, Made, joined

SECOND = 1_000_000
STARTED = datetime.fromtimestamp(BEGIN / SECOND, UTC)
UNTIL = STARTED + timedelta(seconds=100)
KNOWN = Evidence(UNTIL)


def about(**what: Any) -> Expectation:
    return Expectation.model_validate({"name": "it", **what})


def of(*requests: Made, neighbours: Sequence[Made] = ()) -> Caused:
    """What the command caused whose requests are ``requests``, all in one trace with others."""
    trace = joined(*requests, *neighbours)
    recorded = [request.recorded for request in requests]
    return caused.of_command(recorded, {one.audit_id: trace for one in requests}, [])


def verdict(expectation: Expectation, made: Caused, evidence: Evidence = KNOWN) -> Verdict:
    return judge(expectation, made, evidence)


# --- requests -------------------------------------------------------------------------------------

WRITES = (
    Made("a", "POST", CONFIGMAPS, status=201),
    Made("b", "PATCH", f"{CONFIGMAPS}/x[0]", took=90),
    Made("c", "GET", "/version"),
    Made("d", "PUT", "/apis/apps/v1/namespaces/shop/deployments/web/status", agent="helm/v3"),
    Made("e", "PATCH", f"{CONFIGMAPS}/a?dryRun=All"),
)


@pytest.mark.parametrize(
    ("select", "count"),
    [
        ({}, 5),
        ({"verb": "write"}, 3),
        ({"verb": "patch"}, 2),
        ({"verb": "p*"}, 2),
        ({"resource": "configmaps"}, 3),
        ({"resource": "deployments.apps/status"}, 1),
        ({"resource": "deployments/*"}, 1),
        ({"resource": "deployments"}, 0),
        ({"namespace": "shop"}, 1),
        ({"name": "x[0]"}, 1),
        ({"name": "x[*"}, 1),
        ({"client": "helm/*"}, 1),
    ],
)
def test_requests_are_selected_by_what_they_are(select: dict[str, str], count: int) -> None:
    expectation = about(request=select, expect={"count": count})
    assert verdict(expectation, of(*WRITES)) == Verdict("it", found=count, noun="request")


def test_what_is_wrong_with_a_request_is_told_with_its_trace() -> None:
    made = of(*WRITES, Made("f", "DELETE", f"{CONFIGMAPS}/gone", status=404))
    slow = verdict(about(request={"verb": "write"}, expect={"durationBelowMs": 90}), made)
    assert slow.failures == (
        "patch configmaps default/x[0] by kubectl/v1 (200, 90.0 ms, trace t1) is not below 90 ms",
    )
    wrong = verdict(about(request={"verb": "delete"}, expect={"noErrors": True}), made)
    assert "delete configmaps default/gone by kubectl/v1 (404, " in wrong.failures[0]
    assert verdict(about(request={}, expect={"status": "2*"}), made).failures == (
        "delete configmaps default/gone by kubectl/v1 (404, 10.0 ms, trace t1) was not answered "
        "with 2*",
    )
    many = verdict(about(request={"verb": "write"}, expect={"count": {"max": 1}}), made)
    assert many.failures[0].startswith("number of requests: expected at most 1, found 4: ")


def test_a_watch_lasts_as_long_as_it_is_wanted() -> None:
    made = of(Made("a", "GET", f"{CONFIGMAPS}?watch=true", took=5000))
    assert verdict(about(request={}, expect={"durationBelowMs": 10}), made).ok


def test_what_a_webhook_asks_for_a_request_is_caused_by_the_command() -> None:
    asked = Made("z", "GET", f"{CONFIGMAPS}/b", agent="webhook/1")
    made = of(Made("a", webhooks=(50,), below=(asked,)))
    assert verdict(about(request={"client": "webhook/1"}, expect={"count": 1}), made).ok
    assert made.requests_without_spans == 0


# --- webhooks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["*", "policy/*", "w?.example.com", "policy/w0.example.com"])
def test_a_webhook_is_selected_by_its_name_with_or_without_its_configuration(pattern: str) -> None:
    made = of(Made("a", webhooks=(50,)))
    assert verdict(about(webhook=pattern, expect={"count": 1, "durationBelowMs": 51}), made).ok
    slow = verdict(about(webhook=pattern, expect={"durationBelowMs": 50}), made)
    assert slow.failures == (
        "validating webhook policy/w0.example.com (50.0 ms, trace t1) is not below 50 ms",
    )


def test_a_webhook_that_was_not_called_is_told_with_those_that_were() -> None:
    missing = verdict(about(webhook="other/*"), of(Made("a", webhooks=(5,))))
    assert (missing.judged, missing.nearest) == (True, ("policy/w0.example.com",))


@pytest.mark.parametrize(("status", "opened"), [(200, True), (500, False)])
def test_a_call_fails_open_if_the_request_goes_on(status: int, opened: bool) -> None:
    made = of(Made("a", status=status, webhooks=(-1000,)))
    for wanted in (True, False):
        found = verdict(about(webhook="*", expect={"failedOpen": wanted}), made)
        assert found.ok is (opened is wanted)
    assert not verdict(about(webhook="*", expect={"noErrors": True}), made).ok


# --- pods -----------------------------------------------------------------------------------------

STEPS = (Step("pull busybox", "kubelet", 0, 900), Step("sandbox", "containerd", 900, 100))
START = PodStart(
    "default",
    "web-0",
    STARTED,
    1000.0,
    STEPS,
    ("t1",),
    complete=True,
    containers=(ContainerStart("main", "app", started=True),),
    wanted_known=True,
    beginning_known=True,
    ready=Ready(2000.0, "span"),
)


def pod(start: PodStart | None = START, **more: Any) -> FollowedPod:
    phase, settled = more.pop("phase", "Running"), more.pop("settled", True)
    return FollowedPod(
        "default",
        "web-0",
        "u",
        phase,
        (),
        start,
        created=STARTED,
        settled=settled,
        **{"is_new": True, **more},
    )


def of_pods(*pods: FollowedPod) -> Caused:
    return Caused(pods=pods)


WITHIN = {"startedWithin": "1s", "readyWithin": "2s"}


@pytest.mark.parametrize(
    ("bounds", "failure"),
    [
        ({"startedWithin": "2s", "readyWithin": "3s", "noErrors": True}, ""),
        ({"startedWithin": "1s"}, "was started after 1.00 s, not within 1.00 s; the slowest step:"),
        ({"readyWithin": "2s"}, "was Ready after 2.00 s, not within 2.00 s; the slowest step: pul"),
        ({"steps": {"pull *": "1s"}}, ""),
        ({"steps": {"pull *": "500ms"}}, ": pull busybox took 900 ms, not less than 500 ms"),
    ],
)
def test_a_pod_is_judged_by_its_start(bounds: dict[str, Any], failure: str) -> None:
    found = verdict(about(pod="default/web-*", expect=bounds), of_pods(pod()))
    assert found.judged
    assert found.ok is (not failure)
    assert failure in "".join(found.failures)


def test_a_time_to_the_second_decides_only_what_a_second_leaves_open() -> None:
    rough = pod(replace(START, ready=Ready(2000.0, "condition")))
    for bound, ok, judged in (("4s", True, True), ("2500ms", False, False), ("1s", False, True)):
        found = verdict(about(pod="*", expect={"readyWithin": bound}), of_pods(rough))
        assert (found.ok, found.judged) == (ok, judged)


WAITS = replace(
    START,
    complete=False,
    containers=(ContainerStart("main", "app", started=False),),
    waiting=(Waiting("pulling image none: not found"),),
    ready=Ready(),
)


def test_a_pod_that_never_starts_fails_once_the_time_is_over() -> None:
    stuck = of_pods(pod(WAITS, phase="Pending", settled=False))
    late = verdict(about(pod="*", expect={"readyWithin": "30s"}), stuck)
    assert late.judged
    assert late.failures == (
        "pod default/web-0 is not Ready after 1 min 40.0 s (pulling image none: not found)",
    )
    early = verdict(about(pod="*", expect={"readyWithin": "5m"}), stuck)
    assert not early.judged
    assert "--for 305 follows longer" in early.failures[0]


def test_a_pod_without_spans_is_not_known() -> None:
    """It runs, but when it began to is not known."""
    blind = of_pods(pod(None))
    for bounds in ({"startedWithin": "10m"}, {"readyWithin": "10m"}, {"noErrors": True}):
        found = verdict(about(pod="*", expect=bounds), blind)
        assert (found.ok, found.judged) == (False, False)


def test_a_step_of_no_pod_is_told() -> None:
    found = verdict(about(pod="*", expect={"steps": {"pul": "1s"}}), of_pods(pod()))
    assert found.notes == ("no step is called pul; there are pull busybox, sandbox",)


def test_pods_that_were_there_before_are_not_selected() -> None:
    """Not even those that only waited until then."""
    made = caused.of_command([], {}, [pod(is_new=False), pod(WAITS, is_new=False)])
    assert verdict(about(pod="*", expect={"count": 0}), made).ok


def test_a_pod_that_was_removed_meanwhile_is_not_known() -> None:
    removed = pod(WAITS, phase="Pending", settled=False, gone=True)
    found = verdict(about(pod="*", expect={"readyWithin": "1s"}), of_pods(removed))
    assert (found.ok, found.judged) == (False, False)
    assert "pod default/web-0 is gone" in found.failures[0]


# --- quiet ----------------------------------------------------------------------------------------

TOUCHED = frozenset({"configmaps/default/a"})
QUIET = about(quietFor="20s")


def writes(*seconds: float, path: str = f"{CONFIGMAPS}/a", **of: Any) -> list[ApiRequest]:
    """At so many seconds."""
    agent = of.pop("agent", "loop/1 (x)")
    made = [
        Made(f"w{number}", path=path, start=int(second * 1000), agent=agent, **of)
        for number, second in enumerate(seconds)
    ]
    return [one for write in made for one in requests_in([Trace("t", tuple(write.spans()))])]


def watched(*seconds: float, last: float = 40, **of: Any) -> Watched:
    return Watched.of(TOUCHED, writes(*seconds, **of), BEGIN, BEGIN + int(last * SECOND))


def quiet(seen: Watched | None, **evidence: Any) -> Verdict:
    return judge(QUIET, Caused(), replace(KNOWN, watched=seen, **evidence))


def test_writes_in_a_time_that_is_too_short_for_a_pause_are_no_failure() -> None:
    """As in a bundle of a run that awaited a shorter pause."""
    found = quiet(watched(5, last=12))
    assert (found.ok, found.judged) == (False, False)
    assert found.failures == ("not known: only 12.0 s were watched, not 40.0 s",)
    assert found.notes == ("loop/1 wrote configmaps/default/a once",)


def test_a_hot_loop_is_named_and_counted() -> None:
    found = quiet(watched(*range(1, 40)))
    assert (found.found, found.judged, found.noun) == (39, True, "write")
    assert found.failures == (
        "never 20.0 s without a write in the 40.0 s after what the command caused had settled: the "
        "longest pause was 1.0 s",
        "loop/1 wrote configmaps/default/a 39 times, the longest pause 1.0 s",
    )
    assert found.notes == (
        "whether these writes are because of the command is not known: they came after it",
    )


def test_a_controller_is_named_by_its_service_account() -> None:
    agent = (
        "kube-controller-manager/v1.36.3 (linux/amd64) kubernetes/abc/"
        "system:serviceaccount:kube-system:deployment-controller"
    )
    found = quiet(watched(*range(1, 40), agent=agent, status=409))
    assert found.failures[1] == (
        "kube-controller-manager/v1.36.3 (service account kube-system/deployment-controller) wrote "
        "configmaps/default/a 39 times, the longest pause 1.0 s, 39 of them with an error"
    )


def test_one_update_by_a_controller_is_no_hot_loop() -> None:
    found = quiet(watched(3))
    assert found.ok
    assert found.notes == ("before it was quiet, loop/1 wrote configmaps/default/a once",)


@pytest.mark.parametrize(
    ("method", "path", "counts"),
    [
        ("PATCH", f"{CONFIGMAPS}/a/status", True),
        ("PUT", f"{CONFIGMAPS}/a", True),
        ("DELETE", f"{CONFIGMAPS}/a", True),
        ("GET", f"{CONFIGMAPS}/a", False),
        ("PATCH", f"{CONFIGMAPS}/a?dryRun=All", False),
        ("PATCH", f"{CONFIGMAPS}/b", False),
        ("PATCH", "/api/v1/namespaces/other/configmaps/a", False),
    ],
)
def test_what_counts_as_a_write_of_a_touched_object(method: str, path: str, counts: bool) -> None:
    assert quiet(watched(*range(1, 40), path=path, method=method)).ok is not counts


@pytest.mark.parametrize(
    "evidence",
    [
        {"writes_dropped": "tracing: starts leaves out writes"},
        {"behind": ("apiserver",)},
        {"gone": "are lost: Jaeger restarted"},
    ],
)
def test_silence_is_not_known_where_writes_may_be_missing(evidence: dict[str, Any]) -> None:
    silent = quiet(watched(), **evidence)
    assert (silent.ok, silent.judged) == (False, False)
    assert silent.failures[0].startswith("not known: ")
    loud = quiet(watched(*range(1, 40)), **evidence)
    assert (loud.ok, loud.judged) == (False, True), "what was written was written"


def test_nothing_watched_is_not_quiet() -> None:
    found = quiet(None, unwatched="the command wrote no object")
    assert (found.failures, found.judged) == (("not known: the command wrote no object",), False)
    assert not quiet(watched(last=10)).judged
    assert quiet(watched(), writes_caveat="the sampling is not known").notes == (
        "the sampling is not known",
    )


@given(
    times=st.lists(st.integers(1, 399), unique=True, max_size=40),
    others=st.lists(st.integers(1, 399), max_size=10),
)
def test_it_is_quiet_exactly_if_a_pause_is_long_enough(times: list[int], others: list[int]) -> None:
    own = [time / 10 for time in sorted(times)]
    neighbours = [Made("x", path=f"{CONFIGMAPS}/z", start=time * 100) for time in others]
    foreign = list(
        requests_in(Trace(f"f{n}", tuple(m.spans(f"f{n}"))) for n, m in enumerate(neighbours))
    )
    alone = watched(*own)
    both = Watched.of(TOUCHED, [*writes(*own), *foreign], alone.begin, alone.end)
    assert both == alone
    moments = [0.0, *own, 40.0]
    pause = max(b - a for a, b in itertools.pairwise(moments))
    assert quiet(both).ok is (pause >= 20 - 1e-9)


# --- of nothing else, and never without what decides ----------------------------------------------

_MADE = st.builds(
    Made,
    audit_id=st.uuids().map(str),
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE"]),
    path=st.sampled_from([CONFIGMAPS, f"{CONFIGMAPS}/a", "/version", f"{CONFIGMAPS}/a/status"]),
    agent=st.sampled_from(["kubectl/v1", "helm/v3"]),
    status=st.sampled_from([200, 409, 500]),
    start=st.integers(0, 900),
    took=st.integers(1, 200),
    webhooks=st.lists(st.sampled_from([5, 60, 150, -100]), max_size=2).map(tuple),
)
_COUNT = st.one_of(
    st.integers(0, 3),
    st.builds(lambda low: {"min": low}, st.integers(0, 3)),
    st.builds(lambda most: {"max": most}, st.integers(0, 3)),
)
_EXPECTATION = st.one_of(
    st.builds(
        lambda verb, count, more: about(request={"verb": verb}, expect={"count": count, **more}),
        st.sampled_from(["*", "write", "get", "patch"]),
        _COUNT,
        st.sampled_from([{}, {"durationBelowMs": 100}, {"noErrors": True}, {"status": "2*"}]),
    ),
    st.builds(
        lambda name, count, more: about(webhook=name, expect={"count": count, **more}),
        st.sampled_from(["*", "policy/w0.*", "none"]),
        _COUNT,
        st.sampled_from([{}, {"durationBelowMs": 100}, {"noErrors": True}, {"failedOpen": False}]),
    ),
    st.builds(
        lambda count, more: about(
            select={"component": "apiserver"}, expect={"count": count, **more}
        ),
        _COUNT,
        st.sampled_from([{}, {"durationBelowMs": 100}, {"noErrors": True}]),
    ),
)


def _unique(requests: list[Made]) -> list[Made]:
    return list({one.audit_id: one for one in requests}.values())


@given(
    own=st.lists(_MADE, min_size=1, max_size=4).map(_unique),
    neighbours=st.lists(_MADE, min_size=1, max_size=4).map(_unique),
    expectation=_EXPECTATION,
)
def test_a_neighbours_request_has_no_part_in_any_verdict(
    own: list[Made], neighbours: list[Made], expectation: Expectation
) -> None:
    """Not even in the same trace: that of the CI job in which both run."""
    assert verdict(expectation, of(*own, neighbours=neighbours)) == verdict(expectation, of(*own))


@given(
    own=st.lists(_MADE, min_size=1, max_size=4).map(_unique),
    expectation=_EXPECTATION,
    silent=st.sampled_from(["requests", "behind", "gone"]),
)
def test_nothing_is_met_that_spans_which_never_came_could_break(
    own: list[Made], expectation: Expectation, silent: str
) -> None:
    made, evidence = of(*own), KNOWN
    if silent == "requests":
        made = caused.of_command([one.recorded for one in own], {}, [])
    elif silent == "behind":
        evidence = replace(KNOWN, behind=("apiserver",))
    else:
        evidence = replace(KNOWN, gone="are lost")
    found = verdict(expectation, made, evidence)
    expect = expectation.expect
    if expect.can_be_broken or expect.is_of_absence:
        assert not found.ok
    if found.ok:
        assert found.found >= expect.least > 0, "a lower bound that is reached stays reached"


def test_what_was_not_judged_says_why_and_counts_as_not_met() -> None:
    subjects: tuple[dict[str, Any], ...] = ({"request": {}}, {"webhook": "*"}, {"pod": "*"})
    for what in (*subjects, {"quietFor": "1s"}):
        found = unjudged(about(**what), "Ctrl-C")
        assert (found.failures, found.judged) == (("not known: Ctrl-C",), False)


def test_the_webhooks_of_a_pods_creation_count_and_of_no_other_request_for_it() -> None:
    pods = "/api/v1/namespaces/default/pods"
    requests = (
        Made("created", "POST", f"{pods}/web-0", webhooks=(50,)),
        Made("changed", "PATCH", f"{pods}/web-0", agent="operator/1", webhooks=(60,)),
        Made("other", "POST", f"{pods}/db-0", webhooks=(70,)),
    )
    made = caused.of_command([], {}, [pod()], [joined(*requests)])
    assert [call.call.duration for call in made.calls] == [50_000]
    assert made.pods_without_creation == ()


# --- the clock ------------------------------------------------------------------------------------


def test_the_api_servers_clock_is_known_from_the_commands_own_requests() -> None:
    for ahead in (-5000, 0, 5000):
        made = Made("a", took=10)
        trace = joined(replace(made, start=made.start + ahead))
        off = caused.clock_ahead([made.recorded], {"a": trace}) / 1000
        assert abs(off - ahead) <= 10
    assert caused.clock_ahead([Made("a").recorded], {}) == 0
