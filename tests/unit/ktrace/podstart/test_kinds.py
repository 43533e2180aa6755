"""What is said of every kind of start, and what is not said because nothing tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ktrace.podstart import cluster, search
from ktrace.podstart.in_progress import until_observed
from ktrace.podstart.model import PodStart
from ktrace.podstart.search import look_for_start
from ktrace.view import page, terminal, waterfall
from ktrace.view import start as view
from tests.fakes.clock import Clock
from tests.fakes.jaeger import URL
from tests.fakes.starts import (
    BEGIN,
    NODE,
    Api,
    Document,
    bound,
    call,
    created,
    ended,
    event,
    jaeger,
    patched,
    pod,
    running,
    second,
    started,
    sync,
    waiting,
    webhook,
)
from tests.unit.ktrace.podstart.test_properties import check

OLDER, STATIC = "0a1b2c3d-0000-4000-8000-000000000000", "0123456789abcdef0123456789abcdef"
REQUESTS = (created(0), bound(8))
PULL_ERROR = 'failed to "StartContainer" for "side" with ImagePullBackOff: "Back-off pulling image"'


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A minute and a half after the beginning."""
    return Clock(BEGIN / 1e6 + 90).drive(monkeypatch, search)


def shown(
    *traces: Mapping[str, Any],
    pod: Document | None = None,
    events: tuple[Document, ...] = (),
    gone: bool = False,
    uid: str | None = None,
) -> PodStart:
    """The start of default/a; without ``pod`` no cluster is known, or the pod is ``gone``."""
    known = cluster.read(Api(pod, *events), "default", "a") if pod or gone else None
    found = look_for_start(jaeger(*traces), "default", "a", uid, known=known)
    assert found is not None
    start = until_observed(found)
    check(start)
    return start


def names(start: PodStart) -> list[str]:
    return [step.name for step in start.steps if step.depth == 0]


def gap(start: PodStart) -> list[str]:
    """The names of the steps from the sandbox on that are no call."""
    calls = ("create ", "start ", "pull", "sandbox", "bind", "scheduling", "the kubelet learns")
    return [name for name in names(start) if not name.startswith(calls)]


def first_sync(*calls: Any, **options: Any) -> dict[str, Any]:
    """The kubelet's first sync: a sandbox at 30 ms, and ``calls``."""
    return sync(20, call("RunPodSandbox", 30, 40), *calls, update="create", **options)


# --- complete means complete ----------------------------------------------------------------------


def test_without_the_pod_object_nothing_is_known_to_be_complete() -> None:
    start = shown(*REQUESTS, first_sync(started("main", 80)))
    assert (start.complete, start.incomplete, start.started, start.wanted) == (
        False,
        False,
        1,
        None,
    )
    assert waterfall.title(start) == (
        "pod default/a: 1 container started in 100 ms; whether more were wanted is not known"
    )
    assert start.missing[0].startswith("the pod object and its Events: no kubeconfig is known")


def test_a_pod_that_is_gone_is_named_as_a_missing_source() -> None:
    start = shown(*REQUESTS, first_sync(started("main", 80)), gone=True)
    assert start.missing == ("the pod object: no pod of that name exists any more",)


def test_a_start_is_complete_when_every_container_has_started() -> None:
    start = shown(*REQUESTS, first_sync(started("main", 80)), pod=pod({"main": running(90)}))
    assert (start.complete, start.started, start.wanted) == (True, 1, 1)
    assert waterfall.title(start).startswith("pod default/a started in 100 ms")
    assert start.missing == ()


INCOMPLETE = {
    "an init container runs": (
        pod(
            {"main": waiting("PodInitializing"), "side": waiting("PodInitializing")},
            {"first": running(90)},
        ),
        "first",
        "init container first runs",
    ),
    "a second container cannot be pulled": (
        pod(
            {"main": running(90), "side": waiting("ImagePullBackOff", "Back-off"), "c": waiting()},
        ),
        "main",
        "side: ImagePullBackOff: Back-off",
    ),
    "postStart has not ended": (
        pod(
            {"main": running(90), "side": waiting(), "c": waiting()},
            specs={"main": {"lifecycle": {"postStart": {"exec": {}}}}},
        ),
        "main",
        "postStart of main runs",
    ),
    "postStart has not ended, so the kubelet has reported no container": (
        pod(
            {"main": waiting(), "side": waiting(), "c": waiting()},
            specs={"main": {"lifecycle": {"postStart": {"exec": {}}}}},
        ),
        "main",
        "postStart of main has not been seen to end",
    ),
    "a sidecar's start-up probe has not succeeded": (
        pod(
            {"main": waiting("PodInitializing"), "side": waiting("PodInitializing")},
            {"proxy": {**running(90), "started": False}},
            specs={"proxy": {"restartPolicy": "Always", "startupProbe": {"exec": {}}}},
        ),
        "proxy",
        "start-up probe of sidecar proxy",
    ),
}


