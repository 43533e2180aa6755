"""``ktrace verify``: a stack of fakes in which everything is traced, until a test breaks it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from ktrace.commands import verify as command
from ktrace.jaeger import Jaeger, JaegerError
from ktrace.pipeline import (
    collector_metrics,
    counted,
    coverage,
    nodes,
    synthetic_span,
    verification,
)
from ktrace.target import docker_daemon
from runtime_observability.core import naming
from runtime_observability.core.naming import Names
from runtime_observability.host import runner
from runtime_observability.host.daemon import resolved
from tests.fakes.clock import Clock
from tests.fakes.daemon import DockerObject, FakeDaemon
from tests.fakes.executables import Answer
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig
from tests.fakes.jaeger import data, served, span, trace
from tests.fakes.ktrace import Done, Ktrace
from tests.schemas import validate

NEVER = ""
COMPONENTS = ("apiserver", "kubelet", "containerd")
CONTROL_PLANE = {"node-role.kubernetes.io/control-plane": "true"}


class Stack:
    """A server that is Jaeger, the collector and the API of a cluster with one node.

    ``silent`` are components without a span; ``accepted`` and ``sent`` are what the collector's
    counters grow by from one reading to the next.
    """

    def __init__(
        self, server: FakeServer, daemon: FakeDaemon, names: Names, clock: Clock, folder: Path
    ) -> None:
        self.silent: set[str] = set()
        self.accepted = self.sent = 100
        self.of_destinations = ""
        self.counted: dict[str, int] = {}
        """Spans of each component since the last reading, where the stack has no Jaeger."""
        self.keeps_spans = True
        self.chooses = False
        self.jaeger_status, self.jaeger_reason = 200, "full"
        self.node = names.node("server", 0)
        self.url = server.url
        self.kubeconfig = folder / "config"
        self._readings = 0
        self._sent: list[str] = []
        self._names = names
        self._clock = clock
        self._jaeger = served(self._search)
        server.answer = self._answer
        write_kubeconfig(self.kubeconfig, server.url)
        daemon.node(names)
        address = server.url.removeprefix("http://")
        self.collector = daemon.container(
            names.collector,
            labels=names.labels,
            published={"8888/tcp": address, "4318/tcp": address},
        )
        self.jaeger: DockerObject = daemon.container(names.jaeger, labels=names.labels)
        outputs = {"jaegerUrl": server.url, "kubeconfig": str(self.kubeconfig), "links": {}}
        outputs |= {"tracedComponents": list(COMPONENTS), "clusterName": names.cluster}
        daemon.executables.script("pulumi", f"#!/bin/sh\necho '{json.dumps(outputs)}'\n")

    def _answer(self, request: Request) -> Reply:
        match request.path.partition("?")[0]:
            case "/api/v1/nodes":
                status = {"nodeInfo": {"containerRuntimeVersion": "containerd://2.4.2"}}
                named = {"name": self.node, "labels": CONTROL_PLANE}
                node = {"metadata": named, "status": status}
                return Reply(200, {"items": [node]})
            case "/version":
                return Reply(200, {"gitVersion": "v1.36.3"})
            case "/metrics":
                self._readings += 1
                counters = {
                    "receiver_accepted_spans": self._readings * self.accepted,
                    "exporter_sent_spans": self._readings * self.sent,
                }
                if self.chooses:
                    counters["processor_tail_sampling_sampling_traces_on_memory"] = 0
                own = "".join(f"otelcol_{name} {value}\n" for name, value in counters.items())
                counted = "".join(
                    "otelcol_processor_filter_spans_filtered_total"
                    f'{{filter="filter/arrived_{component}"}} {self._readings * spans}\n'
                    for component, spans in self.counted.items()
                )
                return Reply(200, own + self.of_destinations + counted)
            case "/v1/traces":
                (resource,) = request.body["resourceSpans"]
                self._sent += [sent["traceId"] for sent in resource["scopeSpans"][0]["spans"]]
                return Reply(200, {})
        return self._jaeger(request)

    def _search(self, request: httpx.Request) -> httpx.Response:
        if self.jaeger_status != 200:
            return httpx.Response(self.jaeger_status, json={"errors": self.jaeger_reason})
        if request.url.path == "/api/services":
            return httpx.Response(200, json={"data": list(COMPONENTS)})
        if request.url.path != "/api/traces":
            found = self.keeps_spans and request.url.path.rpartition("/")[2] in self._sent
            return data(trace(span("ktrace", "verify"))) if found else data()
        service = request.url.params["service"]
        if service in self.silent:
            return data()
        return data(trace(span(service, "work", int(self._clock.now * 1_000_000))))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    modules = (
        command, counted, coverage, nodes, verification, collector_metrics, synthetic_span,
    )  # fmt: skip
    return Clock().drive(monkeypatch, *modules)


@pytest.fixture
def stack(
    server: FakeServer, daemon: FakeDaemon, names: Names, clock: Clock, tmp_path: Path
) -> Stack:
    return Stack(server, daemon, names, clock, tmp_path)


def rows(shown: Done) -> list[list[str]]:
    """State, component, node and last span of each line of the table."""
    table = shown.lines[1 : shown.lines.index(next(filter(is_span_line, shown.lines)))]
    return [line.split(maxsplit=3) for line in table]


def is_span_line(line: str) -> bool:
    return line.startswith("a span from this machine: ")


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(
    ("options", "address"),
    [
        (("--stack", "dev"), "unix:///own.sock"),
        (("--stack", "acme/other"), resolved("unix:///var/run/docker.sock")),
        ((), "unix:///selected.sock"),
    ],
)
def test_docker_is_called_at_the_daemon_of_the_stack(
    ktrace: Ktrace,
    names: Names,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    address: str,
) -> None:
    (names.folder / "Pulumi.yaml").write_text("name: runtime-observability")
    (names.folder / "Pulumi.dev.yaml").write_text("config: {docker:host: unix:///own.sock}")
    (names.folder / "Pulumi.it.yaml").write_text("config: {docker:host: unix:///selected.sock}")
    monkeypatch.chdir(names.folder)
    monkeypatch.setattr(docker_daemon, "selected_stack", lambda: "it")
    assert ktrace("verify", *options).returncode == 0
    assert runner.variables == {"DOCKER_HOST": address}


def test_a_cluster_that_is_named_has_the_shells_daemon(ktrace: Ktrace, stack: Stack) -> None:
    ktrace("verify", "--jaeger", stack.url, "--kubeconfig", str(stack.kubeconfig))
    assert runner.variables == {}


def test_a_stack_in_which_everything_is_traced(ktrace: Ktrace, stack: Stack, clock: Clock) -> None:
    begin = clock.now
    shown = ktrace("verify")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert rows(shown) == [["ok", component, stack.node, "0.0 s ago"] for component in COMPONENTS]
    assert shown.lines[-1] == "a span from this machine: in Jaeger after 0.0 s"
    assert clock.now == begin, "what is there is not waited for"


def test_what_a_destination_loses_is_told_and_breaks_nothing(ktrace: Ktrace, stack: Stack) -> None:
    stack.of_destinations = (
        'otelcol_exporter_enqueue_failed_spans{exporter="otlp_grpc/dead"} 8929\n'
        'otelcol_exporter_queue_capacity{exporter="otlp_grpc/dead"} 4e+06\n'
        'otelcol_exporter_queue_size{exporter="otlp_grpc/dead"} 3e+06\n'
        'otelcol_exporter_sent_spans{exporter="otlp_http/team"} 12\n'
        'otelcol_exporter_send_failed_spans{exporter="otlp_http/wrong"} 6144\n'
        'otelcol_exporter_enqueue_failed_spans{exporter="otlp_http/jaeger"} 5762\n'
    )
    fields = {
        "otelcol.component.id": "otlp_http/wrong",
        "otelcol.component.kind": "exporter",
        "error": "not retryable error: Permanent error: responded with HTTP Status Code 401",
    }
    stack.collector.log = f"now\terror\tx.go:1\tDropping data.\t{json.dumps(fields)}\n"
    shown, as_json = ktrace("verify"), ktrace("verify", "--json")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.lines[-4:] == [
        "on the way to Jaeger, since the collector started: 5762 dropped: the queue was full",
        "destination dead: 0 sent, 75% of its queue waits, 8929 dropped: its queue was full",
        "destination team: 12 sent",
        "destination wrong: 0 sent, 6144 lost: it refused them, or did not answer for minutes. "
        "The last error: responded with HTTP Status Code 401",
    ]
    validate("verify", as_json.document)
    assert as_json.document["ok"]
    found = {one["name"]: one["ok"] for one in as_json.document["destinations"]}
    assert found == {"dead": False, "team": True, "wrong": False}


def test_what_a_restart_of_jaeger_lost_is_told_and_breaks_nothing(
    ktrace: Ktrace, stack: Stack, daemon: FakeDaemon
) -> None:
    stack.jaeger.restarts, stack.jaeger.started = 1, "2026-11-27T06:00:00.25Z"
    stack.jaeger.ended = stack.jaeger.started
    daemon.events = ["oom <no value>", "die 137"]
    shown, as_json = ktrace("verify"), ktrace("verify", "--json")
    assert (shown.returncode, shown.stderr) == (0, "")
    told = " ".join(shown.lines)
    assert "traces are lost: Jaeger restarted at " in told
    assert "Docker restarted Jaeger once, at " in told
    assert ": it ran out of memory (exit code 137). Raise jaegerMemoryMiB" in told
    validate("verify", as_json.document)
    assert as_json.document["ok"]
    lost = as_json.document["lostTraces"]
    assert lost["why"].startswith("Jaeger restarted at ")
    assert (lost["before"], lost["restarts"]) == ("2026-11-27T06:00:00.250Z", 1)
    assert lost["outOfMemory"]
    (restarts,) = as_json.document["restarts"]
    assert restarts["container"] == stack.jaeger.name


def test_a_jaeger_with_badger_that_ends_again_and_again_is_told_with_the_cure(
    ktrace: Ktrace, stack: Stack
) -> None:
    stack.jaeger.labels[naming.STORE_LABEL] = "badger"
    stack.jaeger.restarts, stack.jaeger.exit_code, stack.jaeger.state = 9, 2, "restarting"
    stack.jaeger.ended = "2026-11-27T06:00:00.25Z"
    stack.jaeger.log = "fatal error: fault\n[signal SIGBUS: bus error code=0x2]\ngoroutine 1 [run\n"
    stack.jaeger_status, stack.sent = 500, 0
    stack.keeps_spans = False
    shown, as_json = ktrace("verify"), ktrace("verify", "--json")
    assert (shown.returncode, shown.stderr) == (1, "")
    told = " ".join(shown.lines)
    assert "spans may be lost: Docker restarted Jaeger 9 times between " in told
    assert "and it is down now: it could not write a file, as where a disk is full (exit " in told
    assert "cure: it could not write a file, as where a disk is full. Make room where Doc" in told
    validate("verify", as_json.document)
    assert as_json.document["lostTraces"] is None
    (restarts,) = as_json.document["restarts"]
    assert (restarts["times"], restarts["exitCode"], restarts["running"]) == (9, 2, False)
    assert restarts["lastError"] == "[signal SIGBUS: bus error code=0x2]"


def test_a_collector_that_docker_restarted_is_told(
    ktrace: Ktrace, stack: Stack, daemon: FakeDaemon
) -> None:
    stack.collector.restarts, stack.collector.ended = 1, "2026-11-27T06:00:00.25Z"
    daemon.events = ["die 137", "die 2"]
    stack.collector.log = "panic: close of nil channel\n"
    shown = ktrace("verify")
    assert shown.returncode == 0
    told = " ".join(shown.lines)
    assert "spans may be lost: Docker restarted the collector once, at " in told
    end = "(exit code 2; last error: panic: close of nil channel). `docker logs "
    assert f": it ended by itself {end}{stack.collector.name}` says more" in told


def test_why_old_indices_are_not_deleted_is_told_and_breaks_nothing(
    ktrace: Ktrace, stack: Stack, daemon: FakeDaemon, names: Names, tmp_path: Path
) -> None:
    stack.jaeger.labels = names.labels | {naming.STORE_LABEL: "elasticsearch"}
    why = "https://search.example:9200: no route to host"
    daemon.container(names.retention, labels=names.labels, log=f"not kept: {why}\n")
    saved = tmp_path / "verified.json.gz"
    shown = ktrace("verify", "--save", str(saved))
    again = ktrace("verify", "--from", str(saved))
    as_json = ktrace("verify", "--json")
    assert (shown.returncode, again.returncode, as_json.returncode) == (0, 0, 0)
    for told in (shown.lines, again.lines):
        assert f"traceRetention is not kept: {why}" in told
    validate("verify", as_json.document)
    assert as_json.document["retentionFault"] == why
    daemon.containers[-1].log = "kept: nothing is older than 7 days\n"
    assert "traceRetention" not in ktrace("verify").stdout


def test_the_json_has_each_component_and_the_span(ktrace: Ktrace, stack: Stack) -> None:
    shown = ktrace("verify", "--stack", "dev", "--json")
    assert (shown.returncode, shown.stderr) == (0, "")
    validate("verify", shown.document)
    assert shown.document == {
        "apiVersion": "ktrace/v1",
        "ok": True,
        "components": [part(stack, component) for component in COMPONENTS],
        "synthetic": {"ok": True, "seconds": 0.0, "evidence": ""},
        "destinations": [],
        "toJaeger": {"sent": 300, "failed": 0, "dropped": 0},
        "lostTraces": None,
        "restarts": [],
        "notKnown": [],
        "retentionFault": "",
    }


def part(stack: Stack, component: str, **values: Any) -> dict[str, Any]:
    found = {"component": component, "node": stack.node, "expected": True, "ok": True}
    found |= {"lastSpanAgeSeconds": 0.0, "nodeKnown": True, "brokenHop": None}
    return {**found, **values}


def test_a_silent_component_is_1_once_the_time_is_up(
    ktrace: Ktrace, stack: Stack, clock: Clock
) -> None:
    stack.silent = {"kubelet"}
    begin = clock.now
    shown = ktrace("verify", "--timeout", "3")
    assert (shown.returncode, shown.stderr) == (1, "")
    waited = clock.now - begin - collector_metrics.WATCH_SECONDS
    assert waited == pytest.approx(3, abs=0.6)
    assert ["BROKEN", "kubelet", stack.node, "never"] in rows(shown)
    assert shown.lines[-4:] == [
        "broken: component exports spans",
        f"  seen: every hop from {stack.node} to Jaeger works, but no span of kubelet arrives",
        f"  cure: `docker logs {stack.node} 2>&1 | grep -i trac` shows how it reads its tracing "
        "file in /etc/runtime-observability",
        f"  affects: kubelet on {stack.node}",
    ]


def test_what_one_hop_breaks_is_listed_with_it(
    ktrace: Ktrace, stack: Stack, daemon: FakeDaemon
) -> None:
    stack.silent = {"kubelet", "containerd"}
    daemon.in_nodes = lambda argument: Answer(code=int(argument == "otel-collector"))
    stack.collector.state = "exited"
    shown = ktrace("verify", "--timeout", "0")
    assert shown.returncode == 1
    assert "broken: name resolves in the node" in shown.lines
    assert f"  affects: kubelet on {stack.node}, containerd on {stack.node}" in shown.lines
    assert f"container {stack.collector.name} is exited" in shown.stdout
    assert f"docker start {stack.collector.name}" in shown.stdout


@pytest.mark.parametrize(
    ("grow", "hop", "evidence"),
    [
        ((0, 0), "collector accepts spans", "0 spans accepted and 0 refused in 2 s"),
        ((9, 0), "collector's exporter delivers", "9 spans accepted and 0 sent in 2 s"),
    ],
)
def test_counters_that_do_not_grow_name_the_hop_in_json(
    ktrace: Ktrace, stack: Stack, grow: tuple[int, int], hop: str, evidence: str
) -> None:
    stack.silent = {"kubelet"}
    stack.accepted, stack.sent = grow
    shown = ktrace("verify", "--timeout", "0", "--json")
    assert shown.returncode == 1
    (broken,) = [found for found in shown.document["components"] if not found["ok"]]
    assert broken["component"] == "kubelet"
    assert broken["lastSpanAgeSeconds"] is None
    assert broken["brokenHop"]["hop"] == hop
    assert evidence in broken["brokenHop"]["evidence"]


def test_a_collector_without_its_ports_is_named(ktrace: Ktrace, stack: Stack) -> None:
    stack.silent = {"kubelet"}
    stack.collector.published = {}
    shown = ktrace("verify", "--timeout", "0")
    assert shown.returncode == 1
    assert "broken: collector accepts spans" in shown.lines
    assert "  seen: its metrics port is not published; " in shown.stdout
    assert "a span from this machine: the collector's port 4318 is not published" in shown.lines


def test_a_span_that_is_lost_is_1_though_all_components_are_traced(
    ktrace: Ktrace, stack: Stack, clock: Clock
) -> None:
    stack.keeps_spans = False
    begin = clock.now
    shown = ktrace("verify")
    assert shown.returncode == 1
    assert shown.lines[-1] == (
        "a span from this machine: the collector accepted it, but after 10 s Jaeger does not have "
        "it"
    )
    assert clock.now - begin == pytest.approx(10, abs=0.3)


def test_a_jaeger_that_answers_with_errors_is_a_broken_hop(ktrace: Ktrace, stack: Stack) -> None:
    stack.jaeger_status = 500
    shown = ktrace("verify", "--json")
    assert shown.returncode == 1
    hops = {found["brokenHop"]["hop"] for found in shown.document["components"]}
    assert hops == {"Jaeger has them"}
    assert "Jaeger answers 500: full" in shown.stdout


def test_a_jaeger_whose_store_refuses_it_is_named_and_not_the_exporter_that_waits_for_it(
    ktrace: Ktrace, stack: Stack
) -> None:
    stack.jaeger_status, stack.sent = 500, 0
    stack.jaeger_reason = "elastic: Error 401 (Unauthorized)"
    shown = ktrace("verify")
    assert shown.returncode == 1
    assert "broken: Jaeger has them" in shown.lines
    assert "  seen: Jaeger answers 500: elastic: Error 401 (Unauthorized)" in shown.lines
    assert (
        "  cure: Its store refuses Jaeger's user and password; of a stack they are" in shown.stdout
    )


def test_a_cluster_of_others_has_no_span_from_here(
    ktrace: Ktrace, stack: Stack, daemon: FakeDaemon
) -> None:
    daemon.containers.clear()
    stack.silent = {"containerd"}
    options = ("--jaeger", stack.url, "--kubeconfig", str(stack.kubeconfig), "--timeout", "0")
    shown = ktrace("verify", *options, "--json")
    assert shown.returncode == 1, "Jaeger knows the service containerd, so it is expected"
    assert shown.document["synthetic"] is None
    (broken,) = [found for found in shown.document["components"] if not found["ok"]]
    assert broken["brokenHop"]["hop"] == "not known: the component, or a hop to Jaeger"


@pytest.mark.parametrize("docker_is_down", [False, True])
def test_of_a_cluster_of_others_jaeger_may_be_broken(
    ktrace: Ktrace, stack: Stack, daemon: FakeDaemon, docker_is_down: bool
) -> None:
    daemon.containers.clear()
    daemon.down = docker_is_down
    stack.jaeger_status = 500
    options = ("--jaeger", stack.url, "--kubeconfig", str(stack.kubeconfig), "--timeout", "0")
    shown = ktrace("verify", *options, "--json")
    assert (shown.returncode, shown.stderr) == (1, "")
    hops = {
        found["brokenHop"]["hop"] for found in shown.document["components"] if found["expected"]
    }
    assert hops == {"Jaeger has them"}


def test_without_docker_a_cluster_is_one_of_others(
    ktrace: Ktrace, stack: Stack, daemon: FakeDaemon
) -> None:
    daemon.down = True
    options = ("--jaeger", stack.url, "--kubeconfig", str(stack.kubeconfig), "--timeout", "0")
    shown = ktrace("verify", *options)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert not any(map(is_span_line, shown.lines))


def test_what_is_not_expected_may_be_silent(
    ktrace: Ktrace, stack: Stack, daemon: FakeDaemon
) -> None:
    outputs: dict[str, Any] = {"jaegerUrl": stack.url, "kubeconfig": str(stack.kubeconfig)}
    outputs["tracedComponents"] = []
    daemon.executables.script("pulumi", f"#!/bin/sh\necho '{json.dumps(outputs)}'\n")
    stack.silent = {"kubelet"}
    shown = ktrace("verify", "--timeout", "0")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert [line.split(maxsplit=3) for line in shown.lines[1:]] == [
        ["-", "apiserver", stack.node, "0.0 s ago"],
        ["-", "kubelet", stack.node, "never, not expected: not traced, or sampled"],
        ["-", "containerd", stack.node, "0.0 s ago"],
    ]


def without_jaeger(stack: Stack, daemon: FakeDaemon, counted: dict[str, int]) -> None:
    """The stack keeps no traces; ``counted`` is added to each component's count at each reading."""
    outputs: dict[str, object] = {"jaegerUrl": "", "kubeconfig": str(stack.kubeconfig)}
    outputs |= {"traceStore": "none", "tracedComponents": list(COMPONENTS), "links": {}}
    daemon.executables.script("pulumi", f"#!/bin/sh\necho '{json.dumps(outputs)}'\n")
    daemon.containers.remove(stack.jaeger)
    stack.collector.labels = {**stack.collector.labels, naming.STORE_LABEL: "none"}
    stack.counted = counted
    stack.of_destinations = 'otelcol_exporter_queue_size{exporter="otlp_grpc/central"} 0\n'


