"""Every kind of ending, from spans and objects that are written here."""

from __future__ import annotations

from typing import Any

import pytest

from ktrace.podend import search
from ktrace.podend.model import PodEnding
from ktrace.podend.search import look_for_ending
from ktrace.podend.waits import until_observed
from ktrace.podstart import cluster
from tests.fakes import endings, starts
from tests.fakes.clock import Clock
from tests.fakes.starts import Api

NOT_GIVEN: Any = object()
START = starts.sync(10, *([starts.started("main", 20)]), update="create")
NODE_DOWN = {
    "status": {
        "conditions": [
            {
                "type": "Ready",
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "lastTransitionTime": starts.second(20_000),
            }
        ]
    }
}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """An hour after BEGIN."""
    return Clock(starts.BEGIN / 1e6 + 3600).drive(monkeypatch, search)


def seen(*traces: Any, pod: Any = NOT_GIVEN, events: Any = (), node: Any = None) -> PodEnding:
    """What is told of ``traces``; of a cluster that has ``pod`` or none, if that is given."""
    api = Api(None if pod is NOT_GIVEN else pod, *events, node=node)
    known = None if pod is NOT_GIVEN else cluster.read(api, "default", "a")
    jaeger = starts.jaeger(starts.created(0), *traces)
    found = look_for_ending(jaeger, "default", "a", known=known, api=api)
    assert found is not None
    return until_observed(found)


def names(ending: PodEnding) -> list[str]:
    return [step.name for step in ending.steps]


def clean(at: float = 1000, *, signals: Any = (1,), took: float = 100) -> list[Any]:
    """A pod that is deleted at ``at`` and gone ``took`` + 700 ms later."""
    over = at + 10 + took
    return [
        START,
        endings.deleted(at),
        endings.terminating(
            at + 10,
            endings.stop("main", at + 10, took, signals=signals),
            endings.sandbox(over),
            end=over + 100,
        ),
        endings.terminated(over + 200),
        endings.by_kubelet(over + 502),
    ]


def test_a_clean_ending_is_told_from_request_to_removal() -> None:
    found = seen(*clean(), pod=None)
    assert (found.deleted, found.ended, found.killed) == (True, True, ())
    assert found.duration_ms == pytest.approx(110 + 502 + 5)
    assert names(found) == [
        "delete request by kubectl/v1.36.3",
        "until the kubelet begins to end it",
        "stop main",
        "stop the sandbox",
        "network taken down (CNI)",
        "the kubelet's next look at the runtime (every second)",
        "volumes unmounted, cgroup removed",
        "delete request by the kubelet",
    ]
    assert (found.uid, found.node) == (starts.UID, starts.NODE)


@pytest.mark.parametrize(
    ("signals", "took", "how"),
    [
        ((1,), 100, "ended"),
        ((1,), 29_000, "ended"),
        ((1, 2001), 2100, "killed"),
        ((1, 30_001), 30_100, "killed"),
        ((1, 400), 500, "ended"),
        ((1, 1500), 1600, "ended"),
        ((2500,), 2600, ""),
        ((), 100, ""),
    ],
)
def test_killed_is_what_had_a_second_signal_after_the_least_grace_period(
    signals: tuple[float, ...], took: float, how: str
) -> None:
    """Two signals in quick succession are the runtime's second try; a late single one is SIGKILL
    after an earlier call's stop signal, or that on a slow machine."""
    found = seen(*clean(signals=signals, took=took), pod=None)
    assert [end.how for end in found.containers] == [how]
    assert found.killed == (("main",) if how == "killed" else ())


@pytest.mark.parametrize(("code", "how"), [(137, "killed"), (0, "ended"), (143, "ended")])
def test_an_exit_code_decides_against_the_signals(code: int, how: str) -> None:
    document = endings.pod(
        {"main": {**endings.exited(4000, code), "containerID": "containerd://id-main-0"}},
        grace=0, asked=4000, finalizers=["example.com/x"], phase="Failed",
    )  # fmt: skip
    found = seen(*clean(signals=(1, 2001), took=2100), pod=document)
    assert [(end.how, end.exit_code) for end in found.containers] == [(how, code)]