@pytest.mark.parametrize(("document", "first", "why"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_a_start_with_a_container_missing_is_told_as_far_as_it_got(
    document: Document, first: str, why: str
) -> None:
    start = shown(*REQUESTS, first_sync(started(first, 80)), pod=document)
    assert not start.complete
    assert waterfall.title(start) == "pod default/a: 1 of 3 containers started, 1 min 30.0 s so far"
    assert [found.what for found in start.waiting] == [why]
    assert start.ready.after_ms is None


def test_a_container_that_the_kubelet_could_not_start_is_missing_without_the_pod_object() -> None:
    start = shown(
        *REQUESTS,
        first_sync(started("main", 80), error=PULL_ERROR),
        sync(5_000, error=PULL_ERROR),
    )
    assert start.incomplete
    assert waterfall.title(start) == ("pod default/a: 1 container started, side not, in 5.00 s")
    assert [(found.what, found.stuck) for found in start.waiting] == [
        ("side: ImagePullBackOff: Back-off pulling image", True)
    ]


def test_a_container_whose_start_failed_each_time_has_not_started() -> None:
    state = {"terminated": {"reason": "StartError", "startedAt": "1970-01-01T00:00:00Z"}}
    document = pod(
        {"main": {**waiting("CrashLoopBackOff", "back-off"), "lastState": state, "restartCount": 3}}
    )
    start = shown(*REQUESTS, first_sync(), pod=document)
    assert (start.started, start.complete) == (0, False)
    assert [found.what for found in start.waiting] == ["main: CrashLoopBackOff: back-off"]


def test_init_containers_that_the_kubelet_forgot_started_before_those_after_them() -> None:
    document = pod({"main": running(90)}, {"first": {}})
    assert shown(*REQUESTS, first_sync(started("main", 80)), pod=document).complete


# --- Ready ----------------------------------------------------------------------------------------


def ready_pod(second: float, **options: Any) -> Document:
    return pod({"main": running(90)}, ready=second * 1000, **options)


def test_ready_is_the_one_status_patch_in_the_second_of_the_condition() -> None:
    start = shown(*REQUESTS, first_sync(started("main", 80)), patched(700), pod=ready_pod(0))
    assert (start.ready.source, start.ready.after_ms) == ("span", 703)
    assert [step.name for step in start.ready.steps] == [
        "the kubelet reports that the pod is Ready"
    ]
    assert "Ready after 703 ms, by the span of the kubelet's status patch" in waterfall.summary(
        start
    )


@pytest.mark.parametrize("patches", [(), (patched(1200), patched(1900)), (patched(9000),)])
def test_without_one_such_patch_ready_is_that_of_the_condition(patches: tuple[Any, ...]) -> None:
    start = shown(*REQUESTS, first_sync(started("main", 80)), *patches, pod=ready_pod(1))
    assert (start.ready.source, start.ready.after_ms) == ("condition", 1000)
    assert "Ready after 1.00 s, by the pod's condition, to the second" in waterfall.summary(start)


def test_patches_of_others_do_not_tell_when_a_pod_was_ready() -> None:
    other = patched(1200, agent="kube-controller-manager/v1.36.3")
    start = shown(*REQUESTS, first_sync(started("main", 80)), other, pod=ready_pod(1))
    assert start.ready.source == "condition"


def test_ready_is_never_before_the_last_start() -> None:
    start = shown(*REQUESTS, first_sync(started("main", 80)), pod=ready_pod(0))
    assert start.ready.after_ms == start.duration_ms == 100
    assert start.ready.steps == ()


def test_what_ready_waited_for_is_the_readiness_probe() -> None:
    document = ready_pod(15, specs={"main": {"readinessProbe": {"exec": {}}}})
    start = shown(
        *REQUESTS, first_sync(started("main", 80)), patched(900), patched(15_300), pod=document
    )
    (probe,) = start.ready.steps
    assert (probe.name, probe.start_ms) == ("readiness probe of main", 100)
    assert probe.end_ms == start.ready.after_ms == 15_303
    assert waterfall.title(start) == "pod default/a started in 100 ms, Ready after 15.30 s"


def test_the_last_containers_post_start_comes_before_its_probe() -> None:
    calls = (started("main", 80), call("ExecSync", 101, 5000))
    handler: dict[str, Document] = {"main": {"lifecycle": {"postStart": {"exec": {}}}}}
    start = shown(*REQUESTS, first_sync(*calls), pod=ready_pod(6, specs=handler))
    assert start.duration_ms == 100
    assert [step.name for step in start.ready.steps] == [
        "postStart of main",
        "the kubelet reports that the pod is Ready",
    ]


@pytest.mark.parametrize("patches", [(), (patched(5105), patched(5150))])
def test_ready_is_never_before_the_end_of_the_last_containers_post_start(
    patches: tuple[Any, ...],
) -> None:
    """Seen on a real cluster: a handler of 1 s was cut to 658 ms by the second of the condition."""
    calls = (started("main", 80), call("ExecSync", 101, 5000))
    handler: dict[str, Document] = {"main": {"lifecycle": {"postStart": {"exec": {}}}}}
    start = shown(*REQUESTS, first_sync(*calls), *patches, pod=ready_pod(5, specs=handler))
    (handler_step,) = start.ready.steps
    assert (handler_step.name, handler_step.duration_ms) == ("postStart of main", 5000)
    assert not handler_step.placed
    assert start.ready.after_ms == handler_step.end_ms == 5101


DOUBTS = {
    "a restart": ready_pod(30)
    | {"status": pod({"main": running(90, restartCount=1)}, ready=30_000)["status"]},
    "an hour": ready_pod(3600),
}


@pytest.mark.parametrize("document", DOUBTS.values(), ids=DOUBTS)
def test_a_later_ready_is_not_told_as_the_first(document: Document) -> None:
    start = shown(*REQUESTS, first_sync(started("main", 80)), pod=document)
    assert start.complete
    assert start.ready.after_ms is None
    assert "Ready now; when it was for the first time is not known" in waterfall.summary(start)


@pytest.mark.parametrize(("seconds", "told"), [(9, False), (15, True)])
def test_a_ready_that_no_patch_confirms_may_not_be_the_first(seconds: float, told: bool) -> None:
    document = ready_pod(seconds, specs={"main": {"readinessProbe": {"exec": {}}}})
    start = shown(*REQUESTS, first_sync(started("main", 80)), pod=document)
    assert start.ready.after_ms == seconds * 1000
    assert ("no status patch" in start.ready.note) == told


def test_more_patches_than_a_first_ready_needs_are_a_doubt() -> None:
    document = ready_pod(15, specs={"main": {"readinessProbe": {"exec": {}}}})
    patches = [patched(time) for time in (900, 3000, 9000, 15_300)]
    start = shown(*REQUESTS, first_sync(started("main", 80)), *patches, pod=document)
    assert start.ready.after_ms is None


@pytest.mark.parametrize(("delay", "known"), [(8, True), (0, False)])
def test_no_report_from_before_the_probe_begins_is_of_ready(delay: int, known: bool) -> None:
    """Seen on a real cluster: a start-up probe after 8 s, and two reports of what else changed."""
    probe = {"exec": {}, "initialDelaySeconds": delay}
    document = ready_pod(10, specs={"main": {"startupProbe": probe}})
    patches = [patched(time) for time in (150, 2500, 10_300)]
    start = shown(*REQUESTS, first_sync(started("main", 80)), *patches, pod=document)
    assert (start.ready.after_ms == 10_303) is known


def test_a_pod_that_is_not_ready_says_why() -> None:
    document = pod({"main": running(90)}, not_ready="containers with unready status: [main]")
    failed = event("Unhealthy", "Readiness probe failed: 503", 5000, 80_000, "main", count=7)
    start = shown(*REQUESTS, first_sync(started("main", 80)), pod=document, events=(failed,))
    assert start.complete, "it has started"
    assert "now: not Ready: main: Readiness probe failed: 503 (7 times), for 1 min 25 s" in (
        waterfall.summary(start)
    )


# --- the node -------------------------------------------------------------------------------------


def test_the_node_is_told_and_its_steps_are_its_own() -> None:
    start = shown(*REQUESTS, first_sync(started("main", 80), node="agent-7"))
    assert start.node == "agent-7"
    assert "node: agent-7" in waterfall.summary(start)
    assert {step.node for step in start.steps if step.component in ("kubelet", "containerd")} == {
        "agent-7"
    }
    assert {step.node for step in start.steps if step.component == "apiserver"} == {""}


# --- causes, not guesses --------------------------------------------------------------------------


def test_time_of_which_nothing_is_known_is_not_traced() -> None:
    start = shown(*REQUESTS, first_sync(started("main", 180)))
    _, found = [step for step in start.steps if step.unexplained]
    assert (found.name, found.start_ms, found.duration_ms) == ("not traced", 70, 110)


def test_the_volume_managers_look_is_told_as_the_constant_that_it_is() -> None:
    def sandbox_at(milliseconds: float, **options: Any) -> list[str]:
        first = sync(20, call("RunPodSandbox", milliseconds), started("main", milliseconds + 10))
        return gap(shown(*REQUESTS, first, **options))

    look = "the volume manager looks every 300 ms"
    assert sandbox_at(330) == [look]
    assert sandbox_at(480) == [look, "not traced"]
    assert sandbox_at(640) == [look], "nothing was mounted at the first look"
    assert sandbox_at(700) == ["not traced"]
    assert sandbox_at(930) == ["not traced"]
    assert sandbox_at(150) == ["not traced"]
    without = pod({"main": running(400)}, spec={"volumes": []})
    assert sandbox_at(330, pod=without) == ["not traced"]


def test_a_pod_is_not_ready_because_its_node_does_not_answer() -> None:
    silent = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
    document = pod({"main": running(400)}, not_ready="")
    document["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    api = Api(document, node={"status": {"conditions": [silent]}})
    known = cluster.read(api, "default", "a")
    start = look_for_start(jaeger(*REQUESTS, first_sync()), "default", "a", known=known)
    assert start
    (found,) = start.waiting
    assert found.what == f"node {NODE} is not Ready: NodeStatusUnknown"


CONFIG_ERROR = (
    'failed to "StartContainer" for "main" with CreateContainerConfigError: '
    r'"secret \"nope\" not found"'
)


def test_a_missing_secret_is_named_after_it_was_made_too() -> None:
    start = shown(
        *REQUESTS,
        first_sync(error=CONFIG_ERROR),
        sync(12_000, error=CONFIG_ERROR),
        sync(24_000, started("main", 24_010)),
        pod=pod({"main": running(24_020)}),
    )
    assert start.complete
    assert gap(start) == ['waits (CreateContainerConfigError): secret "nope" not found']
    assert not any(step.unexplained for step in start.steps)


def test_an_error_that_is_waited_for_is_told_once() -> None:
    """It was told again as the kubelet's last error."""
    reason = {"main": waiting("CreateContainerConfigError", 'secret "nope" not found')}
    start = shown(created(0), bound(8), first_sync(error=CONFIG_ERROR), pod=pod(reason))
    lines = waterfall.summary(start)
    told = [line for line in lines if "nope" in line and not line.startswith("slowest")]
    assert told == ['now: main: CreateContainerConfigError: secret "nope" not found']
    crashing = {**waiting("CrashLoopBackOff"), "lastState": ended(80)["state"], "restartCount": 2}
    unready = pod({"main": crashing}, not_ready="containers with unready status: [main]")
    start = shown(sync(90_000, error=BACK_OFF), pod=unready)
    assert not any("last error" in note for note in start.notes), "it is why it is not Ready"
    other = {"main": waiting("ImagePullBackOff", "no such image")}
    start = shown(created(0), bound(8), first_sync(error=CONFIG_ERROR), pod=pod(other))
    assert any("last error" in note for note in start.notes), "of another time"


def test_a_volume_that_cannot_be_mounted_is_named_by_its_event() -> None:
    unmounted = "unmounted volumes=[v], unattached volumes=[]: context deadline exceeded"
    failed = event("FailedMount", 'MountVolume.SetUp failed for "v": secret "s" not found', 1000)
    traces = (*REQUESTS, sync(20, end=123_000, error=unmounted, update="create"))
    document = pod({"main": waiting()})
    start = shown(*traces, pod=document, events=(failed,))
    why = 'MountVolume.SetUp failed for "v": secret "s" not found'
    assert gap(start) == [f"waits (FailedMount): {why}"]
    assert [found.what for found in start.waiting] == [f"waiting for a volume: {why}"]
    assert gap(shown(*traces)) == [f"waits: {unmounted}"]


def test_an_error_that_came_later_does_not_name_what_was_before() -> None:
    first = sync(
        20, call("RunPodSandbox", 230), call("PullImage", 300, error="no"), error=CONFIG_ERROR
    )
    assert gap(shown(*REQUESTS, first))[0] == "not traced"


def test_the_schedulers_reason_is_the_name_of_a_long_scheduling() -> None:
    refused = event("FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.", 100)
    traces = (
        created(0),
        bound(9000),
        sync(9020, call("RunPodSandbox", 9030), started("main", 9040)),
    )
    start = shown(*traces, pod=pod({"main": running(9050)}), events=(refused,))
    assert "unschedulable: 0/1 nodes are available: 1 Insufficient cpu." in names(start)


def test_post_start_is_named_by_its_span() -> None:
    calls = (started("main", 80), call("ExecSync", 105, 5000), started("side", 5110))
    start = shown(*REQUESTS, first_sync(*calls))
    (hook,) = [step for step in start.steps if step.name == "postStart of main"]
    assert (hook.duration_ms, hook.critical, hook.unexplained) == (5000, True, False)


def probed(*calls: Any) -> dict[str, Any]:
    """A sync that ended at 105 ms, and exec probes, which have it as their parent."""
    probes = [call("ExecSync", 106 + 1000 * second, container="main") for second in range(1, 40)]
    return first_sync(*calls, *probes, end=105)


def test_probes_that_a_sync_is_the_parent_of_are_no_steps() -> None:
    """Kubernetes 1.36: the first sync's trace grows for as long as the container runs."""
    traces = (*REQUESTS, probed(started("main", 80)))
    probe: dict[str, Document] = {"main": {"readinessProbe": {"exec": {}}}}
    start = shown(*traces, pod=ready_pod(6, specs=probe))
    assert start.duration_ms == 100
    assert [step.name for step in start.ready.steps] == ["readiness probe of main"]
    for known in (start, shown(*traces)):
        assert not any("postStart" in name for name in names(known))


def test_probes_before_the_next_container_are_its_start_up_probe() -> None:
    traces = (*REQUESTS, probed(started("first", 80)), sync(4000, started("main", 4010)))
    spec = {"restartPolicy": "Always", "startupProbe": {"exec": {}}}
    document = pod({"main": running(4020)}, {"first": running(80)}, specs={"first": spec})
    assert gap(shown(*traces, pod=document)) == ["start-up probe of sidecar first"]
    assert gap(shown(*traces)) == ["not traced"]


def test_an_exec_of_a_sync_that_has_not_ended_is_a_handler_if_the_pod_has_one() -> None:
    calls = (started("main", 80), call("ExecSync", 105, 5000, container="main"))
    traces = (*REQUESTS, first_sync(*calls, running=True))
    handler: dict[str, Document] = {"main": {"lifecycle": {"postStart": {"exec": {}}}}}
    containers = {"main": running(90), "side": waiting()}
    assert "postStart of main" in names(shown(*traces, pod=pod(containers, specs=handler)))
    assert "postStart of main" not in names(shown(*traces, pod=pod(containers)))


def test_post_start_without_a_span_is_named_by_the_pod() -> None:
    document = pod(
        {"main": running(90), "side": running(5120)},
        specs={"main": {"lifecycle": {"postStart": {"httpGet": {}}}}},
    )
    traces = (*REQUESTS, first_sync(started("main", 80), started("side", 5110)))
    assert gap(shown(*traces, pod=document)) == ["postStart of main (httpGet)"]
    assert gap(shown(*traces)) == ["not traced"]


BETWEEN = {
    "an init container": (
        {},
        ended(80),
        "init container first runs, then the kubelet's next sync",
    ),
    "a sidecar": (
        {"restartPolicy": "Always"},
        running(80),
        "sidecar first has started, then the kubelet's next sync",
    ),
    "a sidecar with a probe": (
        {"restartPolicy": "Always", "startupProbe": {"exec": {}}},
        running(80),
        "start-up probe of sidecar first: Startup probe failed: refused",
    ),
}


@pytest.mark.parametrize(("spec", "state", "name"), BETWEEN.values(), ids=BETWEEN)
def test_what_runs_before_the_next_container_is_named_by_the_pod(
    spec: Document, state: Document, name: str
) -> None:
    traces = (*REQUESTS, first_sync(started("first", 80)), sync(4000, started("main", 4010)))
    document = pod({"main": running(4020)}, {"first": state}, specs={"first": spec})
    failed = event("Unhealthy", "Startup probe failed: refused", 1000, container="first")
    assert gap(shown(*traces, pod=document, events=(failed,))) == [name]
    assert gap(shown(*traces)) == ["not traced"]


FAILS = "init container first runs and fails, then the kubelet's next sync"
RUNS = "init container first runs, then the kubelet's next sync"


def test_the_tries_of_an_init_container_are_of_the_start() -> None:
    """The app waits for the last one; a restart after the app's start is none of them."""
    back_off = 'failed to "StartContainer" for "first" with CrashLoopBackOff: "back-off 10s"'
    traces = (
        *REQUESTS,
        first_sync(started("first", 80)),
        sync(600, started("first", 610, attempt=1)),
        sync(700, error=back_off),
        sync(11_000, started("first", 11_010, attempt=2)),
        sync(12_000, started("main", 12_010)),
        sync(60_000, started("first", 60_010, attempt=3)),
    )
    document = pod({"main": running(12_020)}, {"first": {**ended(60_020), "restartCount": 3}})
    start = shown(*traces, pod=document)
    tries = [step.name for step in start.steps if step.name == "start container first"]
    assert len(tries) == 3
    assert gap(start) == [FAILS, "waits (CrashLoopBackOff): back-off 10s", RUNS]
    assert start.duration_ms == pytest.approx(12_030)
    assert start.complete
    without = shown(*traces)
    assert names(without).count("start container first") == 1, "it may be a restart of an app's"


def test_a_crash_of_an_app_is_no_try_of_the_start() -> None:
    traces = (
        *REQUESTS,
        first_sync(started("main", 80)),
        sync(600, started("main", 610, attempt=1)),
        sync(700, started("side", 710)),
    )
    document = pod({"main": {**running(620), "restartCount": 1}, "side": running(720)})
    assert names(shown(*traces, pod=document)).count("start container main") == 1


def pull_of_another(start: float, took: float, node: str = NODE) -> dict[str, Any]:
    image: dict[str, Any] = {"image.ref": "big:1"}
    pull = call("PullImage", start, took, **image)
    return sync(start - 10, pull, pod="default/other", uid="other", node=node)


def test_a_pull_that_waited_for_another_pods_pull_says_so() -> None:
    calls = (call("PullImage", 9020, 500), started("main", 9530))
    held = shown(*REQUESTS, first_sync(*calls), pull_of_another(-5000, 14_010))
    assert gap(held) == ["waits for the pull of big:1 by default/other"]


@pytest.mark.parametrize(
    ("until", "held"), [(3900, []), (4500, ["waits for the pull of big:1 by default/other"])]
)
def test_a_pull_is_held_within_its_own_sync_alone(until: float, held: list[str]) -> None:
    """What another pod pulls while an init container runs holds nobody."""
    pull = (call("PullImage", until + 4, 100), started("main", until + 120))
    traces = (*REQUESTS, first_sync(started("first", 80)), sync(min(4000, until), *pull))
    other = pull_of_another(200, until - 200)
    document = pod({"main": running(5000)}, {"first": ended(80)})
    start = shown(*traces, other, pod=document)
    init = "init container first runs, then the kubelet's next sync"
    assert gap(start) == [init, *held]
    lasted = {step.name: step.duration_ms for step in start.steps}
    assert lasted[init] == pytest.approx(min(4000, until) - 100, abs=20)


@pytest.mark.parametrize(
    "other",
    [
        pull_of_another(-5000, 14_010, node="agent-2"),
        pull_of_another(-5000, 30_000),  # both ran at once: pulls are not serial
        pull_of_another(-5000, 4_000),
    ],
)
def test_another_pull_that_did_not_hold_it_is_not_named(other: dict[str, Any]) -> None:
    calls = (call("PullImage", 9020, 500), started("main", 9530))
    assert gap(shown(*REQUESTS, first_sync(*calls), other)) == ["not traced"]


def test_a_webhook_is_named_and_that_it_failed_open() -> None:
    hooks = [
        *webhook("slow.example", 1, 10_000, error="context deadline exceeded"),
        *webhook("fast.example", 2, 5, kind="validating"),
    ]
    start = shown(created(0, 10_010, below=hooks), bound(10_020), sync(10_030))
    details = {step.name: step.error for step in start.steps if step.depth == 1}
    assert details == {
        "webhook slow.example, failed open": "context deadline exceeded",
        "webhook fast.example": "",
    }
    assert [step.name for step in start.steps if step.critical] == [
        "webhook slow.example, failed open"
    ]


# --- in progress ----------------------------------------------------------------------------------

UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 node(s) had untolerated taint(s).",
}
IN_PROGRESS = {
    "unschedulable": (
        pod({"main": {}}, node="", conditions=[UNSCHEDULABLE], startTime=None),
        (),
        "unschedulable: 0/1 nodes are available: 1 node(s) had untolerated taint(s).",
    ),
    "unschedulable by its event": (
        pod({"main": {}}, node="", startTime=None),
        (event("FailedScheduling", "0/1 nodes", 1000),),
        "unschedulable: 0/1 nodes, for 1 min 29 s",
    ),
    "gated": (
        pod({"main": {}}, node="", spec={"schedulingGates": [{"name": "quota"}]}, startTime=None),
        (),
        "scheduling gates: quota, for 1 min 30 s",
    ),
    "no kubelet": (
        pod({"main": {}}, startTime=None),
        (),
        f"waiting for the kubelet of {NODE}, for 1 min 30 s",
    ),
    "pulling": (
        pod({"main": waiting()}),
        (event("Pulling", 'Pulling image "main:1"', 70_000, container="main"),),
        "waiting for the pull of main:1, for 20 s",
    ),
    "a volume": (
        pod({"main": waiting()}),
        (event("FailedAttachVolume", "no such disk", 60_000),),
        "waiting for a volume: no such disk, for 30 s",
    ),
    "a pull that failed": (
        pod({"main": waiting("ErrImagePull", "refused")}),
        (
            event("Pulling", 'Pulling image "main:1"', 70_000, container="main"),
            event("Failed", "refused", 70_000, container="main"),
        ),
        "main: ErrImagePull: refused, for 20 s",
    ),
    "failed": (
        pod({"main": {}}, phase="Failed", reason="Evicted", message="disk"),
        (),
        "the pod has failed: Evicted: disk",
    ),
}


@pytest.mark.parametrize(("document", "events", "now"), IN_PROGRESS.values(), ids=IN_PROGRESS)
def test_a_start_without_spans_of_the_kubelet_is_answered_by_the_pod(
    document: Document, events: tuple[Document, ...], now: str
) -> None:
    start = shown(created(0), pod=document, events=events)
    assert not start.complete
    assert waterfall.title(start).startswith("pod default/a: 0 of 1 container started")
    assert f"now: {now}" in waterfall.summary(start)
    # A pod without a node is none of a kubelet's.
    missing = "spans of the kubelet: Jaeger has none of this pod" in start.missing
    assert missing == bool(document["spec"].get("nodeName"))


def test_what_a_sync_that_has_not_ended_waits_for_is_named_by_its_event() -> None:
    failed = event("FailedMount", "secret not found", 1000, 50_000)
    start = shown(*REQUESTS, pod=pod({"main": waiting()}), events=(failed,))
    assert gap(start) == ["not traced", "waiting for a volume: secret not found"]
    assert [step.start_ms for step in start.steps[-2:]] == [12, 1000]
    assert start.duration_ms == 90_000


def test_where_the_calls_are_not_traced_the_time_after_the_sync_is_not_traced() -> None:
    """Kubernetes 1.28 and 1.29."""
    start = shown(*REQUESTS, sync(20, update="create"), pod=pod({"main": running(3000)}))
    assert names(start)[-2:] == ["syncPod, without a call to the runtime", "not traced"]
    assert start.complete
    assert [step.name for step in start.steps if step.critical] == ["not traced"]


def test_a_start_that_goes_on_has_taken_the_time_since_its_beginning() -> None:
    """Seen on a real cluster: "7.0 ms so far" beside "unschedulable, for 8 s"."""
    since = {**UNSCHEDULABLE, "lastTransitionTime": second(0)}
    document = pod({"main": {}}, node="", conditions=[since], startTime=None)
    start = shown(created(200, 7), pod=document)
    assert waterfall.title(start).endswith("0 of 1 container started, 1 min 29.8 s so far")
    assert [(step.name, step.start_ms, step.end_ms) for step in start.steps] == [
        ("create request", 0, 7),
        (f"unschedulable: {UNSCHEDULABLE['message']}", 7, 89_800),
    ]
    assert [round(step.share, 3) for step in start.steps if step.critical] == [1]
    assert start.steps[-1].component == "scheduler"


def test_what_a_start_waits_for_is_its_last_step_from_when_it_is_known_to_have_begun() -> None:
    pulling = event("Pulling", 'Pulling image "main:1"', 70_000, container="main")
    start = shown(*REQUESTS, first_sync(), pod=pod({"main": waiting()}), events=(pulling,))
    assert [(step.name, step.start_ms, step.end_ms) for step in start.steps[-2:]] == [
        ("not traced", 70, 70_000),
        ("waiting for the pull of main:1", 70_000, 90_000),
    ]
    assert start.unexplained_ms == 69_940, "with the 10 ms before the sandbox"
    unknown = shown(*REQUESTS, first_sync(), pod=pod({"main": waiting("ErrImagePull")}))
    assert (unknown.steps[-1].name, unknown.steps[-1].end_ms) == ("not traced", 90_000)


FAILING = {
    "a missing Secret": ("CreateContainerConfigError", "Failed"),
    "an image that cannot be pulled": ("ImagePullBackOff", "BackOff"),
    "a start that fails": ("RunContainerError", "Failed"),
}


@pytest.mark.parametrize(("reason", "told"), FAILING.values(), ids=FAILING)
def test_a_failure_goes_on_since_its_first_event(reason: str, told: str) -> None:
    events = (event(told, "why", 30_000, 80_000, "main"), event(told, "why", 5_000, 5_000, "side"))
    document = pod({"main": waiting(reason, "why"), "side": running(90)})
    start = shown(*REQUESTS, first_sync(started("side", 80)), pod=document, events=events)
    assert f"now: main: {reason}: why, for 1 min" in "".join(waterfall.summary(start))
    assert (start.steps[-1].name, start.steps[-1].start_ms) == (f"main: {reason}: why", 30_000)


def test_a_kubelet_that_does_not_begin_is_waited_for_since_the_bind() -> None:
    bound_at = {"type": "PodScheduled", "status": "True", "lastTransitionTime": second(0)}
    start = shown(*REQUESTS, pod=pod({"main": {}}, conditions=[bound_at], startTime=None))
    assert start.steps[-1].name == f"waiting for the kubelet of {NODE}"
    assert (start.steps[-1].start_ms, start.steps[-1].end_ms) == (12, 90_000)


ENDED = {
    "deleted": (
        {"deletionTimestamp": second(60_000), "deletionGracePeriodSeconds": 30},
        {},
        "now: the pod is being deleted, for 1 min 0 s",
    ),
    "evicted": ({}, {"phase": "Failed", "reason": "Evicted"}, "now: the pod has failed: Evicted"),
}


@pytest.mark.parametrize(("meta", "status", "now"), ENDED.values(), ids=ENDED)
def test_how_long_a_start_took_that_will_not_go_on_is_not_told(
    meta: Document, status: Document, now: str
) -> None:
    document = pod({"main": waiting()}, **status)
    document["metadata"] |= meta
    start = shown(*REQUESTS, first_sync(), pod=document)
    assert waterfall.title(start) == "pod default/a: 0 of 1 container started"
    assert now in waterfall.summary(start)
    assert start.duration_ms == 70


def test_a_start_whose_pod_is_gone_does_not_go_on() -> None:
    start = shown(*REQUESTS, first_sync(error=PULL_ERROR), gone=True)
    assert waterfall.title(start) == "pod default/a: no container start seen in 70 ms"


def test_a_pod_that_was_made_long_before_its_first_span_began_then() -> None:
    """The API server is not traced, or Jaeger no longer has its spans."""
    waited = first_sync(started("main", 80))
    document = pod({"main": running(90)})
    document["metadata"]["creationTimestamp"] = second(-5000)
    start = shown(bound(8), waited, pod=document)
    assert [(step.name, step.duration_ms) for step in start.steps][:2] == [
        ("not traced", 5008),
        ("bind to a node", 4),
    ]
    assert waterfall.title(start) == "pod default/a started in 5 s, to the second"
    refused = event("FailedScheduling", "no node", -4000, -1000)
    assert names(shown(bound(8), waited, pod=document, events=(refused,)))[0] == (
        "unschedulable: no node"
    )
    assert names(shown(waited, pod=document))[0] == "not traced"


def test_a_start_of_which_the_end_is_not_known_has_no_length() -> None:
    """The container has been restarted, and Jaeger no longer has the spans of the first start."""
    document = pod({"main": running(80_000, restartCount=3)})
    start = shown(pod=document)
    assert waterfall.title(start) == "pod default/a started; how long that took is not known"
    assert view.document(start, URL)["durationMs"] is None
    assert "how long that took is not known" in page.render(start, URL)


def test_a_start_within_the_second_of_its_request_is_not_told_as_shorter() -> None:
    start = shown(created(400), pod=pod({"main": running(900)}, ready=900))
    assert waterfall.title(start).startswith("pod default/a started in less than a second")
    assert not any(step.critical for step in start.steps), "of a length that is not known"
    assert not any(line.startswith("slowest") for line in waterfall.summary(start))
    told = "Ready after less than a second, by the pod's condition, to the second"
    assert told in waterfall.summary(start)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(20, "20 s"), (185, "3 min 5 s"), (7800, "2 h 10 min"), (349_200, "4 d 1 h")],
)
def test_a_wait_is_told_to_the_second(seconds: float, text: str) -> None:
    assert terminal.duration(seconds) == text


