"""The probe: a pod's trace is found or a component is named, and the pod is gone either way."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from ktrace.jaeger import Jaeger, JaegerError
from ktrace.pipeline import pod_watch, probe, probe_pod, probe_trace
from ktrace.pipeline.probe_pod import CreatedPod, ProbeError, SilenceError
from ktrace.pipeline.probe_trace import Demand
from ktrace.text import clean
from runtime_observability.core import origin
from runtime_observability.core.naming import Names
from runtime_observability.host.api_server import ApiServer
from tests.fakes.clock import Clock
from tests.fakes.daemon import FakeDaemon
from tests.fakes.executables import Answer
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig
from tests.fakes.jaeger import URL, client, data, span, trace


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """No test waits, and no deadline depends on the machine."""
    return Clock().drive(monkeypatch, probe_trace, probe_pod, pod_watch)


PODS = "/api/v1/namespaces/default/pods"
AUDIT_ID = "6f3a1c"
ALL = ["apiserver", "kubelet", "containerd"]


class Cluster:
    """An API server that creates pods, and a Jaeger with the traces that the test sets.

    ``starts`` are Jaeger's answers to the search for the pod's start; the last one stays.
    """

    def __init__(self, server: FakeServer, folder: Path) -> None:
        self.server = server
        self.server.answer = self._api
        self.kubeconfig = folder / "kubeconfig"
        write_kubeconfig(self.kubeconfig, server.url)
        self.refusals: list[Reply] = []
        self.undeletable: list[Reply] = []
        self.created: list[str] = []
        self.phase: dict[str, Any] = {"phase": "Running"}
        self.node = ""
        self.gone = False
        """Whether somebody else has deleted the pod."""
        self.events: list[dict[str, Any]] = []
        self.node_conditions: list[dict[str, Any]] = [{"type": "Ready", "status": "True"}]
        self.audited = True
        self.services = list(ALL)
        self.starts: list[list[Any]] = [[joined()]]
        self.requests: list[Any] = [request_trace()]
        self.others = 1
        """Number of unrelated traces of each component."""
        self.fails: httpx.Response | None = None
        self.jaeger: Jaeger = client(self._jaeger)
        self.searches: list[dict[str, str]] = []

    @property
    def pods(self) -> list[str]:
        """Names of the pods that were created and not deleted."""
        deletes = [request.path for request in self.server.requests if request.method == "DELETE"]
        deleted = {path.partition("?")[0] for path in deletes}
        return [name for name in self.created if f"{PODS}/{name}" not in deleted]

    def probe(
        self,
        demanded: Sequence[str] = ALL,
        expected: Sequence[str] = (),
        seconds: float = 5,
    ) -> dict[str, object]:
        return probe.probe(
            self.jaeger,
            ApiServer(self.kubeconfig),
            image="pause:3.6",
            seconds=seconds,
            wanted=Demand(tuple(demanded), tuple(expected)),
        )

    def _api(self, request: Request) -> Reply:
        if request.method == "POST" and self.refusals:
            return self.refusals.pop(0)
        if request.method == "DELETE" and self.undeletable:
            return self.undeletable.pop(0)
        if request.path.startswith("/api/v1/namespaces/default/events?"):
            assert request.path.endswith(f"=involvedObject.name%3D{self.created[-1]}")
            return Reply(200, {"kind": "EventList", "items": self.events})
        if request.path == f"/api/v1/nodes/{self.node}":
            return Reply(200, {"kind": "Node", "status": {"conditions": self.node_conditions}})
        if request.method == "GET" and self.gone:
            return Reply(404, {"message": f'pods "{self.created[-1]}" not found'})
        if request.method == "POST":
            self.created.append(request.body["metadata"]["name"])
        pod = {"kind": "Pod", "metadata": {"name": "p"}, "status": self.phase}
        pod["spec"] = {"nodeName": self.node}
        headers = {"Audit-Id": AUDIT_ID} if self.audited else {}
        return Reply(201 if request.method == "POST" else 200, pod, headers)

    def _jaeger(self, request: httpx.Request) -> httpx.Response:
        if self.fails:
            return self.fails
        if request.url.path == "/api/services":
            return data(*self.services)
        query = dict(request.url.params)
        self.searches.append(query)
        if "tags" not in query:
            return data(*([trace(span(query["service"], "any"))] * self.others))
        if query["service"] == "apiserver":
            return data(*tagged(query["tags"], self.requests))
        starts = self.starts.pop(0) if len(self.starts) > 1 else self.starts[0]
        return data(*tagged(query["tags"], starts))


def tagged(searched: str, traces: Iterable[Any]) -> list[Any]:
    """``traces`` with the tags in all spans by which a search has found them."""
    tags = [{"key": key, "value": value} for key, value in json.loads(searched).items()]
    return [
        {**trace, "spans": [{**span, "tags": [*span["tags"], *tags]} for span in trace["spans"]]}
        for trace in traces
    ]


def joined(*more: dict[str, Any]) -> Any:
    sandbox = span("containerd", "RunPodSandbox", parent="syncPod")
    return trace(span("kubelet", "syncPod"), sandbox, *more)


def request_trace() -> Any:
    return trace(span("apiserver", "Create"), trace_id="t2")


@pytest.fixture
def cluster(server: FakeServer, tmp_path: Path) -> Cluster:
    return Cluster(server, tmp_path)


def test_a_joined_trace_is_reported(cluster: Cluster) -> None:
    report = cluster.probe()
    assert report["traced"] == ALL
    assert report["spans"] == {"containerd": 1, "kubelet": 1}
    assert report["traceUrl"] == f"{URL}/trace/t1"
    assert report["requestTraceUrl"] == f"{URL}/trace/t2"
    assert report["seconds"] == 0
    assert cluster.pods == []


def test_its_own_pod_and_its_own_request_are_looked_for(cluster: Cluster) -> None:
    report = cluster.probe()
    kubelet, apiserver = cluster.searches[:2]
    assert kubelet["operation"] == "syncPod"
    assert json.loads(kubelet["tags"]) == {"k8s.pod": report["pod"]}
    assert json.loads(apiserver["tags"]) == {"audit-id": AUDIT_ID}
    assert kubelet["start"] == apiserver["start"]
    assert len(kubelet["start"]) == 16, "microseconds"


def test_the_pod_asks_for_nothing(cluster: Cluster) -> None:
    cluster.probe()
    (created,) = cluster.server.asked("POST", PODS)
    assert created.body["spec"]["restartPolicy"] == "Never"
    assert created.body["spec"]["automountServiceAccountToken"] is False
    (container,) = created.body["spec"]["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("pause:3.6", "IfNotPresent")


def test_the_pod_is_found_by_its_label_and_ends_at_once(cluster: Cluster) -> None:
    cluster.probe()
    (created,) = cluster.server.asked("POST", PODS)
    assert created.body["metadata"]["labels"] == {"app": "trace-probe"}
    assert created.body["spec"]["enableServiceLinks"] is False
    assert created.body["spec"]["terminationGracePeriodSeconds"] == 0
    (delete,) = (request for request in cluster.server.requests if request.method == "DELETE")
    assert "gracePeriodSeconds=0" in delete.path


def test_a_clock_may_be_a_second_late() -> None:
    assert CreatedPod("p", "", 1_700_000_000.5).since == 1_699_999_999_500_000


def test_two_probes_have_two_pods(cluster: Cluster) -> None:
    assert cluster.probe()["pod"] != cluster.probe()["pod"]


def test_a_trace_that_comes_late_is_waited_for(cluster: Cluster) -> None:
    cluster.starts = [[], [], [trace(span("kubelet", "syncPod"))], [joined()]]
    assert cluster.probe()["traced"] == ALL


def test_a_trace_that_grows_is_read_whole(cluster: Cluster) -> None:
    create = span("containerd", "CreateContainer", parent="syncPod")
    start = span("containerd", "StartContainer", parent="syncPod")
    cluster.starts = [[joined()], [joined(create)], [joined(create, start)]]
    assert cluster.probe()["spans"] == {"containerd": 3, "kubelet": 1}


START = "runtime.v1.RuntimeService/StartContainer"


def started(*more: dict[str, Any], at: float = 0, **tags: Any) -> Any:
    """A start whose StartContainer has a span of the kubelet's with ``tags``, and ``more``."""
    return joined(span("kubelet", START, int(at * 1_000_000), "syncPod", **tags), *more)