def test_without_a_jaeger_the_collectors_counters_are_judged(
    ktrace: Ktrace, stack: Stack, daemon: FakeDaemon
) -> None:
    without_jaeger(stack, daemon, dict.fromkeys(COMPONENTS, 5))
    shown = ktrace("verify", "--timeout", "0")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert [line.split(maxsplit=2)[:2] for line in shown.lines[1:4]] == [
        ["ok", component] for component in COMPONENTS
    ]
    assert "Not known: whether the spans of a pod's start are one trace" in shown.stdout
    document = json.loads(ktrace("verify", "--json", "--timeout", "0").stdout)
    validate("verify", document)
    assert (document["ok"], document["synthetic"]) == (True, None)
    assert len(document["notKnown"]) == 2


def test_without_a_jaeger_a_silent_component_and_a_stuck_destination_are_named(
    ktrace: Ktrace, stack: Stack, daemon: FakeDaemon
) -> None:
    without_jaeger(stack, daemon, {"apiserver": 5, "kubelet": 5})
    shown = ktrace("verify", "--timeout", "0")
    assert shown.returncode == 1
    assert "broken: component exports spans" in shown.lines
    assert f"  affects: containerd on {stack.node}" in shown.lines
    stack.of_destinations = stack.of_destinations.replace(" 0", " 900")
    stack.sent = 0
    shown = ktrace("verify", "--timeout", "0")
    assert "broken: collector's exporter delivers" in shown.lines
    assert "destination central took nothing in 2 s, 900 bytes wait" in shown.stdout