def test_the_calls_of_a_sync_that_has_not_ended_are_shown() -> None:
    sandbox = call(
        "RunPodSandbox",
        330,
        100,
        **{"sandbox.name": "a_default_" + pod({})["metadata"]["uid"] + "_0"},
    )
    start = shown(
        *REQUESTS,
        sync(20, sandbox, started("main", 450), running=True),
        pod=pod({"main": running(460), "side": waiting()}),
        events=(event("Pulling", "Pulling", 1000, container="side"),),
    )
    assert {"sandbox", "start container main"} <= set(names(start))
    assert waterfall.title(start) == "pod default/a: 1 of 2 containers started, 1 min 30.0 s so far"
    assert "now: waiting for the pull of side:1, for 1 min 29 s" in waterfall.summary(start)


def test_a_pod_of_which_jaeger_has_nothing_is_told_to_the_second() -> None:
    start = shown(pod=pod({"main": running(3000)}, ready=4000))
    assert (start.complete, start.duration_ms, start.ready.after_ms) == (True, 3000, 4000)
    assert names(start) == ["not traced"]
    assert waterfall.title(start) == (
        "pod default/a started in 3 s, to the second, Ready after 4 s"
    )
    (note,) = start.notes
    assert note.endswith("those of the pod object, to the second")


