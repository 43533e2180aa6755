"""Two changes in one `up`: each has its own effect and no other, and what one frees the other gets.

Every case goes from the base configuration to the changed one and back, on one standing stack.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import combinations
from typing import Any

import pytest

from tests.live import ports
from tests.live.fixtures import stack_in
from tests.live.plan import Plan
from tests.live.pods import a_bare_pod
from tests.live.stack import Stack
from tests.live.waiting import until
from tests.soak.published import expect_all_to_answer, expect_none_to_be_left

pytestmark = pytest.mark.timeout(900)

_SEED = 17
_MOST_PAIRS = 22


_JAEGER, _COLLECTOR = frozenset({"jaeger"}), frozenset({"collector"})
_BOTH = _JAEGER | _COLLECTOR


class Kind(Enum):
    """What a change does to the standing cluster."""

    KEPT = "kept"
    AGENTS = "agents added or removed"
    RESTARTED = "nodes restarted"
    REPLACED = "replaced"


_ANNOUNCED = {
    Kind.AGENTS: "agents will be",
    Kind.RESTARTED: "its nodes will restart one after the other",
    Kind.REPLACED: "will be replaced, and its workloads go with it",
}


@dataclass(frozen=True)
class Ports:
    """Three offsets at which all ports of a stack are free; its own are at the first one."""

    base: int
    moved: int
    spare: int

    def own(self, key: str) -> int:
        """The port of ``key`` in the base configuration."""
        return ports.defaults()[key] + self.base

    def other(self, key: str) -> int:
        """A port that no part has in the base configuration."""
        return ports.defaults()[key] + self.moved

    @property
    def published(self) -> int:
        """A port that no key has in any of the cases."""
        return ports.defaults()["kubeApiPort"] + self.spare


@dataclass(frozen=True)
class Change:
    """Another value of one key, which may depend on the ports that are free."""

    key: str
    value: Any
    kind: Kind = Kind.KEPT
    announced_as: str = ""
    """The key that the preview names for it, where that is another."""
    backends: frozenset[str] = frozenset()
    """Those of Jaeger and the collector that it may replace."""

    def chosen(self, free: Ports) -> Any:
        return self.value(free) if callable(self.value) else self.value


@dataclass(frozen=True)
class Case:
    """Changes that are made in one ``up``."""

    name: str
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        return self.name

    @property
    def kinds(self) -> set[Kind]:
        """What is done to the cluster: a replacement makes everything else unnecessary."""
        kinds = {change.kind for change in self.changes} - {Kind.KEPT}
        return {Kind.REPLACED} if Kind.REPLACED in kinds else kinds

    @property
    def kept_backends(self) -> frozenset[str]:
        """Those of Jaeger and the collector that no change is about."""
        return _BOTH.difference(*(change.backends for change in self.changes))

    def settings(self, free: Ports) -> dict[str, Any]:
        return {change.key: change.chosen(free) for change in self.changes}

    def named(self, kind: Kind) -> set[str]:
        """The keys of a kind of change, as a preview names them."""
        return {change.announced_as or change.key for change in self.changes if change.kind is kind}


def _port(key: str, value: Callable[[Ports], int]) -> Change:
    if key == "kubeApiPort":
        return Change(key, value, Kind.REPLACED)
    return Change(key, value, backends=_JAEGER if key == "jaegerUiPort" else _COLLECTOR)


def _moved(key: str) -> Change:
    return _port(key, lambda free: free.other(key))


def _takes(key: str, giver: str) -> Change:
    return _port(key, lambda free: free.own(giver))


PORT_KEYS = ("jaegerUiPort", "otlpGrpcPort", "otlpHttpPort", "kubeApiPort",
             "collectorHealthPort", "collectorMetricsPort")  # fmt: skip
POOL = (
    *map(_moved, PORT_KEYS),
    Change("portOffset", lambda free: free.moved, Kind.REPLACED, "kubeApiPort", _BOTH),
    Change("publishedPorts", lambda free: [f"{free.published}:80"], Kind.REPLACED),
    Change("agents", 1, Kind.AGENTS),
    Change("apiserverSamplingPerMillion", 500_000, Kind.RESTARTED),
    Change("nodeSamplingPerMillion", 500_000, Kind.RESTARTED),
    Change("collectorSamplingPerMillion", 500_000, backends=_COLLECTOR),
    Change("jaegerVersion", "2.12.0", backends=_JAEGER),
    Change("collectorVersion", "0.158.0", backends=_COLLECTOR),
    Change("jaegerMaxTraces", 2000, backends=_JAEGER),
    Change("jaegerMemoryMiB", 512, backends=_JAEGER),
    Change("collectorMemoryMiB", 128, backends=_COLLECTOR),
    Change("probeTimeoutSeconds", 30),
    Change("rehearseReplacement", True),
    Change("containerdTracing", "off", Kind.REPLACED),
    Change("k3sArgs", ["--kubelet-arg=max-pods=50@server:*"], Kind.REPLACED),
    Change("nodeEnvironment", {"SOAK": "1"}, Kind.REPLACED),
    Change("nodeVolumes", ["docs:/docs:ro"], Kind.REPLACED),
)
"""One valid change of each kind of key, but for what needs another image or a registry.