@pytest.mark.parametrize(
    "command",
    [("show", "web-0"), ("run", "--", "true"), ("assert", "control-plane"), ("open",)],
    ids=lambda words: words[0],
)
def test_without_a_jaeger_the_other_commands_end_with_one_line(
    ktrace: Ktrace, stack: Stack, daemon: FakeDaemon, command: tuple[str, ...]
) -> None:
    without_jaeger(stack, daemon, {})
    refused = ktrace(*command)
    (line,) = refused.stderr.splitlines()
    assert refused.returncode == 2
    assert "the stack keeps no traces (traceStore: none)" in line
    assert "pulumi config set queryUrl URL" in line


def test_under_a_preset_components_may_be_silent(ktrace: Ktrace, stack: Stack) -> None:
    stack.chooses, stack.sent = True, 0
    stack.silent = {"apiserver", "kubelet", "containerd"}
    shown = ktrace("verify", "--timeout", "0")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "the collector accepts spans, and passes on the traces that `tracing` chooses" in (
        shown.lines
    )
    assert any(line.startswith("a span from this machine: in Jaeger") for line in shown.lines)
    assert shown.stdout.count("never, not expected: `tracing` chooses") == 3


def test_under_a_preset_a_collector_that_nothing_reaches_is_broken(
    ktrace: Ktrace, stack: Stack
) -> None:
    stack.chooses, stack.accepted, stack.sent = True, 0, 0
    stack.silent = {"kubelet"}
    shown = ktrace("verify", "--timeout", "0")
    assert shown.returncode == 1
    assert "broken: collector accepts spans" in shown.lines