# --- what came later ------------------------------------------------------------------------------


def test_an_ephemeral_container_is_no_part_of_the_start() -> None:
    traces = (*REQUESTS, first_sync(started("main", 80)), sync(60_000, started("debugger", 60_010)))
    document = pod({"main": running(90)}, spec={"ephemeralContainers": [{"name": "debugger"}]})
    assert shown(*traces, pod=document).duration_ms == 100


def test_without_the_pod_object_an_ephemeral_container_is_known_by_its_request() -> None:
    added = created(59_900)
    url = "/api/v1/namespaces/default/pods/a/ephemeralcontainers"
    added["spans"][1]["tags"] = [{"key": "url", "type": "string", "value": url}]
    added["spans"][1]["operationName"] = "Patch"
    traces = (*REQUESTS, first_sync(started("main", 80)), sync(60_000, started("debugger", 60_010)))
    start = shown(*traces, added)
    assert (start.duration_ms, start.started) == (100, 1)
    assert any("kubectl debug" in note for note in start.notes)


def test_a_restarted_container_is_no_part_of_the_start_but_a_note() -> None:
    again = [*started("main", 30_010, attempt=1)]
    document = pod({"main": running(30_020, restartCount=1)})
    start = shown(*REQUESTS, first_sync(started("main", 80)), sync(30_000, again), pod=document)
    assert (start.complete, start.duration_ms) == (True, 100)
    assert "main has been restarted 1 time" in start.notes


