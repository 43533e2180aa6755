"""One Jaeger with the traces of two stacks: no answer mixes their clusters."""

from __future__ import annotations

from typing import Any

import pytest

from ktrace.components import KUBELET
from ktrace.jaeger import Jaeger, MixedStacksError, Origin
from ktrace.jaeger import store as stores
from ktrace.podstart.search import look_for_start
from ktrace.view.start import document
from tests.contract.jaeger_process import Process
from tests.contract.spans import HOUR, NOW
from tests.contract.stacks import ADA, ALONE, BOB, OLD, REQUESTS, TWIN, uid
from tests.fakes.ktrace import Ktrace

PERIOD: dict[str, Any] = {"start": NOW - HOUR, "end": NOW + HOUR}


def shared(process: Process, stack: Origin | None = None) -> Jaeger:
    return Jaeger(process.url, store=stores.UNKNOWN, stack=stack, shared=True)


def uids(jaeger: Jaeger, pod: str) -> set[Any]:
    traces, whole = jaeger.find_all(KUBELET, tags={"k8s.pod": pod}, most=1000, **PERIOD)
    assert whole
    found = {span.tags.get("k8s.pod.uid") for trace in traces for span in trace.spans}
    return found - {None}


@pytest.mark.parametrize("stack", [ADA, BOB])
def test_a_search_finds_the_pod_of_one_stack(process: Process, stack: Origin) -> None:
    with shared(process, stack) as jaeger:
        assert uids(jaeger, TWIN) == {uid(stack)}
        assert len(jaeger.find(KUBELET, limit=1, **PERIOD)) == 1


def test_another_owner_and_another_stack_have_nothing(process: Process) -> None:
    for other in (OLD, Origin(ADA.stack, "eve"), Origin("acme/shop/de", "ada")):
        with shared(process, other) as jaeger:
            assert uids(jaeger, TWIN) == set()
            assert jaeger.find(KUBELET, **PERIOD) == []
    with shared(process, BOB) as jaeger:
        assert uids(jaeger, ALONE) == set()


def test_a_mixture_is_refused_and_both_are_named(process: Process) -> None:
    for stack in (None, Origin(ADA.stack)):
        for limit in (1, 100):
            with shared(process, stack) as jaeger, pytest.raises(MixedStacksError) as refused:
                jaeger.find(KUBELET, tags={"k8s.pod": TWIN}, limit=limit, **PERIOD)
            assert f"spans of {ADA}, {BOB} are among" in str(refused.value)
        with shared(process, stack) as jaeger, pytest.raises(MixedStacksError):
            uids(jaeger, TWIN)


def test_what_only_one_stack_has_needs_no_name(process: Process) -> None:
    with shared(process) as jaeger:
        assert len(uids(jaeger, ALONE)) >= 1


@pytest.mark.parametrize("stack", [ADA, BOB])
def test_a_uid_tells_which_stack_is_meant(process: Process, stack: Origin) -> None:
    with shared(process) as jaeger:
        start = look_for_start(jaeger, "default", "twin", uid(stack))
        assert start
        assert jaeger.stack == stack
    with shared(process, stack) as jaeger:
        same = look_for_start(jaeger, "default", "twin")
        assert same
        assert document(same, "")["steps"] == document(start, "")["steps"]


def test_show_names_the_stacks_and_takes_one(process: Process, ktrace: Ktrace) -> None:
    show = ("show", "twin", "--json", "--timeout", "0", "--jaeger", process.url)
    mixed = ktrace(*show)
    assert mixed.returncode == 2
    assert f"{ADA}, {BOB}" in mixed.stdout + mixed.stderr
    shown = {stack: ktrace(*show, "--stack", str(stack)) for stack in (ADA, BOB)}
    assert {done.returncode for done in shown.values()} == {1}, "no cluster says it is complete"
    found = {stack: done.document["durationMs"] for stack, done in shown.items()}
    assert found[ADA] != found[BOB]


def test_show_says_that_a_stack_has_no_span(process: Process, ktrace: Ktrace) -> None:
    done = ktrace("show", "twin", "--timeout", "0", "--jaeger", process.url, "--stack", str(OLD))
    assert done.returncode == 1
    assert f"this Jaeger has no span of stack {OLD}" in done.stderr
    assert f"{ADA}, {BOB}" in done.stderr


def test_top_counts_the_requests_of_one_stack(process: Process, ktrace: Ktrace) -> None:
    top = ("top", "--by", "object", "--since", "1h", "--json", "--jaeger", process.url)
    mixed = ktrace(*top)
    assert mixed.returncode == 2
    assert f"{ADA}, {BOB}" in mixed.stdout + mixed.stderr
    shown = {}
    for stack in (ADA, BOB, OLD):
        done = ktrace(*top, "--stack", str(stack))
        assert done.returncode == 0, done.stderr
        shown[stack] = done.document
    for stack in (ADA, BOB):
        counted = {row["key"]: row["count"] for row in shown[stack]["rows"]}
        assert counted == {f"pods/default/{name}": 1 for name in REQUESTS[stack]}
    assert shown[OLD]["rows"] == []