def test_a_start_that_is_whole_is_not_waited_for(cluster: Cluster, clock: Clock) -> None:
    """The trace says that the container started, before the kubelet has told the API server."""
    begin = clock.now
    runtime = span("containerd", "StartContainer", parent=START)
    cluster.starts = [[started(runtime, at=begin)]]
    cluster.phase = {"phase": "Pending"}
    assert cluster.probe()["traced"] == ALL
    assert clock.now - begin < 0.1


def test_a_call_without_the_runtimes_part_is_waited_for(cluster: Cluster, clock: Clock) -> None:
    begin = clock.now
    cluster.starts = [[started(at=begin)]]
    cluster.probe()
    assert 0.9 <= clock.now - begin < 1.3


def test_a_container_that_did_not_start_proves_nothing(cluster: Cluster) -> None:
    runtime = span("containerd", "StartContainer", parent=START)
    cluster.starts = [[started(runtime, error=True)]]
    cluster.phase = {"phase": "Pending"}
    assert "did not start" in failure(cluster)


def test_a_trace_with_holes_is_read_until_they_are_filled(cluster: Cluster) -> None:
    """A batch of a component's spans may leave before the one that holds their parents."""
    inner = span("containerd", "metadata.sandbox.Create", parent="CreateContainer")
    holed = joined(inner)
    whole = joined(inner, span("containerd", "CreateContainer", parent="syncPod"))
    cluster.starts = [[holed], [holed], [holed], [whole]]
    assert cluster.probe()["spans"] == {"containerd": 3, "kubelet": 1}