def test_attempts_to_start_a_container_that_never_ran_are_no_restarts() -> None:
    document = pod({"main": {**waiting("RunContainerError", "no such file"), "restartCount": 3}})
    start = shown(*REQUESTS, first_sync(error="no"), pod=document)
    assert "main has been tried again 3 times" in start.notes


@pytest.mark.parametrize(
    ("kill", "told"),
    [
        ((1500, "failed liveness probe, will be restarted"), ": failed liveness probe"),
        ((60_000, "Stopping container main"), ""),
    ],
)
def test_a_crash_loop_is_told_with_how_the_container_ended(
    kill: tuple[float, str], told: str
) -> None:
    exited = ended(80, "OOMKilled")["state"]
    exited["terminated"]["exitCode"] = 137
    status = {**waiting("CrashLoopBackOff", "back-off 10s"), "lastState": exited, "restartCount": 1}
    document = pod({"main": status}, not_ready="containers with unready status: [main]")
    events = (event("Killing", kill[1], kill[0], container="main"),)
    start = shown(*REQUESTS, first_sync(started("main", 80)), pod=document, events=events)
    what = f"back-off 10s; it last ended with OOMKilled, exit code 137{told}"
    told = f"now: not Ready: main: CrashLoopBackOff, restarted 1 time: {what}"
    assert told in waterfall.summary(start)


