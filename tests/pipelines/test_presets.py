"""A real collector keeps of replayed traffic exactly what each preset says, and every trace whole.

It is the program that the lab built, or RUNTIME_OBSERVABILITY_COLLECTOR; no stack is needed.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from runtime_observability.core import documents
from runtime_observability.core.presets import Choice
from runtime_observability.core.support import DEFAULT_COLLECTOR
from tests.collector import needed
from tests.live.waiting import until
from tests.replay import collector, otlp, recordings, rules
from tests.replay.collector import Span

PRESETS = (Choice(), Choice("quiet"), Choice("starts"), Choice("errors-and-slow", 1_000))
REDUCING = PRESETS[1:]
RUNTIME = "runtime.v1.RuntimeService"
TRACE = "5" * 32

each_preset = pytest.mark.parametrize("choice", PRESETS, ids=lambda choice: choice.preset)


@pytest.fixture(scope="module")
def program() -> Path:
    return needed()


def passed_on(program: Path, choice: Choice, requests: Iterable[dict[str, Any]]) -> set[Span]:
    with collector.running(program, choice) as running:
        running.send(*requests)
        time.sleep(collector.QUIET_SECONDS)
    return set(running.arrived)


@each_preset
@pytest.mark.parametrize("recording", ["at_rest", "k3s_at_rest", "with_pod"])
def test_exact_counts_of_recorded_traffic(program: Path, choice: Choice, recording: str) -> None:
    traces = getattr(recordings, recording)()
    wanted = otlp.spans_of(rules.kept(choice, traces))
    assert passed_on(program, choice, otlp.requests(traces)) == wanted


@each_preset
def test_every_recorded_start_comes_whole_or_not_at_all(program: Path, choice: Choice) -> None:
    """On Kubernetes 1.34, 1.36 and 1.37, with what else was recorded of these pods."""
    found = [trace for recorded in recordings.pods() for trace in recorded.traces]
    traces = list({trace["traceID"]: trace for trace in found}.values())
    wanted = otlp.spans_of(rules.kept(choice, traces))
    assert passed_on(program, choice, otlp.requests(traces)) == wanted


@pytest.mark.parametrize("choice", REDUCING, ids=lambda choice: choice.preset)
def test_the_order_and_the_batches_of_spans_do_not_matter(program: Path, choice: Choice) -> None:
    traces = recordings.with_pod()
    spans = [
        (resource_spans["resource"], span)
        for request in otlp.requests(traces)
        for resource_spans in request["resourceSpans"]
        for part in resource_spans["scopeSpans"]
        for span in part["spans"]
    ]
    random.Random(1).shuffle(spans)  # noqa: S311  not for security
    alone = (
        {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
        for resource, span in spans
    )
    assert passed_on(program, choice, alone) == otlp.spans_of(rules.kept(choice, traces))


@each_preset
@pytest.mark.parametrize("per_million", [1_000_000, 10_000])
@pytest.mark.parametrize("memory_mib", [64, 65_536])
def test_every_configuration_is_valid(
    program: Path, tmp_path: Path, choice: Choice, per_million: int, memory_mib: int
) -> None:
    file = tmp_path / "collector.yaml"
    file.write_text(documents.collector(DEFAULT_COLLECTOR, per_million, memory_mib, tracing=choice))
    subprocess.run([program, "validate", "--config", file], check=True)


def test_what_a_share_leaves_is_chosen_from(program: Path) -> None:
    """The sampler decides by trace, too, so what both leave is whole."""
    traces = recordings.with_pod()
    wanted = otlp.spans_of(rules.kept(Choice("quiet"), traces))
    with collector.running(program, Choice("quiet"), per_million=500_000) as running:
        running.send(*otlp.requests(traces))
        time.sleep(collector.QUIET_SECONDS)
    kept = set(running.arrived)
    assert set() < kept < wanted
    ids = {trace for trace, _ in kept}
    assert kept == {span for span in wanted if span[0] in ids}


# --- time -----------------------------------------------------------------------------------------


def call(method: str, number: int, **more: Any) -> dict[str, Any]:
    name = f"{RUNTIME}/{method}"
    return otlp.made(TRACE, name, "client", span_id=f"{number:016x}", parent="f" * 16, **more)


def root(**more: Any) -> dict[str, Any]:
    tags = {"k8s.pod": "default/slow", "k8s.pod.update_type": "create"}
    return otlp.made(TRACE, "syncPod", tags=tags, span_id="f" * 16, **more)


def send(running: collector.Running, *spans: dict[str, Any]) -> None:
    running.send(otlp.request("kubelet", spans))


def arrives(running: collector.Running, number: int) -> None:
    until(f"{number} spans", lambda: len(running.arrived) == number, collector.QUIET_SECONDS)


@pytest.mark.parametrize("preset", ["quiet", "starts"])
def test_a_start_is_passed_on_as_it_happens_however_long_it_takes(
    program: Path, preset: Any
) -> None:
    """An image may be pulled for longer than any trace is held back."""
    with collector.running(program, Choice(preset), decision_wait="1s") as running:
        send(running, call("PodSandboxStatus", 1), call("RunPodSandbox", 2))
        arrives(running, 2)
        time.sleep(2.5)
        send(running, call("StartContainer", 3), call("Status", 4), root())
        arrives(running, 5)


def test_what_comes_before_the_first_mark_is_held_back_and_not_lost(program: Path) -> None:
    with collector.running(program, Choice("errors-and-slow", 1_000)) as running:
        send(running, call("RunPodSandbox", 1), call("CreateContainer", 2))
        time.sleep(collector.QUIET_SECONDS)
        assert not running.arrived
        send(running, call("StartContainer", 3, failed=True))
        arrives(running, 3)
        send(running, call("Status", 4), root())
        arrives(running, 5)


def test_a_mark_that_comes_too_late_brings_no_part_of_its_trace(program: Path) -> None:
    choice = Choice("errors-and-slow", 1_000)
    with collector.running(program, choice, decision_wait="1s") as running:
        send(running, call("RunPodSandbox", 1))
        time.sleep(3)
        send(running, call("StartContainer", 2, failed=True), root(failed=True))
        time.sleep(collector.QUIET_SECONDS)
    assert not running.arrived


def test_what_follows_a_root_without_a_mark_is_dropped_with_it(program: Path) -> None:
    choice = Choice("errors-and-slow", 1_000)
    with collector.running(program, choice, decision_wait_after_root_received="1s") as running:
        send(running, call("RunPodSandbox", 1), root())
        time.sleep(3)
        send(running, call("ExecSync", 2, failed=True))
        time.sleep(collector.QUIET_SECONDS)
    assert not running.arrived


@pytest.mark.parametrize("choice", REDUCING, ids=lambda choice: choice.preset)
def test_the_spans_that_up_and_verify_wait_for_are_not_delayed(
    program: Path, choice: Choice
) -> None:
    with collector.running(program, choice) as running:
        begin = time.time()
        running.send(otlp.request("ktrace", [otlp.made("6" * 32, "ktrace verify")]))
        arrives(running, 1)
        assert min(running.arrived.values()) - begin < 1
