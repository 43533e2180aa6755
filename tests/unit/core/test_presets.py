"""The presets of ``tracing``: which spans keep a trace, and what the collector gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ktrace import otlp as sent
from ktrace.pipeline import probe_pod
from ktrace.podstart import search
from runtime_observability.core import documents, presets
from runtime_observability.core.presets import PROCESSOR, Choice, Preset, milliseconds
from runtime_observability.core.settings.parse import SettingsError
from runtime_observability.core.support import DEFAULT_COLLECTOR
from tests.configuration import of_stack_file, parsed
from tests.fakes.clock import Clock
from tests.replay import otlp, recordings, rules

QUIET, STARTS, ERRORS = Choice("quiet"), Choice("starts"), Choice("errors-and-slow", 1_000)
REDUCING = (QUIET, STARTS, ERRORS)
SECOND = 1_000_000_000

KUBECTL = "kubectl/v1.36.3 (linux/amd64) kubernetes/abcdef0"
K3S = "k3s/v1.34.3+k3s1 (linux/amd64) kubernetes/48ffa7b"
SCHEDULER = "kube-scheduler/v1.36.3 (linux/amd64) kubernetes/abcdef0/scheduler"
OPERATOR = "manager/v0.0.0 (linux/amd64) kubernetes/$Format/leader-election"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler"
EVENTS = "/api/v1/namespaces/default/events"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/web"


def kept_by(service: str, name: str, kind: str = "internal", **more: Any) -> set[str]:
    """The presets that keep a trace for such a span."""
    request = otlp.request(service, [otlp.made("1" * 32, name, kind, **more)])
    return {choice.preset for choice in REDUCING if rules.marks(choice, request)}


def request_by(agent: str, method: str, target: str, **more: Any) -> set[str]:
    """Of the request's own span, as newer and older releases name its attributes."""
    newer = {"http.request.method": method, "http.target": target, "user_agent.original": agent}
    older = {"http.method": method, "http.target": target, "http.user_agent": agent}
    found = [
        kept_by("apiserver", f"{method} /…", "server", tags=tags, **more) for tags in (newer, older)
    ]
    assert found[0] == found[1]
    return found[0]


def work_by(agent: str, verb: str, url: str, **more: Any) -> set[str]:
    """Of the span in which a handler works on an object."""
    tags = {"verb": verb, "url": url, "user-agent": agent}
    return kept_by("apiserver", verb.capitalize(), tags=tags, **more)


# --- the API server -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["etcdserverpb.KV/Range", "authentication", "authorization", "cacher.Watch"]
)
def test_what_does_not_tell_of_its_request_keeps_nothing(name: str) -> None:
    kind = "client" if name.startswith("etcdserverpb") else "internal"
    assert kept_by("apiserver", name, kind) == set()


@pytest.mark.parametrize("path", ["/livez", "/readyz?verbose", "/healthz/etcd"])
@pytest.mark.parametrize("agent", [KUBECTL, "kube-probe/1.36", "curl/8.0", K3S])
def test_health_checks_are_noise_whoever_makes_them(agent: str, path: str) -> None:
    assert request_by(agent, "GET", path) == set()


def test_leases_and_written_events_are_noise_of_all_programs() -> None:
    for agent in (K3S, SCHEDULER, OPERATOR):
        for method, target in (("PUT", LEASE), ("POST", EVENTS), ("PATCH", f"{EVENTS}/a.1")):
            assert request_by(agent, method, f"{target}?timeout=5s") == set()
            assert work_by(agent, method, target) == set()
    modern = "/apis/events.k8s.io/v1/namespaces/default/events"
    assert work_by(SCHEDULER, "POST", modern) == set()


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", PODS),
        ("GET", f"{PODS}?watch=true"),
        ("GET", f"{PODS}/web/log?follow=true"),
        ("GET", "/version"),
        ("GET", "/apis?timeout=32s"),
        ("GET", LEASE),
        ("GET", EVENTS),
        ("PATCH", "/api/v1/namespaces/default/configmaps/a"),
    ],
)
def test_a_users_request_is_kept_by_quiet(method: str, target: str) -> None:
    assert request_by(KUBECTL, method, target) == {"quiet"}


@pytest.mark.parametrize(
    "agent", [K3S, SCHEDULER, "kubelet/v1.36.3", "coredns/v0", "deploy@n", "k3s-supervisor/v1"]
)
@pytest.mark.parametrize("target", [PODS, f"{PODS}?watch=true", "/apis", "/openapi/v3"])
def test_reads_and_watches_of_system_components_are_noise(agent: str, target: str) -> None:
    assert request_by(agent, "GET", target) == set()
    for verb in ("GET", "LIST", "WATCH", "WATCHLIST"):
        assert work_by(agent, verb, target.partition("?")[0]) == set()