def test_a_span_that_is_not_below_the_kubelets_joins_nothing(cluster: Cluster) -> None:
    inner = span("containerd", "metadata.sandbox.Create", parent="RunPodSandbox")
    cluster.starts = [[trace(span("kubelet", "syncPod"), inner)]]
    assert "none below the kubelet's of this pod's start" in failure(cluster)


def test_holes_that_stay_do_not_fail_the_probe(cluster: Cluster, clock: Clock) -> None:
    """They are waited for as long as the slowest exporter may take, and no longer."""
    cluster.starts = [[joined(span("containerd", "late", parent="lost"))]]
    begin = clock.now
    report = cluster.probe()
    assert report["traced"] == ALL
    assert report["seconds"] == 0, "the time until it was found, not until it was given up"
    assert 8 < clock.now - begin < 9


def test_the_widest_trace_is_the_pods_start(cluster: Cluster) -> None:
    """Every later syncPod of the pod is a trace of its own, of the kubelet alone."""
    later = trace(*(span("kubelet", "syncPod", n) for n in range(5)), trace_id="t9")
    cluster.starts = [[later, joined()]]
    assert cluster.probe()["traceUrl"] == f"{URL}/trace/t1"


def failure(cluster: Cluster, *, kind: type[ProbeError] | None = None, **arguments: Any) -> str:
    with pytest.raises(ProbeError) as failed:
        cluster.probe(**{"seconds": 0.3, **arguments})
    assert cluster.pods == [], "the pod goes when the probe fails, too"
    assert kind is None or type(failed.value) is kind
    return str(failed.value)


def test_a_silent_containerd_is_named(cluster: Cluster) -> None:
    cluster.starts = [[trace(span("kubelet", "syncPod"))]]
    cluster.services = ["apiserver", "kubelet"]
    said = failure(cluster)
    assert said.startswith("no trace of containerd within 0.3 s of the pod's creation:")
    assert "containerd has never sent a span to this Jaeger" in said
    assert "the pod: Running; services in Jaeger: apiserver, kubelet" in said


def test_a_containerd_that_is_not_joined_is_told_apart(cluster: Cluster) -> None:
    cluster.starts = [[trace(span("kubelet", "syncPod"))]]
    assert "none below the kubelet's of this pod's start" in failure(cluster)


def test_all_that_are_silent_are_named(cluster: Cluster) -> None:
    cluster.starts, cluster.requests, cluster.services = [[]], [], []
    said = failure(cluster)
    assert "no trace of apiserver and kubelet and containerd within" in said
    assert said.count("has never sent a span") == 3
    assert "services in Jaeger: none" in said