def test_exit_code_137_alone_is_no_proof_of_the_grace_period() -> None:
    document = endings.pod({"main": endings.exited(1100, 137, "OOMKilled")}, asked=1000)
    found = seen(START, endings.deleted(1000), pod=document)
    assert (found.killed, found.containers[0].reason) == ((), "OOMKilled")


FAILED_HOOK = starts.event("FailedPreStopHook", "PreStopHook failed", 1000, container="main")
TOLD_BY_EVENT = "the preStop handler of main failed, as an Event says"


def test_a_handler_that_failed_without_a_span_is_told_by_its_event() -> None:
    """As one of httpGet to a port on which nothing listens: it took no time that one would see."""
    assert TOLD_BY_EVENT in seen(*clean(), pod=None, events=(FAILED_HOOK,)).notes
    before = {**FAILED_HOOK, "firstTimestamp": starts.second(-9000)}
    before["lastTimestamp"] = before["firstTimestamp"]
    assert not seen(*clean(), pod=None, events=(before,)).notes, "of a restart before"


def test_a_command_that_failed_is_told_at_its_step_alone() -> None:
    hook, stop = endings.hook("main", 1010, 90), endings.stop("main", 1100)
    traces = (
        START,
        endings.deleted(1000),
        endings.terminating(1010, hook, stop, endings.sandbox(1300)),
        endings.terminated(1500),
        endings.by_kubelet(1900),
    )
    found = seen(*traces, pod=None, events=(FAILED_HOOK,))
    assert [step.error for step in found.steps if step.error] == ["PreStopHook failed"]
    assert TOLD_BY_EVENT not in found.notes


def test_a_hook_that_is_cut_is_told() -> None:
    found = seen(
        START,
        endings.deleted(1000),
        endings.terminating(
            1010,
            endings.hook("main", 1010, 9000),
            endings.stop("main", 4010, 2100, signals=(1, 2001)),
            endings.sandbox(6200),
        ),
        endings.terminated(11_100),
        endings.by_kubelet(11_500),
        pod=None,
    )
    assert "preStop of main, not done when the grace period ended" in names(found)
    assert found.containers[0].pre_stop_ms == 9000


def test_a_handler_without_a_span_is_known_from_the_pod() -> None:
    hook = {"main": {"lifecycle": {"preStop": {"sleep": {"seconds": 2}}}}}
    running = {**starts.running(100), "containerID": "containerd://id-main-0"}
    found = seen(
        START,
        endings.deleted(1000),
        endings.terminating(1010, endings.stop("main", 3010), endings.sandbox(3200), end=3310),
        pod=endings.pod({"main": running}, specs=hook, asked=1000),
    )
    (step,) = [step for step in found.steps if step.name == "preStop of main (sleep)"]
    assert step.duration_ms == pytest.approx(2000)


def test_containers_that_stop_at_once_are_details_of_one_step() -> None:
    found = seen(
        START,
        endings.deleted(1000),
        endings.terminating(
            1010,
            endings.stop("main", 1010, 100),
            endings.stop("side", 1011, 3100, signals=(1, 3001)),
            endings.sandbox(4200),
        ),
        endings.terminated(4500),
        endings.by_kubelet(4900),
        pod=None,
    )
    details = [step.name for step in found.steps if step.depth == 1]
    assert details[:2] == [
        "stop main",
        "stop a container: still ran 3.00 s after its stop signal, killed",
    ]
    assert "containers end" in names(found)
    assert found.killed == ("a container",), "no span names it"


@pytest.mark.parametrize(("told", "name"), [(["main"], "main"), (["main", "side"], ""), ([], "")])
def test_the_event_of_the_one_stop_names_its_container(told: list[str], name: str) -> None:
    """Where no span does: the runtime is not traced."""
    stopped = endings.terminating(1010, endings.stop("main", 1010, traced=False))
    events = [starts.event("Killing", "Stopping", 1010, container=found) for found in told]
    earlier = starts.event("Killing", "failed its liveness probe", -90_000, container="other")
    found = seen(endings.deleted(1000), stopped, pod=None, events=[*events, earlier])
    assert [end.name for end in found.containers] == [name]