def test_a_pod_that_failed_without_a_reason_names_the_container_that_did() -> None:
    exited = ended(80, "Error")
    exited["state"]["terminated"]["exitCode"] = 3
    document = pod({"main": exited, "side": ended(80)}, phase="Failed")
    start = shown(*REQUESTS, first_sync(started("main", 80)), pod=document)
    assert "now: the pod has failed: main: Error, exit code 3" in waterfall.summary(start)


def test_an_error_after_an_init_container_does_not_name_its_time() -> None:
    start = shown(
        *REQUESTS,
        first_sync(started("slow", 80)),
        sync(20_000, error=CONFIG_ERROR),
        sync(32_000, error=CONFIG_ERROR),
        sync(44_000, started("main", 44_010)),
        pod=pod({"main": running(44_020)}, {"slow": ended(80)}),
    )
    assert [(step.name, step.start_ms) for step in start.steps if "waits" in step.name] == [
        ('waits (CreateContainerConfigError): secret "nope" not found', 20_000)
    ]
    assert "init container slow runs, then the kubelet's next sync" in names(start)


def test_a_crash_loop_is_not_what_another_container_waits_for() -> None:
    pull = r'failed to "StartContainer" for "b" with ImagePullBackOff: "Back-off pulling image"'
    start = shown(
        *REQUESTS,
        first_sync(started("main", 80), call("PullImage", 110, error="no"), end=150),
        sync(3000, error=f"[{BACK_OFF}, {pull}]"),
        sync(14_000, call("PullImage", 14_010, error="no"), error=BACK_OFF),
        pod=pod({"main": running(90, restartCount=2), "b": waiting("ErrImagePull")}),
    )
    told = "waits (ImagePullBackOff): Back-off pulling image"
    assert told in names(start)
    assert not any("CrashLoopBackOff" in name for name in names(start))


