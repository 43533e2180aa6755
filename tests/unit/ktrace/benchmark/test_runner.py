"""``ktrace bench`` starts pods, waits for each, and leaves none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ktrace.benchmark import runner
from ktrace.benchmark.samples import Sample
from ktrace.errors import KtraceError
from ktrace.pipeline.probe_pod import CreatedPod
from ktrace.podstart.cluster import read
from runtime_observability.host.api_server import ApiServer
from tests.configuration import PROJECT
from tests.fakes import starts
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig

PENDING: dict[str, Any] = {"phase": "Pending"}
STARTED: dict[str, Any] = {
    "phase": "Running",
    "conditions": [{"type": "Ready", "status": "False"}],
    "containerStatuses": [{"name": "main", "state": {"running": {}}}],
}
READY = {**STARTED, "conditions": [{"type": "Ready", "status": "True"}]}


class Cluster:
    """Each of its pods goes on to the next of ``states`` whenever it was looked at."""

    def __init__(self, server: FakeServer, folder: Path, *states: dict[str, Any]) -> None:
        server.answer = self._answer
        self.states = states
        self.looks: dict[str, int] = {}
        self.deleted: set[str] = set()
        kubeconfig = folder / "kubeconfig"
        write_kubeconfig(kubeconfig, server.url)
        self.api = ApiServer(kubeconfig)

    def start(self, *, pods: int = 1, parallel: int = 1, seconds: float = 20) -> list[runner.Ran]:
        load = runner.Load("pause:3.6", pods, parallel, seconds)
        self.told: list[int] = []
        return runner.start_pods(self.api, load, self.told.append)

    def _answer(self, request: Request) -> Reply:
        if "/events" in request.path:
            return Reply(200, {"kind": "EventList", "items": []})
        if "/pods?" in request.path:
            return Reply(200, {"kind": "PodList", "items": []})
        if request.method == "POST":
            name = request.body["metadata"]["name"]
            self.looks[name] = 0
        else:
            name = request.path.partition("?")[0].rpartition("/")[2]
        if request.method == "DELETE":
            self.deleted.add(name)
        at = min(self.looks[name], len(self.states) - 1)
        self.looks[name] += request.method == "GET"
        meta = {"name": name, "namespace": "default", "uid": f"u-{name}"}
        spec = {"containers": [{"name": "main", "image": "pause:3.6"}]}
        pod = {"kind": "Pod", "metadata": meta, "spec": spec, "status": self.states[at]}
        return Reply(201 if request.method == "POST" else 200, pod)


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_POLL_SECONDS", 0.001)
    monkeypatch.setattr(runner, "_REST_SECONDS", 0.001)


@pytest.mark.parametrize("parallel", [1, 3])
def test_every_pod_is_waited_for_and_deleted(
    server: FakeServer, tmp_path: Path, parallel: int
) -> None:
    cluster = Cluster(server, tmp_path, PENDING, PENDING, STARTED, STARTED, READY)
    ran = cluster.start(pods=4, parallel=parallel)
    names = [one.pod.name for one in ran]
    assert len(set(names)) == 4
    assert set(names) == cluster.deleted
    assert cluster.told == [1, 2, 3, 4]
    for one in ran:
        assert one.known.pod
        ready = one.known.pod.condition("Ready")
        assert ready
        assert ready.status, "it was read once it was Ready"


@pytest.mark.parametrize("states", [(PENDING,), (STARTED,), ({"phase": "Failed"},)])
def test_a_pod_that_does_not_start_ends_it_and_is_deleted(
    server: FakeServer, tmp_path: Path, states: tuple[dict[str, Any], ...]
) -> None:
    cluster = Cluster(server, tmp_path, *states)
    with pytest.raises(KtraceError, match=r"did not start within 0\.05 s: .*Nothing was measured"):
        cluster.start(pods=2, seconds=0.05)
    assert cluster.deleted == cluster.looks.keys()
    assert cluster.told == []


def test_a_pod_without_a_node_is_told_with_the_schedulers_reason(
    server: FakeServer, tmp_path: Path
) -> None:
    taint = "0/1 nodes are available: 1 node(s) had untolerated taint {team: a}"
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    cluster = Cluster(
        server, tmp_path, PENDING | {"conditions": [unscheduled | {"message": taint}]}
    )
    with pytest.raises(KtraceError) as error:
        cluster.start(seconds=0.05)
    assert f"within 0.05 s: it is unschedulable: Unschedulable: {taint}. Nothing" in str(
        error.value
    )


_INTERRUPTED = """\
import faulthandler, signal, sys
from pathlib import Path
from ktrace.benchmark import runner
from runtime_observability.host.api_server import ApiServer

ctrl_c = signal.getsignal(signal.SIGINT)
faulthandler.dump_traceback_later(40, exit=True)
runner._POLL_SECONDS = runner._REST_SECONDS = 0.001

def twice(events):
    "Ctrl-C once a pod has started, and again so many events of the interpreter later."
    left = iter(range(events))

    def second(frame, event, _):
        if next(left, None) is None and signal.getsignal(signal.SIGINT) is ctrl_c:
            sys.settrace(None)
            raise KeyboardInterrupt
        return second

    def first(_):
        sys.settrace(second)
        raise KeyboardInterrupt

    return first

for events in range(120):
    try:
        load = runner.Load("x", 4, 3, 30.0)
        with ApiServer(Path(sys.argv[1])) as api:
            runner.start_pods(api, load, twice(events))
    except KeyboardInterrupt:
        sys.settrace(None)
print("ended")
"""


def test_ctrl_c_twice_leaves_no_pod_and_no_command(server: FakeServer, tmp_path: Path) -> None:
    """The second one while the threads are told, which once waited for ever."""
    cluster = Cluster(server, tmp_path, PENDING, READY)
    script = (sys.executable, "-c", _INTERRUPTED, str(tmp_path / "kubeconfig"))
    ended = subprocess.run(
        script, capture_output=True, text=True, timeout=50, cwd=PROJECT, check=False
    )
    assert ended.stdout == "ended\n", ended.stderr
    assert len(cluster.looks) >= 60
    assert cluster.deleted == cluster.looks.keys()


def test_a_start_whose_beginning_the_memory_has_dropped_is_not_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pod object tells when it was created, to the second."""
    monkeypatch.setattr(runner, "_LOOK_SECONDS", 0.001)
    document = starts.pod({"main": starts.running(100)}, ready=1000)
    known = read(starts.Api(document), "default", "a")
    created = CreatedPod("a", "", starts.BEGIN / 1e6)
    calls = starts.call("RunPodSandbox", 30), starts.started("main", 50)
    rest = starts.bound(10), starts.sync(20, *calls, update="create")

    def measured(*traces: Any) -> tuple[dict[str, Sample], dict[str, str]]:
        ran = [runner.Ran(created, known)]
        return runner.measure(starts.jaeger(*traces), ran, 0.3, runtime_traced=True)

    samples, failures = measured(starts.created(), *rest)
    assert (samples["a"].start_ms, failures) == (70, {})
    samples, failures = measured(*rest)
    assert (samples, failures) == ({}, {"a": "the span of the request that created the pod"})