def test_under_a_preset_a_span_that_does_not_arrive_is_a_finding(
    ktrace: Ktrace, stack: Stack
) -> None:
    stack.chooses, stack.keeps_spans = True, False
    assert ktrace("verify", "--timeout", "0").returncode == 1


def test_an_unreachable_cluster_is_3(ktrace: Ktrace, stack: Stack) -> None:
    write_kubeconfig(stack.kubeconfig, "http://127.0.0.1:9")
    refused = ktrace("verify")
    assert (refused.returncode, refused.stdout) == (3, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"ktrace: the cluster of {stack.kubeconfig} cannot be reached: ")
    assert line.endswith("`pulumi up` starts a stack's cluster that is stopped")


def test_a_cluster_that_refuses_its_user_is_3(
    ktrace: Ktrace, stack: Stack, server: FakeServer
) -> None:
    server.answer = lambda _: Reply(401, {"message": "Unauthorized"})
    refused = ktrace("verify")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "refuses the list of its nodes: 401 Unauthorized" in refused.stderr


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'error: no stack selected' >&2; exit 255", "(no stack selected): choose one with"),
        ("exit 1", "(pulumi prints no reason): choose one with --stack NAME"),
        ("echo '{}'", "the selected stack is not up: it has no output jaegerUrl. Run `make up`"),
        ("", "the selected stack is not up"),
    ],
)
def test_without_a_stack_that_is_up_it_is_wrong_usage(
    ktrace: Ktrace, stack: Stack, daemon: FakeDaemon, script: str, problem: str
) -> None:
    daemon.executables.script("pulumi", f"#!/bin/sh\n{script}\n")
    refused = ktrace("verify")
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    assert problem in line