def test_a_pod_that_waits_is_told(cluster: Cluster) -> None:
    """It never ran, so nothing is said of hops and components."""
    cluster.starts = [[]]
    cluster.node = "n1"
    reason = {"reason": "ErrImagePull", "message": "no such\nimage\x1b[2J"}
    waiting = {"name": "probe", "state": {"waiting": reason}}
    rest = {"image": "i", "imageID": "", "ready": False, "restartCount": 0}
    cluster.phase = {"phase": "Pending", "containerStatuses": [waiting | rest]}
    said = failure(cluster, kind=ProbeError)
    assert "did not run on node n1: Pending, ErrImagePull: no such image\\x1b[2J. " in said
    assert "probeImage" in said
    assert "no trace of" not in said
    assert len(said.splitlines()) == 1


TAINT = "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: gpu}"


def unschedulable(message: str = TAINT) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return {"phase": "Pending", "conditions": [condition | {"message": message}]}


def test_an_unschedulable_pod_ends_the_probe_early_with_the_schedulers_reason(
    cluster: Cluster, clock: Clock
) -> None:
    """Every component exports, and a hop is not broken (seen on a real k3s)."""
    cluster.starts = [[]]
    cluster.phase = unschedulable()
    begin = clock.now
    said = failure(cluster, seconds=60, kind=ProbeError)
    assert f"it is unschedulable: Unschedulable: {TAINT}. Let a node take it" in said
    assert len(said.splitlines()) == 1
    assert 10 <= clock.now - begin < 13


def test_a_taint_that_goes_away_is_waited_for(cluster: Cluster, clock: Clock) -> None:
    cluster.starts = [[]]
    cluster.phase = unschedulable()
    begin = clock.now

    def becomes_ready() -> None:
        if clock.now - begin > 8:
            cluster.phase, cluster.starts = {"phase": "Running"}, [[joined()]]

    clock.while_sleeping = becomes_ready
    assert cluster.probe(seconds=60)["traced"] == ALL


def test_a_pod_that_nobody_scheduled_is_told(cluster: Cluster) -> None:
    cluster.starts = [[]]
    cluster.phase = {"phase": "Pending"}
    said = failure(cluster, kind=ProbeError)
    assert "did not run: Pending, and no scheduler has looked at it" in said


def test_a_pod_that_its_kubelet_rejects_is_told(cluster: Cluster, clock: Clock) -> None:
    cluster.starts, cluster.node = [[]], "n1"
    cluster.phase = {"phase": "Failed", "reason": "OutOfpods", "message": "Node has no room"}
    begin = clock.now
    said = failure(cluster, seconds=60, kind=ProbeError)
    assert "did not run on node n1: Failed, OutOfpods: Node has no room. " in said
    assert clock.now - begin < 2
    cluster.starts = [[joined()]]
    assert "did not run on node n1: Failed" in failure(cluster, kind=ProbeError)


def test_a_pod_that_has_run_is_no_excuse_for_silence(cluster: Cluster) -> None:
    cluster.starts, cluster.node = [[]], "n2"
    cluster.phase = {
        "phase": "Failed",
        "containerStatuses": [{"name": "probe", "state": {"terminated": {"exitCode": 1}}}],
    }
    with pytest.raises(SilenceError) as failed:
        cluster.probe(seconds=0.3)
    assert failed.value.node == "n2"


def test_a_pod_that_does_not_start_is_no_proof(cluster: Cluster) -> None:
    """Its sandbox alone leaves a joined trace."""
    waiting = {"name": "probe", "state": {"waiting": {"reason": "ErrImagePull"}}}
    rest = {"image": "i", "imageID": "", "ready": False, "restartCount": 0}
    cluster.phase = {"phase": "Pending", "containerStatuses": [waiting | rest]}
    said = failure(cluster)
    assert "within 0.3 s the pod did not start: Pending, ErrImagePull" in said
    assert "probeImage" in said


def test_what_an_earlier_cluster_sent_is_not_taken_for_this_one(cluster: Cluster) -> None:
    cluster.starts = [[trace(span("kubelet", "syncPod"))]]
    cluster.others = 0
    said = failure(cluster)
    assert "containerd has sent spans to this Jaeger before, but none since" in said


def test_a_request_without_an_audit_id_is_not_taken_for_another(cluster: Cluster) -> None:
    cluster.audited = False
    assert "no trace of apiserver within" in failure(cluster)
    searches = [search for search in cluster.searches if search["service"] == "apiserver"]
    assert not [search for search in searches if "tags" in search]