def test_a_repeated_event_is_told_as_the_first_one_was() -> None:
    told = event("FailedMount", "(combined from similar events): no secret", 1000)
    start = shown(*REQUESTS, pod=pod({"main": waiting()}), events=(told,))
    assert [found.what for found in start.waiting] == ["waiting for a volume: no secret"]


def test_spans_of_the_runtime_that_do_not_come_are_told() -> None:
    lost = call("StartContainer", 90, container="main", traced=False)
    calls = first_sync([*call("CreateContainer", 80, container="main"), *lost])
    start = shown(*REQUESTS, calls, pod=pod({"main": running(90)}))
    assert (start.complete, start.duration_ms) == (True, 100)
    assert start.missing == (
        "the runtime's spans of StartContainer, which are lost or have not arrived",
    )
    untraced = sync(20, started("", 80, traced=False), update="create")
    assert not shown(*REQUESTS, untraced, pod=pod({"main": running(90)})).missing


def test_a_restart_is_known_before_the_runtime_s_span_of_it_arrives() -> None:
    again = [
        *call("CreateContainer", 30_010, container="main", attempt=1),
        *call("StartContainer", 30_020, container="main", attempt=1, traced=False),
    ]
    document = pod({"main": running(30_020, restartCount=1)})
    start = shown(*REQUESTS, first_sync(started("main", 80)), sync(30_000, again), pod=document)
    assert (start.complete, start.duration_ms, start.missing) == (True, 100, ())


BACK_OFF = 'failed to "StartContainer" for "main" with CrashLoopBackOff: "back-off 10s"'


def test_a_crash_loop_without_names_counts_each_container_once() -> None:
    crashes = (
        first_sync(started("", 80, traced=False)),
        sync(2000, started("", 2010, traced=False)),
        sync(3000, error=BACK_OFF),
        sync(14_000, started("", 14_010, traced=False)),
    )
    status = {**waiting("CrashLoopBackOff"), "lastState": ended(80)["state"], "restartCount": 2}
    crashing = pod({"main": status}, not_ready="containers with unready status: [main]")
    for document in (None, crashing):
        start = shown(*REQUESTS, *crashes, pod=document)
        assert (start.started, start.duration_ms) == (1, 100)
    why = "CrashLoopBackOff, restarted 2 times; it last ended with Completed, exit code 0"
    assert f"now: not Ready: main: {why}" in waterfall.summary(start)


def test_of_a_pod_that_was_made_again_the_current_one_is_shown() -> None:
    sandbox = call("RunPodSandbox", -60_000, 5)
    older = sync(-60_000, sandbox, started("main", -59_990, uid=OLDER), update="create", uid=OLDER)
    traces = (created(-60_100), bound(-60_050), older, *REQUESTS)
    again = shown(*traces, first_sync(started("main", 80)), pod=pod({"main": running(90)}))
    assert (again.complete, again.duration_ms) == (True, 100)
    unscheduled = shown(*traces, pod=pod({"main": {}}, node="", conditions=[UNSCHEDULABLE]))
    assert (unscheduled.started, unscheduled.wanted) == (0, 1)
    assert unscheduled.started_at.timestamp() == BEGIN / 1e6
    gone = shown(
        *traces, first_sync(started("main", 80)), uid=OLDER, pod=pod({"main": running(90)})
    )
    assert (gone.uid, gone.duration_ms) == (OLDER, 60_100 - 59_970)
    assert gone.missing == ("the pod object: another pod has that name now",)


def test_a_static_pod_begins_with_its_kubelet_and_not_with_its_mirror(clock: Clock) -> None:
    clock.now += 2_400
    calls = (call("RunPodSandbox", 2_400_010), started("main", 2_400_100, uid=STATIC))
    static = sync(2_400_000, *calls, update="create", uid=STATIC)
    mirror = {"kubernetes.io/config.mirror": STATIC, "kubernetes.io/config.hash": STATIC}
    document = pod({"main": running(2_400_110)}, annotations=mirror, startTime=None)
    for known in (None, document):
        start = shown(created(0), static, pod=known)
        assert start.duration_ms == 120
        assert "create request" not in names(start)
    assert shown(created(0), static, pod=document).complete


def test_a_static_pod_of_which_only_the_mirror_is_known_has_no_length() -> None:
    mirror = {"kubernetes.io/config.mirror": STATIC}
    document = pod({"main": running(-9_000)}, annotations=mirror, ready=0)
    start = shown(pod=document)
    assert waterfall.title(start) == "pod default/a started; how long that took is not known"
    assert start.ready.after_ms is None
    assert "known from: 2023-11-14 22:13:20.000 UTC" in waterfall.summary(start)