def test_names_that_only_begin_like_a_components_are_users() -> None:
    for agent in ("kubectl-dispatcher/v1.0", "kubelet-csr-approver/v1", "k3sup/1", "deploy/v0.0.0"):
        assert request_by(agent, "GET", PODS) == {"quiet"}


def test_reviews_are_noise_unless_a_user_asks() -> None:
    for kind in (
        "authentication.k8s.io/v1/tokenreviews",
        "authorization.k8s.io/v1/subjectaccessreviews",
    ):
        assert work_by(K3S, "POST", f"/apis/{kind}") == set()
        assert work_by(KUBECTL, "POST", f"/apis/{kind}") == {"quiet"}


def test_releases_whose_request_has_no_target_are_judged_by_their_handlers() -> None:
    tags = {"http.method": "GET", "http.user_agent": KUBECTL}
    assert kept_by("apiserver", "KubernetesAPI", "server", tags=tags) == set()
    assert work_by(KUBECTL, "LIST", PODS) == {"quiet"}


@pytest.mark.parametrize(
    ("verb", "url"),
    [
        ("POST", PODS),
        ("POST", f"{PODS}/web/binding"),
        ("PATCH", f"{PODS}/web/status"),
        ("PATCH", f"{PODS}/web/ephemeralcontainers"),
        ("DELETE", f"{PODS}/web"),
        ("PUT", DEPLOYMENT),
        ("APPLY", DEPLOYMENT),
        ("PATCH", f"{DEPLOYMENT}/scale"),
        ("POST", "/apis/batch/v1/namespaces/default/jobs"),
        ("POST", "/api/v1/namespaces/default/replicationcontrollers"),
    ],
)
@pytest.mark.parametrize("agent", [KUBECTL, K3S, SCHEDULER])
def test_what_causes_and_tells_of_a_start_is_kept(agent: str, verb: str, url: str) -> None:
    assert work_by(agent, verb, url) == {"quiet", "starts"}


@pytest.mark.parametrize(
    ("verb", "url"),
    [
        ("GET", f"{PODS}/web"),
        ("PUT", f"{DEPLOYMENT}/status"),
        ("POST", "/api/v1/namespaces/default/configmaps"),
        ("CONNECT", f"{PODS}/web/exec"),
    ],
)
def test_other_requests_of_a_user_are_not_causes(verb: str, url: str) -> None:
    assert work_by(KUBECTL, verb, url) == {"quiet"}


# --- the nodes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["kubelet", "containerd"])
def test_calls_that_start_something_are_of_a_start_in_either_trace(service: str) -> None:
    """Kubernetes 1.28 and 1.29 have the calls in traces of their own."""
    for method in ("RunPodSandbox", "CreateContainer", "StartContainer"):
        name = f"runtime.v1.RuntimeService/{method}"
        assert kept_by(service, name, "client") == {"quiet", "starts"}
    assert kept_by(service, "runtime.v1.ImageService/PullImage") == {"quiet", "starts"}
    for method in ("StopContainer", "StopPodSandbox", "Exec"):
        assert kept_by(service, f"runtime.v1.RuntimeService/{method}") == {"quiet"}
    for method in ("ListContainers", "Status", "ExecSync", "PodSandboxStatus"):
        assert kept_by(service, f"runtime.v1.RuntimeService/{method}") == set()


def sync(update_type: str, pod: str = "default/web", **more: Any) -> set[str]:
    tags = {"k8s.pod": pod, "k8s.pod.update_type": update_type}
    return kept_by("kubelet", "syncPod", tags=tags, **more)


def test_rounds_of_the_kubelet() -> None:
    assert sync("sync") == sync("update") == set()
    assert sync("create") == {"quiet", "starts"}
    assert sync("sync", failed=True) == {"quiet", "starts", "errors-and-slow"}
    assert sync("sync", nanoseconds=2 * SECOND) == {"errors-and-slow"}
    assert kept_by("kubelet", "syncTerminatingPod") == {"quiet"}


def test_the_kubelets_own_calls_and_pages_are_noise_but_a_users_visit_is_not() -> None:
    assert kept_by("kubelet", "HTTP PUT", "client") == set()
    assert kept_by("kubelet", "/metrics/cadvisor", "server") == set()
    assert kept_by("kubelet", "/containerLogs/{podNamespace}/{podID}", "server") == {"quiet"}


