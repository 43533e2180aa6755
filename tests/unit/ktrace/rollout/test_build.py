"""What is told of rollouts of every kind, and never more than is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ktrace.errors import KtraceError, UnreachableError, UsageError
from ktrace.rollout import chain as chains
from ktrace.rollout import verdict
from ktrace.rollout.cluster import Selection
from ktrace.rollout.kinds import DAEMON_SET, DEPLOYMENT, JOB, PODS, REPLICA_SET, STATEFUL_SET, Kind
from ktrace.rollout.look import Look
from ktrace.rollout.model import Part, RolledPod, Rollout, State
from ktrace.view.rollout import chain, ending, summary, title
from tests.fakes import rollouts, starts
from tests.fakes.rollouts import HASH, NAMESPACE, OLD_HASH, Cluster, FakePod, web_pod

_LONG_AGO = -70_000


def shown(
    cluster: Cluster,
    kind: Kind = DEPLOYMENT,
    name: str = "web",
    *more: Any,
    **wanted: Any,
) -> Rollout:
    jaeger = starts.jaeger(*cluster.traces(), *more)
    (rollout,) = Look(jaeger, cluster, Selection(kind, NAMESPACE, name, **wanted)).wait(0)
    return rollout


def three(**more: Any) -> list[FakePod]:
    """The last one is the slowest, for its readiness probe."""
    return [web_pod(number, ready=1500 + number * 700, **more) for number in range(3)]


def old(number: int = 3, **more: Any) -> list[FakePod]:
    return [
        web_pod(50 + at, OLD_HASH, created=_LONG_AGO, ready=_LONG_AGO + 5000, **more)
        for at in range(number)
    ]


def test_the_title_says_which_pod_held_it_up_and_with_what() -> None:
    rollout = shown(rollouts.deployment(three()), DEPLOYMENT, "web", rollouts.written())
    slowest = rollout.pods[0].name
    assert title(rollout) == (
        f"deployment shop/web: 3 of 3 pods Ready in 2.88 s; held up by {slowest} "
        "(readiness probe of main 2.53 s)"
    )
    assert slowest == three()[2].name
    times = [pod.took_ms or 0 for pod in rollout.pods]
    assert times == sorted(times, reverse=True)
    assert rollout.write
    assert (rollout.write.client, rollout.write.verb) == ("kubectl/v1.36.3", "patch")
    assert rollout.write.audit_id == "audit-web-20"
    assert {pod.node for pod in rollout.pods} == {"agent-1"}


def test_without_the_span_of_the_write_times_are_to_the_second() -> None:
    rollout = shown(rollouts.deployment(three()))
    assert rollout.write is None
    assert title(rollout).startswith(
        "deployment shop/web: 3 of 3 pods Ready in 3 s, to the second; held up by"
    )
    assert any(
        "the span of the write of 2023-11-14 22:13:20 UTC" in line for line in rollout.missing
    )


def test_of_pods_that_were_ready_in_one_second_none_held_it_up() -> None:
    """Conditions tell seconds: which pod was the last one is not known."""
    rollout = shown(rollouts.deployment([web_pod(number, ready=1400) for number in range(3)]))
    rollout = replace(rollout, pods=tuple(map(to_the_second, rollout.pods)))
    rollout = replace(rollout, chain=chains.of(rollout))
    assert title(rollout) == "deployment shop/web: 3 of 3 pods Ready in 1 s, to the second"


def to_the_second(pod: RolledPod) -> RolledPod:
    ready = pod.ready.replace(microsecond=0) if pod.ready else None
    return replace(pod, exact=False, ready=ready, ready_exact=False)


def test_a_request_that_failed_or_was_a_dry_run_is_not_the_write() -> None:
    failed = rollouts.written(at=300)
    for span in failed["spans"]:
        for tag in span["tags"]:
            if tag["key"].endswith("status_code"):
                tag["value"] = 409
    rollout = shown(
        rollouts.deployment(three()),
        DEPLOYMENT,
        "web",
        failed,
        rollouts.written(at=20),
        rollouts.written(at=-5000),
    )
    assert rollout.write
    assert rollout.write.audit_id == "audit-web-20"


def test_several_writes_in_the_second_are_told() -> None:
    rollout = shown(
        rollouts.deployment(three()),
        DEPLOYMENT,
        "web",
        rollouts.written(at=20),
        rollouts.written(at=60),
    )
    assert "which of 2 writes in one second changed the pods" in rollout.missing


def test_a_pod_that_is_not_ready_is_never_counted() -> None:
    pods = [*three()[:2], web_pod(2, ready=None, started=False, waiting="ImagePullBackOff")]
    rollout = shown(rollouts.deployment(pods))
    found = verdict.of(rollout)
    assert (found.ok, found.done, found.wanted) == (False, 2, 3)
    assert rollout.pods[0].state is State.STARTING, "it comes first"
    assert title(rollout) == (
        f"deployment shop/web: 2 of 3 pods Ready; waits for {pods[2].name} (main: ImagePullBackOff)"
    )


def test_pods_that_are_not_there_yet_are_missing() -> None:
    rollout = shown(rollouts.deployment(three()[:1]))
    assert title(rollout) == "deployment shop/web: 1 of 3 pods Ready"
    assert not verdict.of(rollout).ok


def test_no_replicas_are_no_pods_wanted() -> None:
    rollout = shown(rollouts.deployment([], replicas=0, old=False))
    assert title(rollout) == "deployment shop/web: no pod wanted"
    assert verdict.of(rollout).ok


def test_old_pods_that_serve_are_in_the_way() -> None:
    rollout = shown(rollouts.deployment([*three(), *old(1)]))
    assert not verdict.of(rollout).ok
    assert "1 pod of an older revision is still there" in title(rollout)


def test_a_paused_deployment_is_not_done_without_the_newest_replica_set() -> None:
    cluster = rollouts.deployment(old(), paused=True)
    cluster.replica_sets = cluster.replica_sets[1:]
    rollout = shown(cluster)
    assert title(rollout) == (
        "deployment shop/web: 0 of 3 pods Ready; the newest template has no ReplicaSet: it is "
        "paused"
    )
    assert "it is paused: changes of its template are not rolled out" in summary(rollout)


def test_a_controller_that_lags_behind_is_not_taken_at_its_word() -> None:
    cluster = rollouts.deployment(three())
    cluster.objects[DEPLOYMENT][0]["status"]["observedGeneration"] = 1
    rollout = shown(cluster)
    assert "its controller has not seen the newest specification" in title(rollout)
    assert not verdict.of(rollout).ok


def test_what_the_controller_cannot_create_is_told() -> None:
    message = 'pods "web-x" is forbidden: exceeded quota: pods'
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}
    cluster = rollouts.deployment(
        three()[:2], status={"conditions": [{**condition, "message": message}]}
    )
    cluster.events = [rollouts.event("ReplicaSet", f"web-{HASH}", "FailedCreate", message, 300)]
    rollout = shown(cluster)
    assert f"FailedCreate: {message}" in title(rollout)
    assert f"its controller could not do all at once: {message}" in summary(rollout)


def test_the_newest_revision_is_the_one_of_the_template_even_after_a_rollback() -> None:
    """The older ReplicaSet has the template again; its number in the annotation is not read."""
    cluster = rollouts.deployment(
        [*(web_pod(at, OLD_HASH) for at in range(3))], template=rollouts.template("web:1")
    )
    rollout = shown(cluster)
    assert rollout.revision == f"web-{OLD_HASH}"
    assert any(f"ReplicaSet: web-{OLD_HASH} (revision 1)" in line for line in summary(rollout))
    assert verdict.of(rollout).ok


def test_old_pods_end_beside_the_new_ones() -> None:
    gone = old(2, deleted=1600, gone=3600)
    ending = old(3, deleted=1700)[2:]
    rollout = shown(rollouts.deployment([*three(), *gone, *ending]))
    states = {other.name: (other.state, other.ending.took_ms) for other in rollout.others}
    assert states == {
        gone[0].name: (State.GONE, pytest.approx(2000, abs=2)),
        gone[1].name: (State.GONE, pytest.approx(2000, abs=2)),
        ending[0].name: (State.ENDING, None),
    }
    assert {other.revision for other in rollout.others} == {f"web-{OLD_HASH}"}
    assert verdict.of(rollout).ok, "pods that end serve no more"


def test_the_containers_that_had_to_be_killed_are_named() -> None:
    (other,) = shown(rollouts.deployment([*three(), *old(1, deleted=1600, gone=3600)])).others
    killed = replace(other.ending, killed=("app", "proxy"), grace=5)
    told = "app, proxy killed: not ended within the grace period"
    assert ending(replace(other, ending=killed)) == f"{told} of 5 s"
    assert ending(replace(other, ending=replace(killed, grace=None))) == told


def test_one_pod_after_another_is_held_up_by_the_longest_part() -> None:
    """One old pod at a time makes room: the second new pod waits for the first."""
    pods = [
        web_pod(0, created=100, ready=9_000),
        web_pod(1, created=9_100, ready=10_500),
        web_pod(2, created=10_600, ready=12_000),
    ]
    olds = [
        web_pod(
            50 + at, OLD_HASH, created=_LONG_AGO, ready=-60_000, deleted=begin, gone=begin + 400
        )
        for at, begin in enumerate((9_050, 10_550, 12_050))
    ]
    rollout = shown(rollouts.deployment([*pods, *olds]), DEPLOYMENT, "web", rollouts.written())
    assert [link.pod for link in rollout.chain if link.pod] == [pod.name for pod in pods]
    assert f"held up by {pods[0].name} (readiness probe of main" in title(rollout)
    exact = {pod.name: pod.took_exact for pod in rollout.pods}
    assert all(link.exact is exact[link.pod] for link in rollout.chain if link.pod)
    (told,) = chain(rollout)
    assert f"{pods[1].name} 1." in told
    rough = tuple(replace(link, exact=False) for link in rollout.chain)
    (told,) = chain(replace(rollout, chain=rough))
    assert f"{pods[1].name} ≈1 s" in told
    assert "the longest of 3 parts one after another" in title(rollout)
    assert "what a pod waited for before it was created is told by times, not by spans" in (
        summary(rollout)
    )


def test_an_old_pod_that_ends_slowly_holds_a_stateful_set_up() -> None:
    ended = FakePod(
        "db-0", "db", "StatefulSet", created=_LONG_AGO, ready=-60_000, deleted=50, gone=30_050
    )
    new = FakePod(
        "db-0", "db", "StatefulSet", created=30_100, ready=31_500,
        labels={"app": "web", "controller-revision-hash": "db-2"},
    )  # fmt: skip
    made = rollouts.workload(STATEFUL_SET, "db", replicas=1, status={"updateRevision": "db-2"})
    cluster = Cluster({STATEFUL_SET: [made]}, [new])
    cluster.revisions = [
        rollouts.controller_revision("db-1", "h1", 1, owner="db", created=-80_000),
        rollouts.controller_revision("db-2", "h2", 2, owner="db"),
    ]
    ended_uid = "uid-of-the-old-one"
    old_traces = [
        trace
        for trace in _with_uid(ended, ended_uid)
        if "Terminat" in trace["traceID"] or "Delete" in trace["traceID"]
    ]
    rollout = shown(cluster, STATEFUL_SET, "db", rollouts.written(STATEFUL_SET, "db"), *old_traces)
    assert [other.uid for other in rollout.others] == [ended_uid]
    assert "3 of 3" not in title(rollout)
    assert title(rollout).startswith(
        "statefulset shop/db: 1 of 1 pod Ready in 31.48 s; held up by the end of old pod db-0 "
        "(stop a container 30.00 s), the longest of 2 parts"
    )


def _with_uid(pod: FakePod, uid: str) -> list[Any]:
    found = pod.traces
    for trace in found:
        for span in trace["spans"]:
            for tag in span["tags"]:
                if tag["key"] == "k8s.pod.uid":
                    tag["value"] = uid
    return found


def test_only_new_pods_of_a_scale_up_are_timed() -> None:
    before = [web_pod(at, created=_LONG_AGO, ready=-60_000) for at in range(3)]
    new = web_pod(9, created=400, ready=2_000)
    cluster = rollouts.deployment([*before, new], replicas=4, subresource="scale", old=False)
    rollout = shown(cluster, DEPLOYMENT, "web", rollouts.written(scale=True))
    assert title(rollout).startswith(
        f"deployment shop/web: 4 of 4 pods Ready, 1 of them new, in 1.98 s; held up by {new.name}"
    )
    assert rollout.write
    assert rollout.write.verb == "patch scale"
    assert [pod.part for pod in rollout.pods] == [Part.NEW, *[Part.BEFORE] * 3]
    assert all(pod.start is None for pod in rollout.pods[1:])


def test_a_write_that_made_no_pod_does_not_begin_a_rollout() -> None:
    cluster = rollouts.deployment(three(), changed=3_600_000)
    rollout = shown(cluster)
    assert verdict.of(rollout).ok
    assert "the last write of the object created no pod: told is what came before it" in (
        summary(rollout)
    )
    assert rollout.begun
    assert verdict.of(rollout).took
    assert title(rollout).startswith("deployment shop/web: 3 of 3 pods Ready in 3 s, to the second")


def test_a_pod_that_replaced_another_an_hour_later_is_not_in_the_time() -> None:
    later = web_pod(8, created=3_600_000, ready=3_602_000)
    rollout = shown(
        rollouts.deployment([*three()[:2], later]), DEPLOYMENT, "web", rollouts.written()
    )
    parts = {pod.name: pod.part for pod in rollout.pods}
    assert parts[later.name] is Part.LATER
    assert "3 of 3 pods Ready, 2 of them new, in 2.18 s" in title(rollout)
    assert (
        f"created when the rollout was over, and not counted in its time: {later.name}"
        in summary(rollout)
    )


@pytest.mark.parametrize("deleted", [28_700, 29_000], ids=["before", "after"])
def test_pods_in_the_place_of_removed_ones_do_not_tell_what_the_rollout_took(
    deleted: float,
) -> None:
    """Seen on a real cluster: its ReplicaSet was deleted when the rollout was over, and the pods of
    the next one were what "held up" the rollout."""
    gone = [web_pod(at, ready=1500, deleted=deleted, gone=32_000) for at in range(3)]
    again = [web_pod(at, created=28_900, ready=29_700) for at in range(5, 8)]
    cluster = rollouts.deployment([*gone, *again])
    rollout = shown(cluster, DEPLOYMENT, "web", rollouts.written())
    assert verdict.of(rollout).took is None
    assert title(rollout).startswith("deployment shop/web: 3 of 3 pods Ready; the slowest start: ")
    (told,) = [line for line in summary(rollout) if line.startswith("how long the rollout took")]
    assert again[0].name in told
    finished = rollouts.deployment([*three(), web_pod(9, ready=1500, deleted=28_700, gone=32_000)])
    kept = shown(finished, DEPLOYMENT, "web", rollouts.written())
    assert verdict.of(kept).took is not None, "these were Ready before"


def test_a_pod_replaced_long_after_a_change_of_labels_is_not_what_that_took() -> None:
    before = [web_pod(at, created=_LONG_AGO, ready=-60_000) for at in range(2)]
    replaced = web_pod(9, created=3_600_000, ready=3_602_000)
    rollout = shown(rollouts.deployment([*before, replaced]), DEPLOYMENT, "web", rollouts.written())
    assert {pod.name: pod.part for pod in rollout.pods}[replaced.name] is Part.LATER
    assert verdict.of(rollout).took is None
    assert title(rollout).startswith("deployment shop/web: 3 of 3 pods Ready; the slowest start: ")


def test_what_was_refused_before_the_last_write_is_not_told() -> None:
    cluster = rollouts.deployment(three())
    cluster.events = [
        rollouts.event("ReplicaSet", f"web-{HASH}", "FailedCreate", "quota", -30_000),
        rollouts.event("ReplicaSet", f"web-{HASH}", "FailedCreate", "webhook", 1_000),
        rollouts.event("ReplicaSet", f"web-{HASH}", "SuccessfulCreate", "made", 2_000),
    ]
    assert [line for line in summary(shown(cluster)) if "could not" in line] == [
        "its controller could not do all at once: webhook"
    ]


def test_a_job_without_completions_wants_no_more_pods_after_a_success() -> None:
    pods = [
        FakePod(f"migrate-bcdf{letter}", "migrate", "Job", phase=phase, labels={"app": "web"})
        for letter, phase in (("g", "Succeeded"), ("h", "Running"))
    ]
    cluster = rollouts.job(pods, status={"succeeded": 1, "active": 1}, parallelism=3)
    rollout = shown(cluster, JOB, "migrate")
    assert title(rollout).startswith("job shop/migrate: 2 of 2 pods started")


def test_what_a_deployment_says_of_its_end_decides_who_came_later() -> None:
    available = {
        "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable",
        "lastUpdateTime": starts.second(3_000),
    }  # fmt: skip
    later = web_pod(8, created=9_000, ready=11_000)
    cluster = rollouts.deployment([*three()[:2], later], status={"conditions": [available]})
    rollout = shown(cluster)
    assert {pod.name: pod.part for pod in rollout.pods}[later.name] is Part.LATER


def test_a_daemon_set_wants_what_its_controller_has_counted() -> None:
    pods = [
        FakePod(
            f"agent-{rollouts.suffix(at)}", "agent", "DaemonSet", node=f"node-{at}",
            labels={"app": "web", "controller-revision-hash": "h2"},
        )
        for at in range(2)
    ]  # fmt: skip
    revisions = [
        rollouts.controller_revision("agent-h1", "h1", 1, owner="agent"),
        rollouts.controller_revision("agent-h2", "h2", 2, owner="agent"),
    ]
    made = rollouts.workload(
        DAEMON_SET, "agent", replicas=None, status={"desiredNumberScheduled": 2}
    )
    cluster = Cluster({DAEMON_SET: [made]}, pods, revisions=revisions)
    assert title(shown(cluster, DAEMON_SET, "agent")).startswith(
        "daemonset shop/agent: 2 of 2 pods Ready in"
    )
    made["status"]["observedGeneration"] = 1
    unknown = verdict.of(shown(cluster, DAEMON_SET, "agent"))
    assert (unknown.ok, unknown.wanted) == (False, None)
    made["status"] = {"observedGeneration": 2, "desiredNumberScheduled": 0}
    cluster.pods = []
    nowhere = shown(cluster, DAEMON_SET, "agent")
    assert title(nowhere) == "daemonset shop/agent: no pod wanted"
    assert "no node is one that its pods may run on" in summary(nowhere)


def test_pods_below_a_partition_stay_and_count() -> None:
    pods = [
        FakePod(
            f"db-{at}", "db", "StatefulSet",
            created=100 if at == 2 else _LONG_AGO, ready=1_500 if at == 2 else -60_000,
            labels={"app": "web", "controller-revision-hash": "db-2" if at == 2 else "db-1"},
        )
        for at in range(3)
    ]  # fmt: skip
    made = rollouts.workload(
        STATEFUL_SET,
        "db",
        status={"updateRevision": "db-2"},
        updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}},
    )
    rollout = shown(Cluster({STATEFUL_SET: [made]}, pods), STATEFUL_SET, "db")
    assert title(rollout).startswith("statefulset shop/db: 3 of 3 pods Ready in")
    assert "2 pods stay of an older revision (partition 2)" in summary(rollout)
    del made["spec"]["updateStrategy"]
    assert not verdict.of(shown(Cluster({STATEFUL_SET: [made]}, pods), STATEFUL_SET, "db")).ok


@pytest.mark.parametrize(
    ("phase", "status", "expected", "ok"),
    [
        (
            "Succeeded",
            {"succeeded": 1, "completionTime": "2023-11-14T22:14:00Z",
             "conditions": [{"type": "Complete", "status": "True"}]},
            "job shop/migrate: complete, 1 pod succeeded in ",
            True,
        ),
        ("Running", {}, "job shop/migrate: 1 of 1 pod started in ", True),
        (
            "Failed",
            {"failed": 1},
            "job shop/migrate: 0 of 1 pod succeeded; 1 pod has failed, and the Job has not given "
            "up; migrate-bcdfg: the pod has failed",
            False,
        ),
        (
            "Failed",
            {"failed": 1, "conditions": [
                {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]},
            "job shop/migrate: 0 of 1 pod succeeded; it has failed: BackoffLimitExceeded; "
            "migrate-bcdfg: the pod has failed",
            False,
        ),
    ],
)  # fmt: skip
def test_a_job(phase: str, status: dict[str, Any], expected: str, *, ok: bool) -> None:
    pod = FakePod("migrate-bcdfg", "migrate", "Job", phase=phase, labels={"app": "web"})
    rollout = shown(rollouts.job([pod], status=status), JOB, "migrate")
    assert title(rollout).startswith(expected)
    assert verdict.of(rollout).ok is ok
    assert not verdict.of(rollout).waits


def test_a_job_wants_no_more_pods_than_it_has_to_complete() -> None:
    pod = FakePod("migrate-bcdfg", "migrate", "Job", phase="Running", labels={"app": "web"})
    rollout = shown(rollouts.job([pod], parallelism=3, completions=1), JOB, "migrate")
    assert title(rollout).startswith("job shop/migrate: 1 of 1 pod started")


def test_a_suspended_job_is_not_done() -> None:
    rollout = shown(rollouts.job([], suspend=True), JOB, "migrate")
    assert title(rollout) == "job shop/migrate: 0 of 1 pod started; it is suspended"
    assert not verdict.of(rollout).ok


def test_a_replica_set_of_its_own() -> None:
    made = rollouts.workload(REPLICA_SET, f"web-{HASH}", created=0)
    rollout = shown(Cluster({REPLICA_SET: [made]}, three()), REPLICA_SET, f"web-{HASH}")
    assert title(rollout).startswith(f"replicaset shop/web-{HASH}: 3 of 3 pods Ready in")


def test_a_selection_is_of_starts_each_by_itself() -> None:
    cluster = rollouts.deployment([*three(), *old(1)])
    rollout = shown(cluster, PODS, "", selector="app=web")
    assert title(rollout).startswith(
        f"pods app=web in shop: 4 of 4 pods Ready; the slowest start: {old()[0].name}, 5.00 s "
        "(readiness probe of main 4.73 s)"
    )
    assert rollout.begun is None
    assert rollout.chain == ()


def test_all_workloads_of_a_kind() -> None:
    cluster = rollouts.deployment(three())
    other = rollouts.workload(DEPLOYMENT, "api", replicas=0)
    other["spec"]["template"] = rollouts.template("api:1")
    cluster.objects[DEPLOYMENT].append(other)
    jaeger = starts.jaeger(*cluster.traces())
    found = Look(jaeger, cluster, Selection(DEPLOYMENT, "")).wait(0)
    assert [rollout.what for rollout in found] == ["deployment shop/web", "deployment shop/api"]
    assert len(found[0].pods) == 3
    assert found[1].pods == ()


def test_without_a_cluster_nothing_is_said_to_be_ready() -> None:
    cluster = rollouts.deployment([*three(), *old(2)])
    jaeger = starts.jaeger(*cluster.traces())
    wanted = Selection(DEPLOYMENT, NAMESPACE, "web")
    (rollout,) = Look(jaeger, "no kubeconfig is known", wanted).wait(0)
    assert title(rollout) == (
        "deployment shop/web: 3 pods seen; which pods are wanted is not known without the cluster"
    )
    assert {pod.state for pod in rollout.pods} == {State.NOT_KNOWN}
    assert rollout.revision == f"web-{HASH}"
    assert not verdict.of(rollout).ok


@pytest.mark.parametrize(
    ("wanted", "error", "told"),
    [
        (Selection(DEPLOYMENT, NAMESPACE, "other"), KtraceError, "Jaeger has no pod with a name"),
        (
            Selection(PODS, NAMESPACE, selector="a=b"),
            UsageError,
            "pods a=b in shop: the cluster alone",
        ),
        (Selection(DEPLOYMENT, ""), UsageError, "deployments in all namespaces: the cluster alone"),
    ],
)
def test_what_needs_the_cluster_says_so(
    wanted: Selection, error: type[Exception], told: str
) -> None:
    jaeger = starts.jaeger(*rollouts.deployment(three()).traces())
    with pytest.raises(error, match=told):
        Look(jaeger, "no kubeconfig is known", wanted).wait(0)


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"web": 403}, KtraceError, "deployment shop/web cannot be read: 403 .*forbidden"),
        ({"pods": 403}, KtraceError, "pods in shop cannot be read: 403"),
        ({"replicasets": 403}, KtraceError, "replicasets in shop cannot be read: 403"),
        ({"web": 500}, UnreachableError, "deployment shop/web cannot be read: 500"),
        ({"web": 404}, KtraceError, "there is no deployment shop/web: name another one"),
        ({"pods": 400}, UsageError, "pods in shop cannot be read: 400 .*Correct the selector"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    change: dict[str, int], error: type[Exception], told: str
) -> None:
    cluster = rollouts.deployment(three())
    cluster.refused = change
    with pytest.raises(error, match=told) as failed:
        shown(cluster)
    assert "\n" not in str(failed.value)


def test_without_its_events_a_rollout_is_shown() -> None:
    cluster = rollouts.deployment(three())
    cluster.refused = {"events": 403}
    rollout = shown(cluster)
    assert verdict.of(rollout).ok
    assert any(line.startswith("the Events: 403") for line in rollout.missing)


@pytest.mark.parametrize("make", [lambda: {"metadata": {}}, lambda: {"spec": []}, dict])
def test_an_answer_that_is_no_workload(make: Callable[[], Any]) -> None:
    class Odd:
        def get(self, path: str) -> Any:
            return make()

    with pytest.raises(UnreachableError):
        Look(starts.jaeger(), Odd(), Selection(DEPLOYMENT, NAMESPACE, "web")).wait(0)


# --- a ReplicaSet that a Deployment scales --------------------------------------------------------

SET = f"web-{HASH}"


def replica_set(
    pods: list[FakePod], *, created: float, changed: float, owned: bool = True
) -> Cluster:
    made = rollouts.workload(REPLICA_SET, SET, replicas=len(pods), created=created, changed=changed)
    if owned:
        made["metadata"]["ownerReferences"] = [
            {"kind": "Deployment", "name": "web", "uid": rollouts.uid("web"), "controller": True}
        ]
    return Cluster({REPLICA_SET: [made]}, pods)


def by_controller(at: float, *, method: str = "PUT") -> Any:
    agent = rollouts.CONTROLLER
    return rollouts.written(REPLICA_SET, SET, at, method=method, agent=agent, took=4)


def one_after_another(*created: float) -> list[FakePod]:
    return [web_pod(number, created=at, ready=at + 1500) for number, at in enumerate(created)]


def test_a_replica_set_of_a_rolling_deployment_begins_with_its_creation() -> None:
    """Its Deployment writes it once for each step, and the last write made the last pod alone."""
    cluster = replica_set(one_after_another(100, 3100, 6100), created=50, changed=6050)
    writes = by_controller(50, method="POST"), by_controller(3050), by_controller(6050)
    rollout = shown(cluster, REPLICA_SET, SET, *writes)
    assert [pod.part for pod in rollout.pods] == [Part.NEW] * 3
    assert title(rollout).startswith(f"replicaset shop/{SET}: 3 of 3 pods Ready in 7.5")
    assert rollout.write
    assert (rollout.write.verb, rollout.write.client) == (
        "create",
        "kube-controller-manager/v1.36.3",
    )
    assert rollout.begun == rollout.write.at
    assert "deployment/web scales it step by step: told is what followed its creation" in (
        rollout.notes
    )
    assert not any("last write" in note for note in rollout.notes)


@pytest.mark.parametrize("since", [_LONG_AGO * 10, -30_000])
@pytest.mark.parametrize(("write", "created"), [(3050, 3100), (2990, 3010)])
def test_one_that_got_pods_again_begins_with_the_write_that_gave_it_them(
    write: float, created: float, since: float
) -> None:
    """After a rollback; the pod may be created in the second after the write."""
    cluster = replica_set(one_after_another(created, 6100), created=since, changed=6050)
    rollout = shown(cluster, REPLICA_SET, SET, by_controller(write), by_controller(6050))
    assert [pod.part for pod in rollout.pods] == [Part.NEW] * 2
    assert rollout.write
    assert rollout.write.audit_id == f"audit-{SET}-{write}"
    assert rollout.begun == rollout.write.at
    assert (
        "it is older than its pods: told is what followed the write that gave it the first of "
        "those that are there"
    ) in rollout.notes


def test_without_that_write_it_begins_with_the_first_of_its_pods() -> None:
    cluster = replica_set(one_after_another(3100, 6100), created=_LONG_AGO * 10, changed=6050)
    rollout = shown(cluster, REPLICA_SET, SET, by_controller(6050))
    assert [pod.part for pod in rollout.pods] == [Part.NEW] * 2
    assert (rollout.write, rollout.begun_exact) == (None, False)
    told = "it is older than its pods: told is what followed the creation of the first of those"
    assert any(note.startswith(told) for note in rollout.notes)
    assert "a span of the write that made the first of its pods" in rollout.missing


def test_one_whose_first_pods_were_refused_begins_with_its_creation() -> None:
    cluster = replica_set(one_after_another(40_100), created=50, changed=50)
    cluster.events = [rollouts.event("ReplicaSet", SET, "FailedCreate", "quota", 1_000)]
    rollout = shown(cluster, REPLICA_SET, SET, by_controller(50, method="POST"))
    assert rollout.write
    assert rollout.write.verb == "create"


def test_of_one_without_pods_the_last_write_is_told() -> None:
    cluster = replica_set([], created=_LONG_AGO, changed=6050)
    rollout = shown(cluster, REPLICA_SET, SET, by_controller(6050))
    assert rollout.write
    assert not any("older than its pods" in note for note in rollout.notes)
    rollout = shown(cluster, REPLICA_SET, SET)
    assert rollout.missing[0].startswith("the span of the write of 2023-11-14")


def test_one_of_its_own_begins_with_the_last_write() -> None:
    """A person scales it, as a Deployment."""
    pods = one_after_another(100, 6100)
    rollout = shown(replica_set(pods, owned=False, created=50, changed=6050), REPLICA_SET, SET)
    assert sorted(pod.part for pod in rollout.pods) == [Part.BEFORE, Part.NEW]


def test_selected_pods_that_have_succeeded_are_not_called_ready() -> None:
    labels = {"app": "web"}
    pods = [
        FakePod("migrate-1", "migrate", "Job", phase="Succeeded", ready=None, labels=labels),
        FakePod("web-1", "web", "ReplicaSet", labels=labels),
    ]
    both = shown(rollouts.job(pods), PODS, "", selector="app=web")
    assert title(both).startswith("pods app=web in shop: 2 of 2 pods Ready or succeeded")
    ready = shown(rollouts.job(pods[1:]), PODS, "", selector="app=web")
    assert title(ready).startswith("pods app=web in shop: 1 of 1 pod Ready")
    assert "succeeded" not in title(ready)


def test_of_a_pod_that_has_ended_nothing_is_told_to_wait_for() -> None:
    labels = {"app": "web"}
    done = FakePod("migrate-bcdfg", "migrate", "Job", phase="Succeeded", ready=None, labels=labels)
    (pod,) = shown(rollouts.job([done]), JOB, "migrate").pods
    assert (pod.state, pod.why) == (State.SUCCEEDED, "")
