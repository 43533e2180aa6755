"""The probe of a stack without a Jaeger: what the collector's counters have to show."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from ktrace.pipeline import collector_metrics, probe
from ktrace.pipeline.collector_metrics import Arrivals
from tests.fakes.http import FakeServer, write_kubeconfig
from tests.unit.ktrace.pipeline.test_probe import Cluster

METRICS = "http://127.0.0.1:8888/metrics"
COMPONENTS = ("apiserver", "kubelet", "containerd")
EVERYTHING = dict.fromkeys(COMPONENTS, 2)


class Counters:
    """What the collector has counted before the pod, and ever after."""

    def __init__(self) -> None:
        self.before = Arrivals(dict.fromkeys((*COMPONENTS, "etcd"), 1), {"central": 5, "dead": 0})
        self.arrived: Mapping[str, int] = EVERYTHING
        self.sent: Mapping[str, int] = {"central": 6}
        self.error: httpx.HTTPError | None = None
        self._readings = self._read()

    def read(self, url: str) -> Arrivals:
        assert url == METRICS
        if self.error:
            raise self.error
        return next(self._readings)

    def _read(self) -> Iterator[Arrivals]:
        yield self.before
        while True:
            of, sent = {**self.before.of, **self.arrived}, {**self.before.sent, **self.sent}
            yield Arrivals(of, sent)


@pytest.fixture
def cluster(server: FakeServer, tmp_path: Path) -> Cluster:
    return Cluster(server, tmp_path)


@pytest.fixture
def counters(monkeypatch: pytest.MonkeyPatch) -> Counters:
    made = Counters()
    monkeypatch.setattr(collector_metrics, "read_arrivals", made.read)
    return made


def run(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> int:
    request = {
        "jaegerUrl": "",
        "metricsUrl": METRICS,
        "destinations": ["central", "dead"],
        "kubeconfig": str(cluster.kubeconfig),
        "image": "pause:3.6",
        "seconds": 0.3,
        "demanded": ["apiserver", "kubelet"],
        "expected": ["containerd"],
        "report": str(cluster.kubeconfig.parent / "probe.json"),
        "k3sVersion": "v1.34.4-k3s1",
    }
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request | changes)))
    return probe.main()


@pytest.mark.usefixtures("counters")
def test_what_the_counters_prove_is_reported_and_what_they_do_not_is_told(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cluster, monkeypatch) == 0
    said = capsys.readouterr()
    printed = json.loads(said.out)
    assert (printed["traced"], printed["sentTo"]) == (list(COMPONENTS), ["central"])
    assert printed["traceUrl"] is printed["seconds"] is None
    assert "not known whether the spans of a pod's start are one trace" in said.err
    assert cluster.created
    assert cluster.pods == []


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (({"apiserver": 2, "kubelet": 2}, {"central": 6}), "no span of containerd has arrived"),
        ((EVERYTHING, {}), "no span was taken by central or dead"),
    ],
)
def test_what_is_missing_fails_the_up(
    cluster: Cluster,
    counters: Counters,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    seen: tuple[Mapping[str, int], Mapping[str, int]],
    told: str,
) -> None:
    counters.arrived, counters.sent = seen
    assert run(cluster, monkeypatch) == 1
    said = capsys.readouterr()
    assert told in said.err
    assert "within 0.3 s of the creation of pod default/trace-probe-" in said.err
    assert (said.out, cluster.pods) == ("", [])


def test_where_sampling_leaves_nothing_certain_nothing_is_demanded(
    cluster: Cluster, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters.arrived, counters.sent = {}, {}
    assert run(cluster, monkeypatch, demanded=[], expected=[], destinations=[]) == 0


@pytest.mark.usefixtures("counters")
def test_a_pod_that_does_not_run_proves_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.phase = {"phase": "Pending"}
    assert run(cluster, monkeypatch) == 1
    assert "did not run" in capsys.readouterr().err


def test_counters_that_cannot_be_read_are_one_line(
    cluster: Cluster,
    counters: Counters,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    counters.error = httpx.ConnectError("refused")
    assert run(cluster, monkeypatch) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: the collector's counters at {METRICS} cannot be read: refused"


def test_a_failure_in_another_jaeger_says_which_one_was_asked(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_kubeconfig(cluster.kubeconfig, "http://127.0.0.1:9")
    assert run(cluster, monkeypatch, jaegerUrl="http://jaeger.example") == 1
    assert "the probe asks the one at http://jaeger.example" in capsys.readouterr().err