def test_what_the_cluster_did_not_send_is_kept() -> None:
    assert kept_by("my-operator", "reconcile") == {"quiet", "starts"}
    assert kept_by("etcd", "etcdserverpb.KV/Range", "server") == set()


# --- errors and what was slow ---------------------------------------------------------------------


@pytest.mark.parametrize("service", ["apiserver", "kubelet", "containerd", "etcd", "my-operator"])
def test_errors_and_what_was_slow(service: str) -> None:
    def by_errors(**more: Any) -> bool:
        return "errors-and-slow" in kept_by(service, "work", **more)

    assert not by_errors(nanoseconds=SECOND)
    assert by_errors(nanoseconds=SECOND + 1)
    assert by_errors(nanoseconds=1, failed=True)


@pytest.mark.parametrize(
    ("service", "name", "kind"),
    [
        ("kubelet", "HTTP GET", "client"),
        ("apiserver", "HTTP GET", "client"),
        ("apiserver", "etcdserverpb.Watch/Watch", "client"),
        ("apiserver", "etcdserverpb.Lease/LeaseKeepAlive", "client"),
        ("apiserver", "WatchServer.HandleHTTP", "internal"),
        ("containerd", "containerd.task.v3.Task/Wait", "client"),
        ("containerd", "task.Wait", "internal"),
        ("containerd", "containerd.services.events.v1.Events/Subscribe", "server"),
    ],
)
def test_what_stays_open_is_neither_slow_nor_an_error(service: str, name: str, kind: str) -> None:
    assert kept_by(service, name, kind, nanoseconds=500 * SECOND, failed=True) == set()


def test_the_same_names_of_other_programs_are_judged() -> None:
    for name in ("HTTP GET", "WatchMovie", "queue.Wait"):
        assert "errors-and-slow" in kept_by("shop", name, "client", failed=True)
        assert "errors-and-slow" in kept_by("shop", name, "client", nanoseconds=2 * SECOND)


@pytest.mark.parametrize(
    ("target", "slow"),
    [
        (PODS, True),
        (f"{PODS}?allowWatchBookmarks=true&watch=true&timeoutSeconds=462", False),
        (f"{PODS}?watch=1", False),
        ("/api/v1/watch/namespaces/default/pods", False),
        (f"{PODS}/web/exec?command=sh", False),
        (f"{PODS}/web/log?follow=true", False),
        (f"{PODS}/catalog", True),
    ],
)
def test_a_watch_is_not_slow(target: str, slow: bool) -> None:
    kept = request_by(SCHEDULER, "GET", target, nanoseconds=400 * SECOND)
    assert ("errors-and-slow" in kept) is slow
    watched = request_by(SCHEDULER, "GET", target, nanoseconds=400 * SECOND, failed=True)
    assert "errors-and-slow" in watched


def test_a_handler_that_watches_is_not_slow() -> None:
    assert work_by(SCHEDULER, "WATCH", PODS, nanoseconds=400 * SECOND) == set()
    assert work_by(SCHEDULER, "LIST", PODS, nanoseconds=400 * SECOND) == {"errors-and-slow"}


def test_what_up_and_verify_wait_for_is_kept_by_all() -> None:
    everywhere = {choice.preset for choice in REDUCING}
    for operation in ("ktrace verify", "ktrace run kubectl"):
        assert kept_by(sent.SERVICE, operation) == everywhere
    name = f"{probe_pod.NAMESPACE}/trace-probe-0a1b2c3d"
    assert "errors-and-slow" in sync("create", name)
    for prefix in ("", "/registry"):
        tags = {"key": f"{prefix}/pods/{name}"}
        assert "errors-and-slow" in kept_by("apiserver", "Create etcd3", tags=tags)


# --- recorded traffic -----------------------------------------------------------------------------


