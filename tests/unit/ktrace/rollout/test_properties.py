"""What holds for any workload, its pods and their spans, however they contradict each other."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ktrace.jaeger import Jaeger
from ktrace.rollout import verdict
from ktrace.rollout.cluster import Selection
from ktrace.rollout.kinds import DAEMON_SET, DEPLOYMENT, JOB, PODS, STATEFUL_SET, Kind
from ktrace.rollout.look import Look
from ktrace.rollout.model import Part, Rollout, State
from ktrace.view import rollout as view
from ktrace.view import rollout_json, rollout_page, terminal
from tests.fakes import rollouts, starts
from tests.fakes.jaeger import URL, Handler, client
from tests.fakes.rollouts import HASH, NAMESPACE, OLD_HASH, Cluster, FakePod
from tests.schemas import validate

ANSWER: list[Handler] = []
JAEGER: Jaeger = client(lambda request: ANSWER[-1](request))  # noqa: PLW0108  it changes
"""A client takes 20 ms to make: one for all examples."""
KINDS = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET, JOB)

times = st.one_of(st.integers(-100_000, 8_000), st.integers(-4_000_000, 8_000_000)).map(float)
spells = st.one_of(st.integers(0, 5_000), st.integers(0, 4_000_000)).map(float)


@st.composite
def clusters(draw: st.DrawFn) -> tuple[Kind, Cluster, list[Any]]:
    """A workload ``web`` of any kind, and the traces that Jaeger still has."""
    kind = draw(st.sampled_from(KINDS))
    pods = [draw(fake_pods(kind, number)) for number in range(draw(st.integers(0, 6)))]
    status: dict[str, Any] = {
        "desiredNumberScheduled": draw(st.integers(0, 6)),
        "updateRevision": "new",
        "succeeded": draw(st.integers(0, 2)),
    }
    if draw(st.booleans()):
        kind_of = draw(st.sampled_from(("Complete", "Failed", "Progressing", "ReplicaFailure")))
        status["conditions"] = [
            {
                "type": kind_of,
                "status": draw(st.sampled_from(("True", "False"))),
                "reason": draw(st.sampled_from(("NewReplicaSetAvailable", "Any"))),
                "lastUpdateTime": starts.second(draw(times)),
            }
        ]
    if draw(st.booleans()):
        status["observedGeneration"] = 1
    made = rollouts.workload(
        kind,
        created=draw(times),
        changed=draw(times),
        replicas=draw(st.integers(0, 6)),
        status=status,
        paused=draw(st.booleans()),
        updateStrategy=draw(
            st.sampled_from(
                (
                    {},
                    {"type": "OnDelete"},
                    {"rollingUpdate": {"partition": draw(st.integers(0, 3))}},
                )
            )
        ),
    )
    cluster = Cluster({kind: [made]}, pods)
    cluster.replica_sets = [
        rollouts.replica_set(OLD_HASH, "web:1", created=draw(times), revision=1),
        *([rollouts.replica_set(created=draw(times))] if draw(st.booleans()) else []),
    ]
    cluster.revisions = [
        rollouts.controller_revision(name, name, number, created=draw(times))
        for number, name in enumerate(("old", "new"))
        if draw(st.booleans())
    ]
    traces = [trace for trace in cluster.traces() if draw(st.integers(0, 9))]
    if draw(st.booleans()):
        traces.append(rollouts.written(kind, at=draw(times), took=draw(spells) + 3))
    return kind, cluster, traces


@st.composite
def fake_pods(draw: st.DrawFn, kind: Kind, number: int) -> FakePod:
    newest = draw(st.booleans())
    hashed = HASH if newest else OLD_HASH
    name = f"web-{number}" if kind is STATEFUL_SET else f"web-{rollouts.suffix(number)}"
    owner, owner_kind = "web", kind.kind
    if kind is DEPLOYMENT:
        name, owner, owner_kind = f"web-{hashed}-{name[4:]}", f"web-{hashed}", "ReplicaSet"
    created = draw(times)
    deleted = draw(st.one_of(st.none(), spells))
    return FakePod(
        name,
        owner,
        owner_kind,
        created=created,
        pull=draw(st.integers(0, 3_000)),
        ready=draw(st.one_of(st.none(), spells.map(lambda after: created + after))),
        node=draw(st.sampled_from(("", "agent-1", "agent-2"))),
        labels={"app": "web", "controller-revision-hash": "new" if newest else "old"},
        deleted=None if deleted is None else created + deleted,
        gone=None if deleted is None or draw(st.booleans()) else created + deleted + draw(spells),
        phase=draw(st.sampled_from(("Running", "Running", "Pending", "Succeeded", "Failed"))),
        started=draw(st.booleans()),
        waiting=draw(st.sampled_from(("", "ImagePullBackOff", "CrashLoopBackOff"))),
    )


def shown(kind: Kind, cluster: Cluster, traces: list[Any]) -> Rollout:
    ANSWER.append(starts.handler(*traces))
    wanted = Selection(kind, NAMESPACE, "" if kind is PODS else "web")
    (rollout,) = Look(JAEGER, cluster, wanted).wait(0)
    ANSWER.pop()
    return rollout


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters())
def test_all_is_never_said_to_be_ready_while_a_wanted_pod_is_not(
    made: tuple[Kind, Cluster, list[Any]],
) -> None:
    kind, cluster, traces = made
    rollout = shown(kind, cluster, traces)
    found = verdict.of(rollout)
    listed = {pod.name: pod for pod in cluster.pods if pod.gone is None}
    ready = {
        name
        for name, pod in listed.items()
        if pod.ready is not None and pod.phase == "Running" and pod.deleted is None
    }
    if kind is not JOB:
        assert found.done <= len(ready)
        assert {pod.name for pod in rollout.pods if pod.state is State.READY} <= ready
    (document,) = cluster.objects[kind]
    wanted = document["spec"]["replicas"]
    if kind is DAEMON_SET:
        wanted = document["status"]["desiredNumberScheduled"]
    if found.ok and kind is not JOB:
        assert len(ready) >= wanted
        assert document["status"]["observedGeneration"] == document["metadata"]["generation"]
        assert not [other for other in rollout.others if other.serves and not other.kept]
    if found.ok and kind is DEPLOYMENT:
        assert f"web-{HASH}" == rollout.revision
    if not found.ok:
        assert found.reason
        assert found.took is None
        assert " in " not in view.title(rollout).partition("; ")[0]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(made=clusters(), selection=st.booleans())
def test_times_are_in_order_and_every_view_shows_them(
    *, made: tuple[Kind, Cluster, list[Any]], selection: bool
) -> None:
    kind, cluster, traces = made
    if selection and any(pod.gone is None for pod in cluster.pods):
        kind = PODS
    rollout = shown(kind, cluster, traces)
    undone = (State.NOT_READY, State.STARTING, State.FAILED)
    order = [
        (pod.state not in undone, pod.part is not Part.NEW, -(pod.took_ms or 0))
        for pod in rollout.pods
    ]
    assert order == sorted(order)
    known = [pod.took_ms for pod in rollout.pods if pod.took_ms is not None]
    known += [other.ending.took_ms for other in rollout.others if other.ending.took_ms is not None]
    assert all(ms >= 0 for ms in known)
    for before, after in zip(rollout.chain, rollout.chain[1:], strict=False):
        assert before.end <= after.begin
    found = verdict.of(rollout)
    if found.took is not None and rollout.chain:
        assert found.held
        assert found.held.ms <= found.took.total_seconds() * 1000 + 1500
    document = rollout_json.document([rollout], URL)
    validate("rollout", document)
    for columns in (60, 200):
        for part in view.parts(rollout, columns):
            terminal.plain(part)
    page = rollout_page.render([rollout], URL)
    for left, width in re.findall(r"left:([0-9.-]+)%;width:([0-9.-]+)%", page):
        assert float(left) >= 0
        assert float(width) >= 0
        assert float(left) + float(width) <= 100.05
    again = shown(kind, cluster, traces)
    assert view.title(again) == view.title(rollout)