def test_only_what_is_demanded_must_be_there(cluster: Cluster) -> None:
    cluster.starts = [[trace(span("kubelet", "syncPod"))]]
    report = cluster.probe(demanded=["apiserver", "kubelet"])
    assert report["traced"] == ["apiserver", "kubelet"]


def test_where_nothing_is_demanded_nothing_is_claimed(cluster: Cluster) -> None:
    """With a sampled collector a given pod's trace may never come: that is no time to it."""
    cluster.starts, cluster.requests = [[]], []
    report = cluster.probe(demanded=[])
    assert (report["seconds"], report["traceUrl"], report["traced"]) == (None, None, [])
    assert cluster.pods == []


def test_of_a_sampled_component_any_span_will_do(cluster: Cluster) -> None:
    cluster.starts, cluster.requests = [[]], []
    report = cluster.probe(demanded=[], expected=["kubelet", "containerd", "apiserver"])
    assert report["traced"] == ALL, "in the order of a whole trace"
    assert report["seconds"] is None


def test_a_sampled_component_that_is_silent_is_named(cluster: Cluster) -> None:
    cluster.others = 0
    said = failure(cluster, demanded=["apiserver"], expected=["kubelet", "containerd"])
    assert "no trace of kubelet and containerd within" in said
    assert "has sent spans to this Jaeger before, but none since" in said


def test_a_new_namespace_is_given_a_moment(cluster: Cluster) -> None:
    early = Reply(403, {"message": "error looking up service account default/default"})
    cluster.refusals = [early, early]
    assert cluster.probe()["traced"] == ALL
    assert len(cluster.server.asked("POST", PODS)) == 3


@pytest.mark.parametrize("status", [403, 409, 422])
def test_a_pod_that_is_refused_says_why(cluster: Cluster, status: int) -> None:
    cluster.refusals = [Reply(status, {"message": "quota exceeded"})] * 1000
    with pytest.raises(ProbeError, match="the probe's pod cannot be created: quota exceeded"):
        cluster.probe(seconds=0.2)


def test_a_service_account_that_never_comes_is_told(cluster: Cluster, clock: Clock) -> None:
    missing = PODS_ARE_FORBIDDEN + (
        'error looking up service account default/default: serviceaccount "default" not found'
    )
    cluster.refusals = [Reply(403, {"message": missing})] * 1000
    begin = clock.now
    said = failure(cluster, seconds=5)
    assert "ServiceAccount default of namespace default is missing: see whether" in said
    assert len(said.splitlines()) == 1
    assert 5 <= clock.now - begin < 6


PODS_ARE_FORBIDDEN = 'pods "trace-probe-1" is forbidden: '
REFUSALS = [
    (403, PODS_ARE_FORBIDDEN + "exceeded quota: few, requested: pods=1", "A ResourceQuota of"),
    (403, PODS_ARE_FORBIDDEN + "maximum cpu usage per Container is 1m", "A LimitRange of"),
    (403, 'admission webhook "no.io" denied the request: never', "This webhook stopped it"),
    (400, 'admission webhook "no.io" denied the request: never', "This webhook stopped it"),
    (500, 'failed calling webhook "no.io": timeout', "This webhook stopped it: start it"),
    (403, PODS_ARE_FORBIDDEN + "ValidatingAdmissionPolicy 'no' denied request", "This policy"),
    (403, 'pods is forbidden: User "u" cannot create resource "pods" in API group', "RBAC stop"),
    (403, "the moon is full", "the moon is full"),
    (
        403,
        PODS_ARE_FORBIDDEN + "minimum memory usage per Pod is 1Gi, but request is 16777216",
        "A LimitRange of namespace default stopped it",
    ),
    (
        403,
        PODS_ARE_FORBIDDEN
        + "unable to create new content in namespace default because it is being terminated",
        "Namespace default is being deleted: `kubectl get namespace default",
    ),
    (404, 'namespaces "default" not found', "Create it: `kubectl create namespace default`"),
]


@pytest.mark.parametrize(("status", "message", "told"), REFUSALS)
def test_a_refusal_is_told_at_once_and_who_refused(
    cluster: Cluster, clock: Clock, status: int, message: str, told: str
) -> None:
    cluster.refusals = [Reply(status, {"message": f"{message}\n"})] * 1000
    begin = clock.now
    said = failure(cluster, seconds=60)
    assert told in said
    assert message in said
    assert len(said.splitlines()) == 1
    assert clock.now == begin
    assert len(cluster.server.asked("POST", PODS)) == 1