def test_who_deleted_it_is_the_controller_where_the_agent_says_so() -> None:
    traces = [START, endings.deleted(1000, agent=endings.REPLICASETS), *clean()[2:]]
    found = seen(*traces, pod=None)
    assert [asked.by for asked in found.asked] == ["replicaset-controller of k3s/v1.36.3"]


def test_a_collection_s_delete_is_told_as_one() -> None:
    traces = [START, endings.deleted(1000, collection=True), *clean()[2:]]
    assert [asked.how for asked in seen(*traces, pod=None).asked] == ["deleted with its collection"]


def test_a_second_request_is_a_note() -> None:
    found = seen(*clean(took=20_000), endings.deleted(6000), pod=None)
    assert "deleted again after 5.0 s by kubectl/v1.36.3" in found.notes
    assert found.begun == found.asked[0].at


def test_a_refused_request_asked_for_nothing() -> None:
    found = seen(endings.deleted(500, code=409, agent="other/1"), *clean(), pod=None)
    assert [asked.by for asked in found.asked] == ["kubectl/v1.36.3"]


def test_without_the_request_it_is_not_known_who_asked() -> None:
    found = seen(START, *clean()[2:], pod=None)
    assert (found.deleted, found.asked, found.begun_by) == (True, (), "kubelet")
    assert any("who asked for it is not known" in missing for missing in found.missing)


def test_finalizers_hold_it_after_the_kubelet_s_request() -> None:
    held = [*clean()[:4], endings.by_kubelet(1700, removes=False)]
    document = endings.pod(
        {"main": endings.exited(1100, 0)},
        grace=0, asked=1700, finalizers=["example.com/x", "example.com/y"], phase="Succeeded",
    )  # fmt: skip
    found = seen(*held, pod=document)
    assert (found.ended, found.waiting[0].what) == (
        False,
        "finalizers example.com/x, example.com/y to be removed",
    )
    assert found.waiting[0].stuck
    released = endings.write("PATCH", 60_000, agent="operator/1", removes=True)
    later = seen(*held, released, pod=None)
    assert names(later)[-2:] == ["held by finalizers", "the last finalizer removed by operator/1"]
    assert later.duration_ms == pytest.approx(59_005)


def test_a_node_that_does_not_answer_is_what_it_waits_for() -> None:
    document = endings.pod({"main": starts.running(100)}, asked=30_000)
    found = seen(START, endings.deleted(30_000), pod=document, node=NODE_DOWN)
    assert [(waiting.what, waiting.stuck) for waiting in found.waiting] == [
        (f"node {starts.NODE} to answer: it is not Ready (NodeStatusUnknown)", True),
        ("container main to end (30 s of grace, which have passed)", True),
    ]
    assert found.waiting[0].since is not None
    assert (found.ended, found.goes_on) == (False, True)


def test_within_its_grace_period_it_is_not_stuck(clock: Clock) -> None:
    clock.now = starts.BEGIN / 1e6 + 42
    document = endings.pod({"main": starts.running(100)}, asked=30_000)
    found = seen(START, endings.deleted(30_000), pod=document)
    (waiting,) = found.waiting
    assert (waiting.what, waiting.stuck) == ("container main to end (30 s of grace)", False)
    assert waiting.seconds(found.looked_at) == 12
    assert found.duration_ms == 12_000


def test_only_the_object_knows_of_a_deletion_whose_spans_are_lost(clock: Clock) -> None:
    clock.now = starts.BEGIN / 1e6 + 42
    found = seen(pod=endings.pod({"main": starts.running(100)}, asked=30_000))
    assert (found.begun_by, found.to_the_second, found.duration_ms) == ("object", True, 12_000)
    assert any("who asked for it is not known" in missing for missing in found.missing)