def test_a_narrow_terminal_cuts_nothing_off(
    ktrace: Ktrace, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    stack.silent = {"kubelet"}
    shown = ktrace("verify", "--timeout", "0")
    assert shown.returncode == 1
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.stdout)
    commands = re.findall(r"`docker logs [^`]+`", text)
    assert commands, "a command that is copied has no line break"
    assert all(len(line) <= 60 or commands[0] in line for line in text.splitlines())
    assert "…" not in text
    assert stack.node in "".join(text.split())


# --- an answer that is slow or lost ---------------------------------------------------------------


def test_a_jaeger_that_fails_for_a_while_is_waited_for(
    ktrace: Ktrace, stack: Stack, clock: Clock
) -> None:
    """One time-out was a broken hop (finding 35), and made containerd something not expected."""
    stack.jaeger_status = 503
    begin = clock.now

    def recovers() -> None:
        if clock.now - begin > 6:
            stack.jaeger_status = 200

    clock.while_sleeping = recovers
    shown = ktrace("verify", "--json")
    assert shown.returncode == 0, shown.stdout
    assert {found["component"] for found in shown.document["components"] if found["ok"]} == {
        *COMPONENTS
    }
    assert clock.now - begin < 8


def test_one_slow_answer_among_many_is_no_broken_hop(
    ktrace: Ktrace, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, slow = Jaeger.find, ["containerd"]

    def find(self: Jaeger, service: str, *rest: Any, **more: Any) -> Any:
        if service in slow:
            slow.clear()
            raise JaegerError("timed out")
        return real(self, service, *rest, **more)

    monkeypatch.setattr(Jaeger, "find", find)
    assert ktrace("verify").returncode == 0
    assert slow == []


def test_what_could_not_be_read_is_not_called_silent(
    ktrace: Ktrace, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jaeger answers some questions, and one never."""
    real = Jaeger.find

    def find(self: Jaeger, service: str, *rest: Any, **more: Any) -> Any:
        if service == "kubelet":
            raise JaegerError("timed out")
        return real(self, service, *rest, **more)

    monkeypatch.setattr(Jaeger, "find", find)
    shown = ktrace("verify", "--json")
    assert shown.returncode == 1
    (broken,) = [found["brokenHop"] for found in shown.document["components"] if not found["ok"]]
    assert (broken["hop"], broken["evidence"]) == ("Jaeger has them", "timed out")


def test_a_slow_list_of_nodes_is_read_again(
    ktrace: Ktrace, stack: Stack, server: FakeServer
) -> None:
    real, failures = server.answer, [Reply(503, "starting"), Reply(429, {"message": "busy"})]

    def answer(request: Request) -> Reply:
        return failures.pop() if failures and "/nodes" in request.path else real(request)

    server.answer = answer
    assert ktrace("verify").returncode == 0
    assert failures == []


def test_an_api_server_that_never_answers_well_is_3_once_the_time_is_up(
    ktrace: Ktrace, stack: Stack, server: FakeServer, clock: Clock
) -> None:
    server.answer = lambda _: Reply(503, {"message": "etcd is away"})
    begin = clock.now
    shown = ktrace("verify", "--timeout", "3", "--json")
    assert shown.returncode == 3
    assert "cannot be reached: 503 etcd is away" in shown.document["error"]["message"]
    assert 3 <= clock.now - begin <= 4


@pytest.mark.parametrize("body", [{"kind": "Status"}, {"items": [{}]}, {"items": 5}, []])
def test_a_server_that_is_no_kubernetes_is_one_line(
    ktrace: Ktrace, stack: Stack, server: FakeServer, body: Any
) -> None:
    server.answer = lambda _: Reply(200, body)
    shown = ktrace("verify", "--timeout", "0")
    assert (shown.returncode, shown.stdout) == (3, "")
    assert len(shown.stderr.splitlines()) == 1


def test_a_span_from_here_may_meet_a_slow_answer(
    ktrace: Ktrace, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, slow = Jaeger.trace, ["once"]

    def trace_(self: Jaeger, trace_id: str) -> Any:
        if slow:
            slow.clear()
            raise JaegerError("timed out")
        return real(self, trace_id)

    monkeypatch.setattr(Jaeger, "trace", trace_)
    assert ktrace("verify").returncode == 0


# --- clusters that this project did not make ------------------------------------------------------


class Foreign:
    """A cluster with ``servers`` and one agent; ``named`` components name the node of a span."""

    def __init__(self, server: FakeServer, folder: Path, clock: Clock) -> None:
        self.servers = ["cp-0", "cp-1", "cp-2"]
        self.named = {"kubelet"}
        self.silent: set[str] = set()
        """``component`` or ``component/node``."""
        self._clock = clock
        self._url = server.url
        self._jaeger = served(self._search)
        self._kubeconfig = folder / "foreign"
        write_kubeconfig(self._kubeconfig, server.url)
        server.answer = self._answer

    @property
    def options(self) -> list[str]:
        options = ["--jaeger", self._url, "--kubeconfig", str(self._kubeconfig)]
        return [*options, "--timeout", "1", "--json"]

    def _answer(self, request: Request) -> Reply:
        if not request.path.startswith("/api/v1/nodes"):
            return self._jaeger(request)
        labels = [(name, CONTROL_PLANE) for name in self.servers] + [("worker", {})]
        return Reply(
            200, {"items": [{"metadata": {"name": name, "labels": has}} for name, has in labels]}
        )

    def _search(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/services":
            return data("apiserver", "kubelet")
        service = request.url.params["service"]
        tags = json.loads(request.url.params.get("tags", "{}"))
        node = tags.get("host.name", "")
        wanted = (service in self.named) if tags else True
        if not wanted or (tags and not node) or self.silent & {service, f"{service}/{node}"}:
            return data()
        own = {"host.name": node or "cp-0"} if service in self.named else {}
        return data(trace(span(service, "work", int(self._clock.now * 1_000_000), **own)))


@pytest.fixture
def foreign(server: FakeServer, tmp_path: Path, clock: Clock, daemon: FakeDaemon) -> Foreign:
    daemon.down = True
    return Foreign(server, tmp_path, clock)


def by_part(shown: Done) -> dict[tuple[str, str], dict[str, Any]]:
    validate("verify", shown.document)
    return {(found["component"], found["node"]): found for found in shown.document["components"]}


def test_api_servers_that_name_no_node_are_not_called_broken(
    ktrace: Ktrace, foreign: Foreign
) -> None:
    """They were always BROKEN on three control planes (finding 35): which one it was is unknown."""
    shown = ktrace("verify", *foreign.options)
    assert shown.returncode == 0, shown.stdout
    parts = by_part(shown)
    for name in foreign.servers:
        found = parts["apiserver", name]
        assert (found["expected"], found["ok"], found["nodeKnown"]) == (True, True, False)
    assert parts["kubelet", "cp-1"]["nodeKnown"] is True
    text = ktrace("verify", *foreign.options[:-1])
    assert "from a node that its spans do not name" in text.stdout


def test_a_component_that_names_its_nodes_is_judged_on_each(
    ktrace: Ktrace, foreign: Foreign
) -> None:
    foreign.silent = {"kubelet/cp-1"}
    shown = ktrace("verify", *foreign.options)
    assert shown.returncode == 1
    broken = [part for part, found in by_part(shown).items() if found["brokenHop"]]
    assert broken == [("kubelet", "cp-1")], "a span of another node does not count"


def test_no_api_server_anywhere_is_told_on_each_control_plane(
    ktrace: Ktrace, foreign: Foreign
) -> None:
    foreign.silent = {"apiserver"}
    shown = ktrace("verify", *foreign.options)
    assert shown.returncode == 1
    hops = {part: found["brokenHop"] for part, found in by_part(shown).items()}
    broken = {part: hop["hop"] for part, hop in hops.items() if hop}
    not_known = "not known: the component, or a hop to Jaeger"
    assert broken == {("apiserver", name): not_known for name in foreign.servers}


def test_a_control_plane_on_none_of_the_nodes_is_shown_and_not_demanded(
    ktrace: Ktrace, foreign: Foreign
) -> None:
    foreign.servers = []
    foreign.named = {"kubelet"}
    shown = ktrace("verify", *foreign.options)
    assert shown.returncode == 0, shown.stdout
    found = by_part(shown)["apiserver", "(control plane)"]
    assert (found["expected"], found["ok"]) == (False, True)
    foreign.silent = {"apiserver"}
    assert ktrace("verify", *foreign.options).returncode == 0
