"""Each preset on a real cluster: exact counts of a scripted load, and every kept trace is whole."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.e2e.ktrace import document
from tests.live.pods import BUSYBOX, Pods, pods
from tests.live.stack import Stack
from tests.live.starts import SECONDS, start_of
from tests.live.traces import Trace, search
from tests.live.waiting import until

NUMBER = 5
_LATE_SECONDS = 3
"""Longer than a span takes from a node to Jaeger."""
_SLOWER_THAN_SECONDS = 10
"""Longer than anything takes here that does not sleep."""
_LONE = {"authentication", "etcdserverpb.KV/Range"}

EVERYTHING = {"reads": 5, "health checks": 5, "writes": 5, "creations": 5, "starts": 5}
PRESETS: Mapping[str, dict[str, int]] = {
    "everything": EVERYTHING,
    "quiet": {**EVERYTHING, "health checks": 0},
    "starts": {**EVERYTHING, "reads": 0, "health checks": 0, "writes": 0},
    "errors-and-slow": dict.fromkeys(EVERYTHING, 0),
}


@dataclass(frozen=True)
class Load:
    """What was done with a preset since ``begin``, a Unix time in seconds."""

    stack: Stack
    name: str
    begin: float
    pods: Pods

    def requests(self, tags: Mapping[str, str], operation: str = "") -> list[Trace]:
        return search(self.stack.jaeger_url, "apiserver", operation, tags, since=self.begin)

    def starts(self) -> list[Trace]:
        found = (start_of(self.stack, f"{self.pods.name}-{index}") for index in range(NUMBER))
        return [trace for trace in found if trace]

    def kept(self) -> dict[str, list[Trace]]:
        """The traces of the load by what they are of."""
        path = "/api/v1/namespaces/default"
        names = [f"{self.name}-{index}" for index in range(NUMBER)]
        created = [f"/configmaps/default/new-{name}" for name in names]
        pod_keys = [f"/pods/default/{self.pods.name}-{index}" for index in range(NUMBER)]

        def each(key: str, values: list[str], operation: str = "") -> list[Trace]:
            return [trace for value in values for trace in self.requests({key: value}, operation)]

        def stored(keys: list[str]) -> list[Trace]:
            prefixed = [f"/registry{key}" for key in keys]  # in releases before 1.31
            return each("key", keys + prefixed, "Create etcd3")

        return {
            "reads": each("url", [f"{path}/configmaps/{name}" for name in names], "Get"),
            "health checks": each("http.target", [f"/readyz?of={name}" for name in names]),
            "writes": stored(created),
            "creations": stored(pod_keys),
            "starts": self.starts(),
        }

    def lone(self) -> int:
        """How many of the API server's traces are a span that tells nothing of its request."""
        return sum(
            len(trace.spans) == 1 and trace.operations("apiserver") <= _LONE
            for trace in search(self.stack.jaeger_url, "apiserver", since=self.begin)
        )


@pytest.fixture(scope="module", params=PRESETS)
def preset(request: pytest.FixtureRequest, _stack: Stack) -> str:
    """Its stack is up with it, for all tests of one preset; nothing of the load is slow."""
    name: str = request.param
    if name == "everything":
        _stack.settle()
        return name
    before = _stack.ids()
    _stack.settle(tracing=name, slowerThan="10m")
    after = _stack.ids()
    kept = (_stack.server, _stack.jaeger)
    assert [after[container] for container in kept] == [before[container] for container in kept]
    return name


@pytest.fixture
def load(preset: str, unsettled: Stack) -> Iterator[Load]:
    stack, begin, name = unsettled, time.time(), f"load-{secrets.token_hex(3)}"
    path = "/api/v1/namespaces/default/configmaps"
    for index in range(NUMBER):
        one = f"{name}-{index}"
        stack.kubectl("get", "--raw", f"{path}/{one}", check=False)  # 404 is an answer, too
        stack.kubectl("get", "--raw", f"/readyz?of={one}")
        stack.kubectl("create", "configmap", f"new-{one}")
    try:
        with pods(stack, "sleep", "3600", count=NUMBER) as many:
            many.wait_for("Running")
            yield Load(stack, name, begin, many)
    finally:
        created = [f"new-{name}-{index}" for index in range(NUMBER)]
        stack.kubectl("delete", "configmap", *created, check=False)


def test_a_preset_keeps_exactly_what_it_says(preset: str, load: Load) -> None:
    def counts() -> dict[str, int]:
        return {kind: len(traces) for kind, traces in load.kept().items()}

    wanted = PRESETS[preset]
    with contextlib.suppress(AssertionError):  # the counts say more
        until(f"what {preset} keeps", lambda: counts() == wanted, SECONDS, every=1)
        time.sleep(_LATE_SECONDS)
    assert counts() == wanted
    assert all(trace.whole for traces in load.kept().values() for trace in traces)
    assert (load.lone() > 0) is (preset == "everything")


def test_a_start_that_fails_is_kept_by_every_preset(preset: str, unsettled: Stack) -> None:
    stack = unsettled
    container = {"name": "main", "image": f"registry.invalid/{secrets.token_hex(4)}:1"}
    with pods(stack, containers=[container]) as broken:

        def failed() -> list[Trace]:
            """Jaeger's memory does not search for errors."""
            tags = {"k8s.pod": f"default/{broken.name}-0"}
            found = search(stack.jaeger_url, "kubelet", "syncPod", tags)
            return [trace for trace in found if "True" in trace.tags("error") and trace.whole]

        until(f"the failed start with {preset}", failed, 60, every=1)


def test_a_slow_start_is_kept_and_a_quick_one_is_not(unsettled: Stack) -> None:
    """Nothing fails in either: a hook that sleeps makes the kubelet's own span long."""
    stack = unsettled
    stack.settle(tracing="errors-and-slow", slowerThan=f"{_SLOWER_THAN_SECONDS}s")
    sleeping = {"exec": {"command": ["sleep", str(_SLOWER_THAN_SECONDS + 2)]}}
    container = {"name": "main", "image": BUSYBOX, "command": ["sleep", "3600"]}

    def syncs(of: Pods) -> list[Trace]:
        return search(stack.jaeger_url, "kubelet", "syncPod", {"k8s.pod": f"default/{of.name}-0"})

    with pods(stack, "sleep", "3600") as quick:
        quick.wait_for("Running")
        with pods(stack, containers=[{**container, "lifecycle": {"postStart": sleeping}}]) as slow:

            def kept() -> list[Trace]:
                return [trace for trace in syncs(slow) if trace.whole]

            until("the slow start", kept, SECONDS, every=1)
            longest = max(span["duration"] for trace in kept() for span in trace.spans)
            assert longest > _SLOWER_THAN_SECONDS * 1_000_000
            assert not any("True" in trace.tags("error") for trace in kept())
            assert any(trace.services >= {"kubelet", "containerd"} for trace in kept())
    assert not syncs(quick)


@pytest.mark.usefixtures("preset")
def test_verify_finds_nothing_broken_with_any_preset(unsettled: Stack) -> None:
    report = document(unsettled, "verify")
    assert report["ok"]
    assert report["synthetic"]["ok"]