The lab has one image of Jaeger, the collector and k3s, so the two versions here choose only the
generated files there.
"""


def _pairs() -> list[Case]:
    """Pairs at random, first those with a key that no pair before them has: so every key is in."""
    pairs = list(combinations(POOL, 2))
    random.Random(_SEED).shuffle(pairs)  # noqa: S311
    seen: set[str] = set()
    with_new_keys: list[tuple[Change, Change]] = []
    others: list[tuple[Change, Change]] = []
    for one, other in pairs:
        keys = {one.key, other.key}
        (others if keys <= seen else with_new_keys).append((one, other))
        seen |= keys
    drawn = [*with_new_keys, *others][:_MOST_PAIRS]
    return [Case(f"{one.key}-and-{other.key}", (one, other)) for one, other in drawn]


def _swap(one: str, other: str) -> Case:
    return Case(f"{one}-swaps-{other}", (_takes(one, other), _takes(other, one)))


def _hand_over(giver: str, taker: str, *more: Change) -> Case:
    return Case(f"{giver}-to-{taker}", (_moved(giver), _takes(taker, giver), *more))


PAIRS = _pairs()
TRADES = [
    _swap("jaegerUiPort", "otlpHttpPort"),
    _swap("jaegerUiPort", "otlpGrpcPort"),
    _swap("jaegerUiPort", "collectorHealthPort"),
    _swap("jaegerUiPort", "collectorMetricsPort"),
    _swap("otlpGrpcPort", "otlpHttpPort"),
    _swap("collectorHealthPort", "collectorMetricsPort"),
    _swap("kubeApiPort", "jaegerUiPort"),
    _swap("kubeApiPort", "otlpGrpcPort"),
    _swap("kubeApiPort", "otlpHttpPort"),
    _swap("kubeApiPort", "collectorHealthPort"),
    _swap("kubeApiPort", "collectorMetricsPort"),
    _hand_over("jaegerUiPort", "otlpHttpPort"),
    _hand_over("otlpHttpPort", "jaegerUiPort"),
    _hand_over("jaegerUiPort", "kubeApiPort"),
    _hand_over("otlpGrpcPort", "kubeApiPort"),
    _hand_over("kubeApiPort", "jaegerUiPort", Change("rehearseReplacement", True)),
    _hand_over("kubeApiPort", "otlpGrpcPort", Change("rehearseReplacement", True)),
    Case(
        "otlpGrpcPort-to-publishedPorts",
        (
            _moved("otlpGrpcPort"),
            Change(
                "publishedPorts", lambda free: [f"{free.own('otlpGrpcPort')}:80"], Kind.REPLACED
            ),
        ),
    ),
]
"""One part of the stack takes the port that another one leaves; on the way back it returns it."""


@pytest.fixture(scope="package")
def _changing(tmp_path_factory: Any, environ: dict[str, str]) -> Iterator[Stack]:
    settings = {"traceProbe": False, "rehearseReplacement": False}
    with stack_in(tmp_path_factory.mktemp("changing"), environ, **settings) as stack:
        yield stack


@pytest.fixture(scope="package")
def free(_changing: Stack) -> Ports:
    return Ports(_changing.offset, ports.free_offset(), ports.free_offset())


@pytest.fixture
def stack(_changing: Stack) -> Stack:
    """A stack that is up in its base configuration, whatever the case before this one left."""
    try:
        _changing.settle()
    except AssertionError:
        _changing.destroy()
        _changing.settle()
    return _changing


@pytest.mark.cases("case", TRADES, 1)
def test_a_port_that_one_part_leaves_is_another_part_s_in_the_same_up(
    stack: Stack, free: Ports, case: Case
) -> None:
    _go_there_and_back(stack, free, case)


@pytest.mark.cases("case", PAIRS, 1)
def test_each_of_two_changes_has_its_own_effect_and_no_other(
    stack: Stack, free: Ports, case: Case
) -> None:
    _go_there_and_back(stack, free, case)


def _go_there_and_back(stack: Stack, free: Ports, case: Case) -> None:
    base = ports_of(stack.config)
    with a_bare_pod(stack) as pod:
        settings = case.settings(free)
        stack.configure(**settings)
        changed = ports_of(stack.config)
        _expect(stack, case, stack.plan())
        _up(stack, case, pod)
        expect_all_to_answer(stack, changed)
        expect_none_to_be_left(base, changed, published_by(stack.config))
        stack.expect_no_changes()
    with a_bare_pod(stack) as pod:
        stack.configure()
        _up(stack, case, pod)
        expect_all_to_answer(stack, base)
        expect_none_to_be_left(changed, base, published_by(stack.config))
        stack.expect_no_changes()


def _expect(stack: Stack, case: Case, plan: Plan) -> None:
    """The preview announces what the changes do to the cluster, by their keys, and nothing else."""
    for kind, words in _ANNOUNCED.items():
        lines = [line for line in plan.diagnostics.splitlines() if words in line]
        assert bool(lines) == (kind in case.kinds), (kind, plan.diagnostics)
        for key in case.named(kind) if lines else ():
            assert any(key in line for line in lines), (key, lines)
    assert ("cluster-guard-sweep" in plan.changes) == (Kind.REPLACED in case.kinds)
    assert stack.docker.running(stack.server)


def _up(stack: Stack, case: Case, pod: Callable[[], tuple[str, int]]) -> None:
    """Runs ``up``; what no change is about lives on: containers, the node and its pod."""
    before, (uid, restarts) = stack.ids(), pod()
    stack.up()
    after = stack.ids()
    for backend in case.kept_backends:
        container = getattr(stack, backend)
        assert after[container] == before[container], backend
    if Kind.REPLACED in case.kinds:
        assert after[stack.server] != before[stack.server]
        return
    assert after[stack.server] == before[stack.server]
    if Kind.RESTARTED in case.kinds:
        until("the restart of the pod", lambda: pod() == (uid, restarts + 1), 60)
    else:
        assert pod() == (uid, restarts)


def ports_of(config: Mapping[str, Any]) -> dict[str, int]:
    """The ports of a configuration by key, without publishedPorts: no workload answers there."""
    offset = config["portOffset"]
    return {key: config.get(key, port + offset) for key, port in ports.defaults().items()}


def published_by(config: Mapping[str, Any]) -> set[int]:
    """The host's ports of publishedPorts."""
    return {int(entry.partition(":")[0]) for entry in config.get("publishedPorts", ())}