def test_force_is_told_from_a_job_s_pod_that_had_ended() -> None:
    forced = seen(
        START,
        endings.deleted(1000, removes=True),
        endings.terminating(1010, endings.stop("main", 1010, 2100, signals=(1, 2001))),
        endings.terminated(3200),
        pod=None,
    )
    assert any("deleted by force" in note for note in forced.notes)
    assert (forced.ended, round(forced.duration_ms or 0)) == (True, 2500)
    own = seen(
        START,
        endings.terminating(1010, endings.sandbox(1010)),
        endings.reported(1125),
        endings.terminated(2000, 5),
        endings.deleted(9000, removes=True),
        pod=None,
    )
    assert any("had ended before anybody asked" in note for note in own.notes)
    assert (own.ended, round(own.duration_ms or 0)) == (True, 5)
    assert names(own) == ["delete request by kubectl/v1.36.3"]


def test_after_force_the_end_of_the_containers_is_not_known_without_the_kubelet() -> None:
    found = seen(START, starts.bound(5), endings.deleted(1000, removes=True), pod=None)
    assert found.ended is None
    assert any("nothing of its end on the node" in note for note in found.notes)


def test_a_second_request_by_force_is_the_removal() -> None:
    found = seen(
        START, starts.bound(5), endings.deleted(1000), endings.deleted(90_000, removes=True),
        pod=None,
    )  # fmt: skip
    assert found.ended is None, "the node sent nothing"
    assert any("nothing of its end on the node" in note for note in found.notes)
    assert found.steps[-1].name.startswith("delete request by kubectl")


def test_the_end_of_what_finalizers_held_is_not_that_of_the_kubelet() -> None:
    held = [*clean()[:4], endings.by_kubelet(1700, removes=False)]
    found = seen(*held, pod=None)
    assert (found.ended, found.duration_ms) == (True, None)
    assert any("when it went is not known" in note for note in found.notes)


def test_a_pod_that_was_on_no_node_ends_with_the_request() -> None:
    found = seen(endings.deleted(1000, removes=True), pod=None)
    assert (found.ended, round(found.duration_ms or 0)) == (True, 5)
    assert "nothing bound it to a node: the request removed it at once" in found.notes


def test_a_running_pod_and_one_that_ended_have_not_been_deleted() -> None:
    running = seen(START, pod=endings.pod({"main": starts.running(100)}, grace=None))
    assert (running.deleted, running.ended, running.begun) == (False, False, None)
    document = endings.pod({"main": starts.ended(100)}, grace=None, phase="Succeeded")
    done = seen(
        START, endings.terminating(1200, endings.sandbox(1200)), endings.terminated(2000, 5),
        pod=document,
    )  # fmt: skip
    assert (done.deleted, done.ended, done.phase) == (False, True, "Succeeded")
    assert done.waiting == ()


def test_an_eviction_by_the_kubelet_goes_on_without_a_request() -> None:
    document = endings.pod({"main": starts.running(100)}, grace=None, phase="Running")
    found = seen(START, endings.terminating(1200, endings.stop("main", 1200)), pod=document)
    assert (found.deleted, found.ended, found.begun_by) == (False, False, "kubelet")


def test_a_slow_clock_of_the_node_moves_its_steps() -> None:
    shifted = clean()
    shifted[1] = endings.deleted(1200)
    shifted[4] = endings.by_kubelet(1900)
    found = seen(*shifted, pod=None)
    assert all(step.start_ms >= 0 for step in found.steps)
    assert any("clock is at least" in note for note in found.notes)
    assert names(found)[0].startswith("delete request")


def test_what_the_kubelet_removed_had_not_ended_before_the_request() -> None:
    """Its clock is behind, and it has reported by chance when that seemed to end."""
    ended = endings.terminating(1000, endings.stop("main", 1000))
    parts = [START, ended, endings.reported(1150), endings.deleted(4000), endings.by_kubelet(4500)]
    found = seen(*parts, pod=None)
    assert "stop main" in names(found)
    assert any("behind the API server's" in note for note in found.notes)
    at_once = [*parts[:3], endings.deleted(4000, removes=True)]
    assert "stop main" not in names(seen(*at_once, pod=None))