@pytest.mark.parametrize(
    "message",
    [
        'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
        "failed quota: compute: must specify limits.cpu for: probe; requests.memory for: probe",
        "maximum cpu usage per Container is 1.  No limit is specified",
        "minimum memory usage per Pod is 1Mi.  No request is specified",
        "cpu max limit to request ratio per Container is 2, but no request is specified or "
        "request is 0",
    ],
)
def test_in_a_constrained_namespace_the_pod_complies(cluster: Cluster, message: str) -> None:
    cluster.refusals = [Reply(403, {"message": PODS_ARE_FORBIDDEN + message})]
    assert cluster.probe()["traced"] == ALL
    assert cluster.pods == []
    plain, constrained = (post.body["spec"] for post in cluster.server.asked("POST", PODS))
    assert "securityContext" not in plain
    assert "resources" not in plain["containers"][0], "a CPU limit slows down the start"
    assert constrained["securityContext"]["runAsNonRoot"] is True
    assert constrained["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = constrained["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["limits"]) >= {"cpu", "memory"}
    assert set(container["resources"]["requests"]) >= {"cpu", "memory"}


def test_where_compliance_does_not_help_it_is_told_who_stopped_it(cluster: Cluster) -> None:
    message = f'{PODS_ARE_FORBIDDEN}violates PodSecurity "custom"'
    cluster.refusals = [Reply(403, {"message": message})] * 1000
    assert "The Pod Security of namespace default stopped it" in failure(cluster, seconds=60)
    assert len(cluster.server.asked("POST", PODS)) == 2


def test_a_lost_answer_leaves_no_pod_and_is_tried_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server may have created the pod although its answer was too slow."""
    real, lost = ApiServer.post, ["the first"]

    def post(self: ApiServer, path: str, document: dict[str, Any]) -> Any:
        created = real(self, path, document)
        if lost:
            lost.clear()
            raise httpx.ReadTimeout("timed out")
        return created

    monkeypatch.setattr(ApiServer, "post", post)
    assert cluster.probe()["traced"] == ALL
    assert len(cluster.server.asked("POST", PODS)) == 2
    assert cluster.pods == []


def test_a_delete_is_tried_again_and_a_pod_that_is_gone_is_deleted(cluster: Cluster) -> None:
    cluster.undeletable = [Reply(500, {"message": "etcd"}), Reply(404, {"message": "not found"})]
    assert cluster.probe()["traced"] == ALL
    assert cluster.undeletable == []


def test_a_pod_that_stays_is_told_with_the_cure(cluster: Cluster) -> None:
    cluster.undeletable = [Reply(500, {"message": "etcd"})] * 9
    with pytest.raises(ProbeError, match="kubectl -n default delete pod trace-probe-") as failed:
        cluster.probe()
    assert "cannot be deleted: 500 etcd" in str(failed.value)
    cluster.undeletable, cluster.starts = [Reply(500, {"message": "etcd"})] * 9, [[]]
    with pytest.raises(SilenceError):
        cluster.probe(seconds=0.3)


@pytest.mark.parametrize(
    ("refusal", "cure"),
    [
        (
            "ValidatingAdmissionPolicy 'keep' with binding 'keep' denied request: no",
            "let it admit the deletion of pods trace-probe-* of namespace default",
        ),
        (
            'admission webhook "no.example.com" denied the request',
            "let it admit the deletion of pods trace-probe-* of namespace default",
        ),
        (
            'failed calling webhook "no.example.com": connection refused',
            "start this webhook, or set its failurePolicy to Ignore",
        ),
    ],
)
def test_who_keeps_the_pod_is_told_and_not_a_kubectl_that_would_fail_too(
    cluster: Cluster, refusal: str, cure: str
) -> None:
    cluster.undeletable = [Reply(422, {"message": refusal})] * 9
    with pytest.raises(ProbeError) as failed:
        cluster.probe()
    assert str(failed.value).endswith(f"{refusal}; {cure}: the next probe deletes it")


def test_one_failed_answer_of_jaeger_is_not_the_end(cluster: Cluster, clock: Clock) -> None:
    cluster.fails = httpx.Response(503, text="slow")

    def recovers() -> None:
        cluster.fails = None

    clock.while_sleeping = recovers
    assert cluster.probe()["traced"] == ALL


def test_what_is_found_is_not_read_again(cluster: Cluster) -> None:
    cluster.starts = [[], [], [], [joined()]]
    cluster.probe(demanded=ALL, expected=["etcd"])
    services = [(search["service"], "tags" in search) for search in cluster.searches]
    assert services.count(("apiserver", True)) == 1
    assert services.count(("etcd", False)) == 1
    assert services.count(("kubelet", True)) >= 4


def test_the_pod_goes_when_jaeger_does(cluster: Cluster) -> None:
    cluster.fails = httpx.Response(502, text="Bad Gateway")
    with pytest.raises(JaegerError):
        cluster.probe()
    assert cluster.server.asked("POST", PODS)
    assert cluster.pods == []


# --- the tree -------------------------------------------------------------------------------------


def test_the_tree_nests_spans_below_their_parents(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order of their start; a span whose parent never arrived is at the top."""
    monkeypatch.setattr(probe_trace, "_SETTLE_SECONDS", 0.05)
    cluster.starts = [
        [
            trace(
                span("kubelet", "syncPod", 1000),
                span("containerd", "RunPodSandbox", 3000, parent="call"),
                span("kubelet", "call", 2500, parent="syncPod"),
                span("containerd", "late", 9000, parent="lost"),
            )
        ]
    ]
    report = cluster.probe()

    def outline(spans: Any) -> list[Any]:
        return [[span["operation"], span["startMs"], outline(span["children"])] for span in spans]

    assert outline(report["tree"]) == [
        ["syncPod", 0.0, [["call", 1.5, [["RunPodSandbox", 2.0, []]]]]],
        ["late", 8.0, []],
    ]
    assert cluster.probe(demanded=["kubelet"])["tree"]