@pytest.mark.parametrize("choice", [QUIET, STARTS], ids=lambda choice: choice.preset)
def test_ktrace_says_the_same_of_every_recorded_start(
    choice: Choice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All recorded kinds on all recorded releases, with what is left of their traces."""
    clock = Clock().drive(monkeypatch, search)
    left_out = 0
    for recorded in recordings.pods():
        clock.now = recorded.now / 1_000_000
        kept = tuple(rules.kept(choice, recorded.traces))
        left_out += len(recorded.traces) - len(kept)
        assert replace(recorded, traces=kept).start() == recorded.start()
    assert left_out > 10


def test_nothing_is_kept_of_a_cluster_at_rest() -> None:
    noise = recordings.k3s_at_rest()
    assert len(otlp.spans_of(noise)) == 2_046
    assert [len(rules.kept(choice, noise)) for choice in REDUCING] == [0, 0, 0]


def test_a_pod_of_kubectls_is_kept() -> None:
    traffic = recordings.with_pod()
    assert len(otlp.spans_of(traffic)) == 1_206
    spans = [len(otlp.spans_of(rules.kept(choice, traffic))) for choice in REDUCING]
    assert spans == [307, 115, 20]


# --- what the collector gets ----------------------------------------------------------------------


@pytest.mark.parametrize("per_million", [1_000_000, 10_000])
@pytest.mark.parametrize("choice", REDUCING, ids=lambda choice: choice.preset)
def test_traces_are_chosen_after_the_limiter_and_a_sampler(
    choice: Choice, per_million: int
) -> None:
    def document(tracing: Choice) -> dict[str, Any]:
        text = documents.collector(DEFAULT_COLLECTOR, per_million, 512, tracing=tracing)
        parsed: dict[str, Any] = yaml.safe_load(text)
        return parsed

    usual, chosen = document(Choice()), document(choice)
    sampler = chosen["processors"].pop(PROCESSOR)
    order = chosen["service"]["pipelines"]["traces"]["processors"]
    assert order[-2:] == [PROCESSOR, "batch"]
    order.remove(PROCESSOR)
    assert chosen == usual
    assert sampler["num_traces"] == 40_960
    assert sampler["decision_cache"]["sampled_cache_size"] > sampler["num_traces"]
    assert sampler["decision_wait"] == "600s"


def test_no_condition_holds_what_the_collector_replaces() -> None:
    """``${…}`` is a variable in its configuration, and ``$$`` a dollar."""
    for choice in REDUCING:
        for text in (text for group in choice.marks.values() for text in group):
            assert "${" not in text
            assert "$$" not in text


@given(st.integers(1, 600_000))
def test_durations(number: int) -> None:
    assert milliseconds(f"{number}ms") == number
    assert milliseconds(f"{number}s") == (number * 1_000 if number <= 600 else None)
    assert milliseconds(f"{number}m") == (number * 60_000 if number <= 10 else None)


@pytest.mark.parametrize(
    "text", ["", "0s", "0ms", "600001ms", "2", "1h", "1.5s", "-1s", "1 s", "1s ", "٣s", "1m30s"]
)
def test_what_is_no_duration(text: str) -> None:
    assert milliseconds(text) is None


def test_every_preset_has_one_line_of_its_own() -> None:
    kinds: tuple[Preset, ...] = presets.Preset.__args__  # type: ignore[attr-defined]
    lines = [Choice(kind, 1_500).description for kind in kinds]
    assert len(set(lines)) == 4
    assert "1.5 s" in lines[-1]
    assert Choice().lines == ()


# --- the image ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mirror", ["docker.io", "registry.example/hub"])
def test_contrib_is_chosen_where_it_is_needed(mirror: str) -> None:
    def image(tracing: str) -> str:
        changes = {} if mirror == "docker.io" else {"registryMirror": mirror}
        return parsed(tracing=tracing, **changes).images.collector

    release = f":{DEFAULT_COLLECTOR}"
    assert image("everything") == f"{mirror}/otel/opentelemetry-collector{release}"
    for choice in REDUCING:
        assert image(choice.preset) == f"{mirror}/otel/opentelemetry-collector-contrib{release}"


@pytest.mark.parametrize(
    "image",
    [
        *of_stack_file("lab")["collectorImage"].splitlines(),
        "otel/opentelemetry-collector-contrib:0.159.0",
        "otel/opentelemetry-collector-k8s:0.159.0",
        "registry.example/otel-collector@sha256:" + "0" * 64,
    ],
)
def test_an_image_of_the_users_own_is_kept(image: str) -> None:
    assert parsed(tracing="quiet", collectorImage=image).images.collector == image


@pytest.mark.parametrize(
    "image",
    [
        "otel/opentelemetry-collector:0.159.0",
        "docker.io/otel/opentelemetry-collector@sha256:" + "0" * 64,
        "otel/opentelemetry-collector-otlp:0.159.0",
        "ghcr.io/open-telemetry/opentelemetry-collector-releases/opentelemetry-collector:0.159.0",
    ],
)
def test_an_image_of_the_core_distribution_is_refused(image: str) -> None:
    parsed(collectorImage=image)
    with pytest.raises(SettingsError, match="core distribution does not have the processor"):
        parsed(tracing="quiet", collectorImage=image)