@pytest.mark.parametrize(("asked", "own_end"), [(30_000, False), (62_000, True)])
def test_no_clock_is_a_minute_behind(asked: float, own_end: bool) -> None:
    """Containers that ended that long before the request ended on their own."""
    ended = endings.terminating(1000, endings.stop("main", 1000))
    found = seen(START, ended, endings.deleted(asked), endings.by_kubelet(asked + 500), pod=None)
    assert ("stop main" not in names(found)) is own_end


def test_a_failing_try_is_told_and_tried_again() -> None:
    found = seen(
        START,
        endings.deleted(1000),
        endings.terminating(1010, endings.stop("main", 1010), error="CNI failed"),
        endings.terminating(3000, endings.sandbox(3000)),
        endings.terminated(3300),
        endings.by_kubelet(3700),
        pod=None,
    )
    assert [step.error for step in found.steps if step.error] == ["CNI failed"]
    assert found.ended is True
    assert names(found).count("stop main") == 1


def test_a_stop_that_is_tried_again_is_two_steps_of_one_container() -> None:
    found = seen(
        START,
        endings.deleted(1000),
        endings.terminating(1010, endings.stop("main", 1010, error="timed out"), error="failed"),
        endings.terminating(3000, endings.stop("main", 3000), endings.sandbox(3200)),
        endings.terminated(3400),
        endings.by_kubelet(3800),
        pod=None,
    )
    assert names(found).count("stop main") == 2
    assert [(end.name, end.how) for end in found.containers] == [("main", "ended")]


def test_a_running_stop_of_another_container_shows_what_has_ended(clock: Clock) -> None:
    clock.now = starts.BEGIN / 1e6 + 5
    ids = {name: {"containerID": f"containerd://id-{name}-0"} for name in ("main", "side")}
    document = endings.pod({name: {**starts.running(100), **ids[name]} for name in ids}, asked=1000)
    found = seen(
        START,
        endings.deleted(1000),
        endings.terminating(1010, endings.stop("side", 1010), running=True),
        pod=document,
    )
    assert "stop side" in names(found)
    assert found.waiting[0].what == "container main to end (30 s of grace)"


def test_an_older_pod_of_the_name_is_another_ending() -> None:
    older = clean(1000)
    newer = [
        starts.created(5000),
        starts.sync(5010, starts.started("main", 5020), update="create", uid="newer"),
    ]
    document = endings.pod({"main": starts.running(5100)}, grace=None, uid="newer")
    document["metadata"]["creationTimestamp"] = starts.second(5000)
    found = seen(*older, *newer, pod=document)
    assert (found.uid, found.ended) == (starts.UID, True)
    assert "a newer pod of that name exists, which has not been deleted" in found.notes
    deleting = [*newer, endings.deleted(8000)]
    again = endings.pod({"main": starts.running(5100)}, uid="newer", asked=8000)
    again["metadata"]["creationTimestamp"] = starts.second(5000)
    later = seen(*older, *deleting, pod=again)
    assert (later.uid, later.ended, len(later.asked)) == ("newer", False, 1)


def test_a_static_pod_s_object_is_made_again() -> None:
    document = endings.pod(
        {"main": starts.running(100)}, annotations={"kubernetes.io/config.mirror": "x"}
    )
    found = seen(endings.deleted(1000), pod=document)
    assert any("static pod" in note for note in found.notes)
    assert found.waiting == ()


def test_a_static_pod_that_is_gone_was_ended_by_its_kubelet() -> None:
    uid = "95896df05845629f801ac129464582d8"
    parts = [
        endings.terminating(1000, endings.stop("main", 1000, 100), end=1200, uid=uid),
        endings.terminated(1300, 100, uid=uid),
    ]
    jaeger = starts.jaeger(*parts)
    found = look_for_ending(jaeger, "default", "a", known=cluster.read(Api(None), "default", "a"))
    assert found is not None
    assert (found.deleted, found.ended, found.uid) == (None, True, uid)
    assert found.duration_ms == pytest.approx(400)
    assert any(note.startswith("it is a static pod, which its kubelet") for note in found.notes)
    assert found.missing == ()


def test_nothing_is_made_of_nothing() -> None:
    jaeger = starts.jaeger(START)
    assert look_for_ending(jaeger, "default", "a") is None