# --- as a command ---------------------------------------------------------------------------------


def command(cluster: Cluster, report: Path, monkeypatch: pytest.MonkeyPatch, **request: Any) -> int:
    document = {
        "jaegerUrl": URL,
        "kubeconfig": str(cluster.kubeconfig),
        "image": "pause:3.6",
        "seconds": 0.3,
        "demanded": ALL,
        "expected": [],
        "report": str(report),
        "k3sVersion": "v1.34.4-k3s1",
    }
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(document | request)))
    monkeypatch.setattr(probe, "Jaeger", lambda *_, **__: cluster.jaeger)
    return probe.main()


def test_the_report_is_printed_and_kept(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = tmp_path / "stack" / "probe.json"
    assert command(cluster, kept, monkeypatch) == 0
    said = capsys.readouterr()
    printed, whole = json.loads(said.out), json.loads(kept.read_text())
    tree = whole.pop("tree")
    assert whole == {"k3sVersion": "v1.34.4-k3s1", **printed}
    (root,) = tree
    assert [root["component"], root["children"][0]["component"]] == ["kubelet", "containerd"]
    assert kept.stat().st_mode & 0o777 == 0o600
    assert f"{URL}/trace/t1" in said.err


def test_a_failure_leaves_no_report(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster.starts = [[]]
    kept = tmp_path / "probe.json"
    assert command(cluster, kept, monkeypatch) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[1].startswith("error: no trace of kubelet and containerd")
    assert not kept.exists()


def test_an_api_server_that_does_not_answer_is_told(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As where its node ends again and again: up saw it ready, by what it had reported before."""

    def refused(*_: object, **__: object) -> None:
        raise httpx.ConnectError("[Errno 111] Connection refused")

    monkeypatch.setattr(probe, "probe", refused)
    assert command(cluster, tmp_path / "probe.json", monkeypatch) == 1
    assert capsys.readouterr().err == (
        "error: the API server, which was ready, does not answer the probe: [Errno 111] Connection "
        "refused. Run `pulumi up` again, which starts its node or tells why that ends\n"
    )


def test_a_silence_is_told_with_the_hop_that_breaks(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster.starts, cluster.node = [[]], "agent-1"
    monkeypatch.setattr(probe, "broken_hops", lambda _, __, silent, node: [f"{silent} of {node}"])
    assert command(cluster, tmp_path / "probe.json", monkeypatch) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "('kubelet', 'containerd') of agent-1"


def test_nothing_demanded_is_not_told_as_found(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster.starts, cluster.requests = [[]], []
    assert command(cluster, tmp_path / "probe.json", monkeypatch, demanded=[]) == 0
    said = capsys.readouterr().err
    assert "sampling lets no trace be demanded; traced: none seen" in said
    assert "joined trace" not in said
    assert "None" not in said


def test_a_request_alone_is_not_told_as_a_joined_trace(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where the nodes sample and the API server does not, only its trace is waited for."""
    cluster.starts = [[]]
    assert command(cluster, tmp_path / "probe.json", monkeypatch, demanded=["apiserver"]) == 0
    assert re.search(
        rf"traced after \d\.\d+ s: apiserver, {URL}/trace/\w+; its start was not demanded, because "
        "sampling can leave it without a trace",
        capsys.readouterr().err,
    )


def test_an_api_server_that_is_gone_is_an_error(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_kubeconfig(cluster.kubeconfig, "http://127.0.0.1:9")
    assert command(cluster, tmp_path / "probe.json", monkeypatch) == 1
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize("error", [httpx.ReadTimeout(""), httpx.ReadError("a\nb"), OSError()])
def test_an_error_without_a_text_is_one_line_too(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(probe, "probe", fails)
    assert command(cluster, tmp_path / "probe.json", monkeypatch) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert (clean(str(error)) or type(error).__name__) in line


@pytest.mark.parametrize("broken", ["kubeconfig", "report"])
def test_a_file_that_cannot_be_used_is_one_line(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: str,
) -> None:
    (tmp_path / "file").touch()
    report = tmp_path / ("file/probe.json" if broken == "report" else "probe.json")
    if broken == "kubeconfig":
        cluster.kubeconfig.write_text("clusters: []")
    assert command(cluster, report, monkeypatch) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("stack", [{}, {origin.STACK: "acme/traced/dev", origin.OWNER: "ada"}])
def test_a_jaeger_of_others_is_asked_for_the_stacks_own_spans(stack: dict[str, str]) -> None:
    request = probe.Request(
        jaegerUrl="http://jaeger.example", kubeconfig="", image="", seconds=1, demanded=[],
        expected=[], report="", k3sVersion="", stack=stack,
    )  # fmt: skip
    with request.connect() as jaeger:
        assert jaeger.shared is bool(stack)
        assert (jaeger.stack.tags if jaeger.stack else {}) == stack


def test_the_hop_that_breaks_the_silent_component_is_named(
    cluster: Cluster, daemon: FakeDaemon, names: Names
) -> None:
    """As `ktrace verify` would say it, of the first node."""
    node = daemon.node(names)
    nodes = Reply(200, {"items": [{"metadata": {"name": node.name}}]})
    cluster.server.answer = lambda _: nodes
    daemon.in_nodes = lambda _: Answer(code=1)
    api = ApiServer(cluster.kubeconfig)
    request = probe.Request(
        jaegerUrl=cluster.server.url, kubeconfig=str(cluster.kubeconfig), image="", seconds=1,
        demanded=[], expected=[], report="", k3sVersion="",
    )  # fmt: skip
    (told,) = probe.broken_hops(request, api, ["kubelet", "containerd"])
    assert probe.broken_hops(request, api, ["kubelet"], node.name) == [told]
    assert told.startswith(
        f"broken hop: name resolves in the node: otel-collector is unknown in {node.name}; "
    )
    daemon.containers.clear()
    assert probe.broken_hops(request, api, ["kubelet"]) == [], "not a node of ours"
    daemon.down = True
    assert probe.broken_hops(request, api, ["kubelet"]) == []


def test_a_node_whose_clock_is_ahead_is_not_waited_for(cluster: Cluster, clock: Clock) -> None:
    """Its pod's spans end in an hour, as it seems here."""
    later = int((clock.now + 3600) * 1_000_000)
    sandbox = span("containerd", "RunPodSandbox", later, parent="syncPod")
    cluster.starts = [[trace(span("kubelet", "syncPod", later), sandbox)]]
    began = clock.now
    cluster.probe()
    assert clock.now - began < 60


def test_a_node_whose_clock_differs_is_heard(cluster: Cluster, clock: Clock) -> None:
    cluster.probe()
    of_pod = [query for query in cluster.searches if "tags" in query]
    assert of_pod
    for query in of_pod:
        assert int(query["start"]) <= (clock.now - 3600) * 1_000_000
        assert int(query["end"]) >= (clock.now + 3600) * 1_000_000