# --- long and skewed ------------------------------------------------------------------------------


def test_a_start_may_take_hours(clock: Clock) -> None:
    clock.now += 3 * 3600
    hours = 2 * 3600 * 1000
    traces = (
        created(-hours),
        bound(8),
        first_sync(started("first", 80)),
        *(sync(number * 60_000) for number in range(1, 120)),
        sync(hours, started("main", hours + 10)),
    )
    start = shown(*traces)
    assert (start.started, start.duration_ms) == (2, 2 * hours + 30)


@pytest.mark.parametrize("traced", [True, False])
def test_a_restart_is_not_the_start_that_jaeger_no_longer_has(clock: Clock, traced: bool) -> None:
    """Seen on a real cluster: "started in 15 min 43 s", of a container that restarts since then."""
    clock.now += 3600
    crashes = (
        sync(at, started("main", at + 10, attempt=number, traced=traced))
        for number, at in enumerate(range(1_800_000, 3_600_000, 300_000), start=10)
    )
    status = {**waiting("CrashLoopBackOff"), "lastState": ended(3_300_000)["state"]}
    document = pod({"main": {**status, "restartCount": 15}}, not_ready="unready: [main]")
    start = shown(*crashes, pod=document)
    assert waterfall.title(start) == "pod default/a started; how long that took is not known"
    (told,) = [line for line in waterfall.summary(start) if "restarted" in line]
    assert told.startswith("now: not Ready: main: CrashLoopBackOff, restarted 15 times; ")
    assert start.steps == ()


def test_a_sandbox_that_was_made_again_is_not_the_first_one(clock: Clock) -> None:
    """As after a node has been restarted."""
    clock.now += 3600
    again = sync(
        1_800_000,
        call("RunPodSandbox", 1_800_010),
        call("PullImage", 1_800_030),
        started("main", 1_800_050, attempt=1),
    )
    document = pod({"main": running(1_800_070, restartCount=1)})
    start = shown(again, pod=document)
    assert waterfall.title(start) == "pod default/a started; how long that took is not known"
    assert start.steps == ()


def test_the_first_start_is_known_where_jaeger_has_it_but_not_the_beginning(clock: Clock) -> None:
    clock.now += 3600
    first = sync(1_800_000, started("main", 1_800_010))
    again = sync(2_400_000, started("main", 2_400_010, attempt=1))
    document = pod({"main": running(2_400_030, restartCount=1)})
    start = shown(first, again, pod=document)
    assert waterfall.title(start).startswith("pod default/a started in 30 min 0 s, to the second")


def test_a_start_that_fails_for_an_hour_is_read_to_its_last_try(clock: Clock) -> None:
    """Seen on a real cluster: a wait was told in place of the tries of the last 15 min."""
    clock.now += 3600
    times = [80, *range(300_000, 3_600_000, 300_000)]
    tries = [
        [
            *call("CreateContainer", at, container="main", attempt=number),
            *call("StartContainer", at + 10, container="main", attempt=number, error="no file"),
        ]
        for number, at in enumerate(times)
    ]
    later = [sync(at - 20, made) for at, made in zip(times[1:], tries[1:], strict=True)]
    failing = pod({"main": {**waiting("RunContainerError"), "restartCount": 11}})
    start = shown(*REQUESTS, first_sync(tries[0]), *later, pod=failing)
    assert [step.start_ms for step in start.steps if step.error] == [at + 10 for at in times]


@pytest.mark.parametrize("behind", [50, 5000])
def test_a_node_whose_clock_is_behind_keeps_its_requests(behind: float) -> None:
    first = sync(
        20 - behind,
        call("RunPodSandbox", 30 - behind, 40),
        started("main", 80 - behind),
        update="create",
    )
    start = shown(*REQUESTS, first, pod=pod({"main": running(90)}, startTime=None))
    assert names(start)[:3] == [
        "create request",
        "scheduling (queue and decision)",
        "bind to a node",
    ]
    assert start.duration_ms == pytest.approx(92)
    assert any("node's clock is at least" in note for note in start.notes)
    assert all(step.start_ms >= 12 for step in start.steps if step.node)


def test_a_request_ends_for_the_start_where_what_it_caused_begins() -> None:
    """Seen on a real cluster: scheduling was drawn after the bind that followed from it."""
    start = shown(created(0, 15), bound(13, 9), sync(20, call("RunPodSandbox", 30)))
    assert [(step.name, step.start_ms, step.end_ms, step.placed) for step in start.steps][:4] == [
        ("create request", 0, 13, True),
        ("scheduling (queue and decision)", 13, 13, False),
        ("bind to a node", 13, 20, True),
        ("the kubelet learns of the pod", 20, 20, False),
    ]
    assert "create request  (placed)" in {
        str(cell) for cell in waterfall.table(start, 200).columns[5].cells
    }


def test_the_scheduler_begins_when_the_pod_is_stored() -> None:
    start = shown(created(0, 15), bound(14.5), sync(20, call("RunPodSandbox", 30)))
    assert [(step.name, step.start_ms, step.end_ms, step.placed) for step in start.steps][:3] == [
        ("create request", 0, 14, True),
        ("scheduling (queue and decision)", 14, 14.5, False),
        ("bind to a node", 14.5, 18.5, False),
    ]


def test_a_request_that_failed_is_not_the_one_that_created_the_pod() -> None:
    start = shown(*REQUESTS, created(15, code=409), first_sync(started("main", 80)))
    assert start.duration_ms == 100


def test_a_beginning_that_jaeger_no_longer_has_is_said_to_be_lost() -> None:
    idle = sync(80_000)
    start = shown(idle, pod=pod({"main": running(3000)}))
    assert (start.complete, start.duration_ms) == (True, 3000)
    assert start.notes[0].startswith("Jaeger no longer has the beginning of the start")
    unknown = shown(idle)
    assert unknown.notes[0] == "Jaeger no longer has the beginning of the start"
    assert not unknown.complete


# --- the critical path ----------------------------------------------------------------------------


def test_the_few_steps_that_made_the_length_are_marked_with_their_share() -> None:
    start = shown(*REQUESTS, first_sync(call("PullImage", 75, 9900), started("main", 9980)))
    assert [(step.name, round(step.share, 2)) for step in start.steps if step.critical] == [
        ("pull", 0.99)
    ]
    assert "* 99%" in [row.strip() for row in _column(start)]


def _column(start: PodStart) -> list[str]:
    return [str(cell) for cell in waterfall.table(start, 200).columns[2].cells]
