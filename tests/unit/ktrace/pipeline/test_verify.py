"""The hops, the collector's counters, and what counts as traced."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import httpx
import pytest

from ktrace.pipeline import collector_metrics, coverage, hops, pipelines
from ktrace.pipeline.collector_metrics import Arrivals, Counters, Destination, Readings
from ktrace.pipeline.coverage import Coverage, Node
from ktrace.pipeline.hops import BrokenHop
from ktrace.pipeline.pipelines import Pipeline, StackPipeline
from ktrace.pipeline.synthetic_span import Synthetic
from ktrace.view.coverage import part_document
from runtime_observability.core.naming import Names
from runtime_observability.host import docker, runner
from runtime_observability.host.docker import Owned
from tests.fakes.clock import Clock
from tests.fakes.daemon import FakeDaemon
from tests.fakes.jaeger import client, data, span, trace

NODE = "k3d-traced-dev-server-0"
PLAIN = """
# TYPE otelcol_receiver_accepted_spans counter
otelcol_exporter_queue_size{data_type="traces",exporter="otlp_http/jaeger"} 7
otelcol_exporter_sent_spans{exporter="otlp_http/jaeger",url_path="/v1/traces"} 24067
otelcol_receiver_accepted_spans{receiver="otlp",transport="grpc"} 24070
otelcol_receiver_accepted_spans{receiver="otlp",transport="http"} 2
otelcol_receiver_refused_spans{receiver="otlp",transport="grpc"} 1
"""


@pytest.mark.parametrize("suffix", ["", "_total"])
def test_counters_are_read_with_and_without_their_suffix(suffix: str) -> None:
    text = PLAIN.replace("_spans{", f"_spans{suffix}{{").replace("24067", "2.4067e+04")
    assert collector_metrics.parse(text) == Counters(
        accepted=24072, refused=1, sent=24067, failed=0, waiting=7
    )


def test_every_counter_is_read_from_its_own_name() -> None:
    names = (
        "receiver_accepted_spans",
        "receiver_refused_spans",
        "exporter_sent_spans",
        "exporter_send_failed_spans",
        "exporter_queue_size",
    )
    text = "".join(f'otelcol_{name}{{a="b"}} {2**bit}\n' for bit, name in enumerate(names))
    others = "otelcol_exporter_queue_capacity 99\notelcol_receiver_accepted_log_records 99\n"
    assert collector_metrics.parse(text + others) == Counters(
        accepted=1, refused=2, sent=4, failed=8, waiting=16
    )


WITH_DESTINATIONS = """
otelcol_exporter_enqueue_failed_spans_total{exporter="otlp_grpc/dead"} 8929
otelcol_exporter_queue_capacity{data_type="logs",exporter="otlp_http/team"} 1e+06
otelcol_exporter_queue_capacity{data_type="traces",exporter="otlp_grpc/dead"} 3.355443e+06
otelcol_exporter_queue_capacity{data_type="traces",exporter="otlp_http/jaeger"} 5000
otelcol_exporter_queue_capacity{data_type="traces",exporter="otlp_http/team"} 2e+06
otelcol_exporter_queue_size{data_type="traces",exporter="otlp_grpc/dead"} 3.296373e+06
otelcol_exporter_queue_size{data_type="traces",exporter="otlp_http/jaeger"} 7
otelcol_exporter_send_failed_log_records{exporter="otlp_http/team",server_port="24502"} 4
otelcol_exporter_send_failed_spans{exporter="otlp_http/team",server_port="24502"} 6144
otelcol_exporter_sent_metric_points{exporter="otlp_http/team",url_path="/v1/metrics"} 1
otelcol_exporter_sent_spans{exporter="otlp_http/jaeger",url_path="/v1/traces"} 12000
otelcol_exporter_sent_spans{exporter="otlp_http/team",url_path="/v1/traces"} 3072
otelcol_receiver_accepted_spans{receiver="otlp",transport="grpc"} 12001
"""
"""As collector 0.159.0 wrote them."""


def test_what_other_destinations_get_does_not_count_for_jaeger() -> None:
    assert collector_metrics.parse(WITH_DESTINATIONS) == Counters(
        accepted=12001, sent=12000, failed=0, waiting=7
    )


def test_every_destination_has_its_own_counters_of_every_signal() -> None:
    dead, team = collector_metrics.parse_destinations(WITH_DESTINATIONS)
    assert dead == Destination("dead", dropped=8929, queued_bytes=3296373, queue_bytes=3355443)
    assert team == Destination("team", sent=3073, failed=6148, queue_bytes=3_000_000)
    assert (dead.ok, team.ok, Destination("new").ok) == (False, False, True)
    assert collector_metrics.parse_destinations(PLAIN) == []


ARRIVED = """
otelcol_exporter_sent_spans_total{exporter="otlp_grpc/central"} 30
otelcol_processor_filter_spans_filtered_total{filter="filter/arrived_kubelet"} 5
otelcol_processor_filter_spans_filtered_total{filter="filter/arrived_etcd"} 0
"""


def test_spans_that_arrived_are_counted_by_component() -> None:
    before, now = Arrivals(), collector_metrics.parse_arrivals(ARRIVED)
    assert now.of == {"apiserver": 0, "kubelet": 5, "containerd": 0, "etcd": 0}
    assert (now.since(before), now.took_since(before), now.filters) == (
        ["kubelet"],
        ["central"],
        False,
    )
    assert (now.since(now), now.took_since(now)) == ([], [])
    only = ARRIVED.replace("filter/arrived_etcd", "filter/central")
    assert collector_metrics.parse_arrivals(only).filters


@pytest.mark.parametrize(
    ("after", "stuck"),
    [
        ("queue_size 9", True),
        ("send_failed_spans 1", True),
        ("enqueue_failed_spans 1", True),
        ("queue_size 0", False),
        ("queue_size 9\nsent_spans 1", False),
    ],
)
def test_a_destination_that_takes_nothing_of_what_waits_is_stuck(
    monkeypatch: pytest.MonkeyPatch, after: str, stuck: bool
) -> None:
    def text(lines: str) -> str:
        label = '{exporter="otlp_grpc/central"}'
        samples = (line.split() for line in lines.splitlines())
        return "".join(f"otelcol_exporter_{name}{label} {value}\n" for name, value in samples)

    texts = iter([text("queue_size 0"), text(after)])
    monkeypatch.setattr(collector_metrics, "_text", lambda _: next(texts))
    Clock().drive(monkeypatch, collector_metrics)
    found = collector_metrics.watch("http://collector")
    assert [destination.name for destination in found.stuck] == (["central"] if stuck else [])


def test_without_a_jaeger_every_destination_has_to_deliver(pipeline: StackPipeline) -> None:
    pipeline.containers[0] = replace(pipeline.containers[0], store="none")
    pipeline.jaeger = None
    counters = Counters(accepted=1), Counters(accepted=9)
    pipeline.__dict__["readings"] = Readings(*counters)
    silent = hops.first_broken(pipeline, NODE, "kubelet")
    assert silent.hop == hops.EXPORTS
    assert "to the collector's destinations works" in silent.evidence
    assert hops.broken_on_the_way(pipeline, NODE) is None
    stuck = Destination("central", failed=3, dropped=2, queued_bytes=7)
    pipeline.__dict__["readings"] = Readings(*counters, (stuck,))
    broken = hops.broken_on_the_way(pipeline, NODE)
    assert broken == hops.first_broken(pipeline, NODE, "kubelet")
    assert broken.hop == hops.DELIVERS
    assert "central took nothing in 2 s, 7 bytes wait, 3 lost and 2 dropped" in broken.evidence


def test_another_jaeger_need_not_have_a_span_that_an_exporter_leaves_out(
    pipeline: StackPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.containers[0] = replace(pipeline.containers[0], store="none")
    pipeline.__dict__["synthetic"] = Synthetic(False, evidence="gone")
    monkeypatch.setattr(StackPipeline, "arrivals", lambda _: Arrivals())
    assert hops.first_broken(pipeline, NODE, "kubelet").hop == hops.STORES
    monkeypatch.setattr(StackPipeline, "arrivals", lambda _: Arrivals(filters=True))
    assert hops.first_broken(pipeline, NODE, "kubelet").hop == hops.EXPORTS


def test_a_collector_that_chooses_traces_is_known_by_its_metrics() -> None:
    metric = "otelcol_processor_tail_sampling_sampling_traces_on_memory 0\n"
    assert collector_metrics.parse(metric).chooses
    assert not collector_metrics.parse(PLAIN).chooses


@pytest.mark.parametrize(
    ("after", "delivers"),
    [
        (Counters(accepted=9, chooses=True), True),
        (Counters(accepted=9), False),
        (Counters(accepted=9, chooses=True, waiting=1), False),
        (Counters(accepted=9, chooses=True, failed=1), False),
    ],
)
def test_a_collector_that_chooses_may_have_nothing_to_send(
    pipeline: StackPipeline, after: Counters, delivers: bool
) -> None:
    pipeline.__dict__["readings"] = Readings(Counters(accepted=1), after)
    found = hops.first_broken(pipeline, NODE, "kubelet").hop
    assert found == (hops.EXPORTS if delivers else hops.DELIVERS)


@pytest.fixture
def pipeline(names: Names, monkeypatch: pytest.MonkeyPatch) -> StackPipeline:
    """Everything works until a test breaks it."""
    working = StackPipeline(
        client(lambda _: data()),
        names,
        [
            Owned("1", names.collector, "o", "dev", "/p", state="running"),
            Owned("2", names.jaeger, "o", "dev", "/p", state="running", networks=names.network),
        ],
    )
    monkeypatch.setattr(runner, "run", lambda argv, **_: runner.Result(tuple(argv), 0, "", ""))
    working.__dict__["readings"] = Readings(
        Counters(accepted=1, sent=1), Counters(accepted=9, sent=9)
    )
    working.__dict__["synthetic"] = Synthetic(True, 0.3)
    return working


@pytest.mark.parametrize(
    ("state", "said", "told"),
    [
        ("running", "not kept: http://a:9200: Failed to connect", "http://a:9200: Failed to conn"),
        ("running", "not kept: https://a answers 401 to GET /x", "set today's traceStoreUser"),
        ("running", "not kept: https://a answers 403 to DELETE /x", "grant indices:monitor/*"),
        ("running", "kept: nothing is older than 7 days", ""),
        ("running", "", ""),
        ("exited", "not kept: x", "container traced-dev-retention is exited: `pulumi up` makes it"),
        ("paused", "", "is paused: `docker unpause traced-dev-retention` lets it go on"),
        ("", "", "there is no container traced-dev-retention: `pulumi up` makes it"),
    ],
)
@pytest.mark.parametrize("store", ["opensearch", "opensearch (own)", "elasticsearch", "badger", ""])
def test_why_old_indices_are_not_deleted_is_told(
    pipeline: StackPipeline,
    monkeypatch: pytest.MonkeyPatch,
    *,
    store: str,
    state: str,
    said: str,
    told: str,
) -> None:
    def run(argv: Any, **_: Any) -> runner.Result:
        assert argv == ["docker", "logs", "--tail", "1", pipeline.names.retention]
        return runner.Result(tuple(argv), 0, f"{said}\n", "")

    monkeypatch.setattr(runner, "run", run)
    pipeline.containers[1] = replace(pipeline.containers[1], store=store)
    if state:
        name = pipeline.names.retention
        pipeline.containers.append(Owned("3", name, "o", "dev", "/p", state=state))
    found = pipeline.retention_fault
    if store in ("badger", "") or not told:
        assert found == ""
    else:
        assert told in found
        assert "not kept" not in found


@pytest.mark.parametrize("state", ["running", "exited"])
def test_a_jaeger_that_is_off_the_network_is_connected_again(
    pipeline: StackPipeline, state: str
) -> None:
    names = pipeline.names
    on = list(pipeline.containers)
    off = [
        replace(each, networks="bridge", state=state) if each.name == names.jaeger else each
        for each in on
    ]
    stuck = Readings(Counters(), Counters(accepted=9, waiting=3))
    for containers, connects in ((on, False), (off, state == "running")):
        pipeline.containers[:] = containers
        pipeline.__dict__["readings"] = stuck
        broken = hops.first_broken(pipeline, NODE, "kubelet")
        assert broken.hop == hops.DELIVERS
        cure = f"docker network connect --alias jaeger {names.network} {names.jaeger}"
        assert (cure in broken.cure) is connects
        assert (f"not on network {names.network}" in broken.evidence) is connects


def test_when_every_hop_works_the_component_is_silent_itself(pipeline: StackPipeline) -> None:
    broken = hops.first_broken(pipeline, NODE, "containerd")
    assert broken.hop == hops.EXPORTS
    assert "ctr plugins ls" in broken.cure


@pytest.mark.parametrize(("call", "hop"), [(0, hops.RESOLVES), (1, hops.CONNECTS)])
def test_what_fails_in_the_node_is_named(
    pipeline: StackPipeline, monkeypatch: pytest.MonkeyPatch, call: int, hop: str
) -> None:
    scripts = []

    def run(argv: list[str], **_: object) -> runner.Result:
        scripts.append(argv)
        return runner.Result(tuple(argv), int(len(scripts) > call), "", "")

    monkeypatch.setattr(runner, "run", run)
    assert hops.first_broken(pipeline, NODE, "kubelet").hop == hop


def test_a_node_that_does_not_answer_is_named(
    pipeline: StackPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(argv: list[str], **_: object) -> runner.Result:
        raise runner.CommandError(f"`{' '.join(argv)}` gave no answer within 15 s")

    monkeypatch.setattr(runner, "run", run)
    broken = hops.first_broken(pipeline, NODE, "kubelet")
    assert broken.hop == hops.RESOLVES
    assert broken.evidence == f"node {NODE} does not answer within 15 s"


def test_a_node_without_tools_is_not_called_broken(
    pipeline: StackPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "run", lambda argv, **_: runner.Result(tuple(argv), 99, "", ""))
    assert hops.first_broken(pipeline, NODE, "kubelet").hop == hops.EXPORTS


@pytest.mark.parametrize(
    ("after", "hop"),
    [
        (Counters(accepted=1, sent=1, refused=5), hops.ACCEPTS),
        (Counters(accepted=9, sent=1, waiting=3), hops.DELIVERS),
    ],
)
def test_counters_that_stand_still_are_named(
    pipeline: StackPipeline, after: Counters, hop: str
) -> None:
    pipeline.__dict__["readings"] = Readings(Counters(accepted=1, sent=1), after)
    assert hops.first_broken(pipeline, NODE, "kubelet").hop == hop


def test_a_stopped_jaeger_is_told_with_its_cure(pipeline: StackPipeline, names: Names) -> None:
    pipeline.containers[1] = replace(pipeline.containers[1], state="exited")
    pipeline.__dict__["readings"] = Readings(Counters(), Counters(accepted=9))
    broken = hops.first_broken(pipeline, NODE, "kubelet")
    assert f"container {names.jaeger} is exited" in broken.evidence
    assert f"docker start {names.jaeger}" in broken.cure


def test_a_jaeger_that_cannot_be_read_is_named_if_no_earlier_hop_is_broken(
    pipeline: StackPipeline,
) -> None:
    broken = hops.first_broken(pipeline, NODE, "kubelet", unread="Jaeger timed out")
    assert (broken.hop, broken.evidence) == (hops.STORES, "Jaeger timed out")
    pipeline.__dict__["readings"] = Readings(Counters(), Counters(accepted=9))
    broken = hops.first_broken(pipeline, NODE, "kubelet", unread="Jaeger timed out")
    assert broken.hop == hops.DELIVERS


def test_a_span_from_here_that_does_not_arrive_is_jaegers(pipeline: StackPipeline) -> None:
    pipeline.__dict__["synthetic"] = Synthetic(False, evidence="not there")
    assert hops.first_broken(pipeline, NODE, "kubelet").hop == hops.STORES


def test_of_a_cluster_of_others_only_jaeger_is_asked() -> None:
    answering = Pipeline(client(lambda _: data()))
    broken = hops.first_broken(answering, "n", "kubelet")
    assert broken.hop == hops.NOT_KNOWN
    assert "cannot be seen from here" in broken.evidence
    assert "docker" not in broken.cure, "its nodes are not containers of this project"
    silent = Pipeline(client(lambda _: httpx.Response(500, json={})))
    assert hops.first_broken(silent, "n", "kubelet").hop == hops.STORES


def test_whose_nodes_they_are_is_read_from_the_containers(
    daemon: FakeDaemon, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    jaeger = client(lambda _: data())
    assert not isinstance(pipelines.of_nodes(jaeger, [NODE]), StackPipeline)
    owned = Owned("1", NODE, "o", names.stack, str(names.folder))
    monkeypatch.setattr(docker, "containers", lambda: [owned])
    found = pipelines.of_nodes(jaeger, [NODE])
    assert isinstance(found, StackPipeline)
    assert found.names == names


NODES = [Node("server", True), Node("agent", False)]


def test_servers_have_an_api_server_and_every_node_the_rest() -> None:
    parts = coverage.parts_of(NODES, {"apiserver", "kubelet"})
    assert [(part.component, part.node, part.expected) for part in parts] == [
        ("apiserver", "server", True),
        ("kubelet", "server", True),
        ("containerd", "server", False),
        ("kubelet", "agent", True),
        ("containerd", "agent", False),
    ]


def test_what_is_expected_comes_from_the_stack_else_from_links_and_jaeger() -> None:
    usual = {"apiserver", "kubelet"}
    assert coverage.expected_components({"tracedComponents": []}, ["kubelet"]) == set()
    by_settings = {"expectedComponents": ["kubelet"], "links": {"imagePulls": "u"}}
    assert coverage.expected_components(by_settings, ["apiserver"]) == {"kubelet"}
    assert coverage.expected_components({}, []) == usual
    assert coverage.expected_components({}, ["containerd"]) == usual | {"containerd"}
    links = {"links": {"imagePulls": "u"}}
    assert coverage.expected_components(links, []) == usual | {"containerd"}
    links = {"links": {"slowEtcdRequests": "u"}}
    assert coverage.expected_components(links, []) == usual | {"etcd"}
    assert coverage.expected_components(links, ["containerd"]) == usual | {"etcd"}, "of before"
    assert coverage.expected_components({"links": {}}, ["containerd"]) == usual | {"containerd"}
    assert coverage.expected_components({}, ["etcd"]) == usual, "its name proves nothing"


def test_only_a_span_since_the_beginning_counts() -> None:
    jaeger = client(lambda _: data(trace(span("kubelet", "syncPod", 50_000_000))))
    part = Coverage("kubelet", "server", True)
    assert coverage.look(jaeger, part, [part], since=50).ok
    late = coverage.look(jaeger, part, [part], since=51)
    assert not late.ok
    assert late.last_span == pytest.approx(50.00001)
    assert part_document(late, 60)["lastSpanAgeSeconds"] == 10.0


@pytest.mark.parametrize(
    ("own", "last_span"),
    [
        ({"host.name": "b"}, 50),
        ({"host.name": "b", "k8s.node.name": "a"}, 50),
        ({"k8s.node.name": "a"}, 0),
        ({}, 50),
    ],
)
def test_a_span_that_names_another_node_in_the_trace_found_is_not_this_nodes(
    own: dict[str, Any], last_span: float
) -> None:
    found = trace(
        span("kubelet", "first", 0, **{"host.name": "b"}),
        span("kubelet", "syncPod", 50_000_000, **own),
    )

    def answer(request: httpx.Request) -> httpx.Response:
        return data(found) if "host.name" in request.url.params.get("tags", "") else data()

    parts = [Coverage("kubelet", node, True) for node in ("a", "b")]
    looked = coverage.look(client(answer), parts[1], parts, since=49)
    assert looked.last_span == pytest.approx(last_span, abs=0.001)
    assert looked.node_known


def test_what_never_comes_is_given_up_and_explained(
    pipeline: StackPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock().drive(monkeypatch, coverage)
    part = Coverage("kubelet", NODE, True)
    begin = clock.now
    found = coverage.watch(client(lambda _: data()), [part], begin, 3)
    assert 3 < clock.now - begin <= 3.5
    (explained,) = coverage.explain(found, pipeline)
    assert isinstance(explained.broken, BrokenHop)
    assert part_document(explained, 0)["brokenHop"] == asdict(explained.broken)
