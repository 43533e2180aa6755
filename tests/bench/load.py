"""What a running stack does under load, and what that costs its containers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from runtime_observability.host.api_server import ApiServer
from tests.bench.figures import Figures
from tests.live.docker import Docker
from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.starts import start_of
from tests.live.waiting import until

_TRACE_SECONDS = 60.0
_BURST_SECONDS = 600.0
_SETTLE_SECONDS = 20
_REST_SECONDS = 20
_REQUESTS = 400
_STATS_SECONDS = 60.0
"""Docker reads the counters of a node's cgroups, which takes seconds while 200 pods start in it."""


def pod_starts(figures: Figures, stack: Stack, number: int) -> None:
    """From a pod's creation until its whole start can be read in Jaeger, one after the other."""
    taken = []
    for _ in range(number):
        begin = time.monotonic()
        with pods(stack, "sleep", "60") as single:
            name = f"{single.name}-0"
            until("the trace", lambda pod=name: start_of(stack, pod), _TRACE_SECONDS, every=0.05)  # type: ignore[misc]
            taken.append(time.monotonic() - begin)
    figures.percentiles("pod start to readable trace", "pulumi", taken)


def burst(figures: Figures, stack: Stack, number: int) -> None:
    """``number`` pods at once: how many of their starts are whole traces."""
    containers = parts(stack)
    title = f"burst of {number} pods on {len(containers) - 2} nodes"
    begin = time.monotonic()
    with pods(stack, "sleep", "3600", count=number) as many:
        with _cost(figures, "pulumi", containers, stack.environment, f"in the {title}"):
            many.wait_for("Running", _BURST_SECONDS)
        figures.add(f"{title}: all run", "pulumi", time.monotonic() - begin)
        names = [f"{many.name}-{index}" for index in range(number)]
        missing = set(names)
        deadline = time.monotonic() + _TRACE_SECONDS
        while missing and time.monotonic() < deadline:
            missing = {name for name in missing if start_of(stack, name) is None}
        figures.add(f"{title}: whole traces (number)", "pulumi", number - len(missing))


def at_rest(
    figures: Figures, column: str, containers: Mapping[str, str], environment: Mapping[str, str]
) -> None:
    """After a while, because a node is busy for some time after it became Ready."""
    time.sleep(_SETTLE_SECONDS)
    with _cost(figures, column, containers, environment, "at rest"):
        time.sleep(_REST_SECONDS)


def of_stack_at_rest(figures: Figures, stack: Stack) -> None:
    at_rest(figures, "pulumi", parts(stack), stack.environment)


def requests(
    figures: Figures, column: str, kubeconfig: Path, node: str, environment: Mapping[str, str]
) -> None:
    """Reads one after the other; by hand the API server is not traced."""
    taken = []
    with ApiServer(kubeconfig) as api:
        api.get("/api/v1/namespaces")
        before = used(node, environment)
        for _ in range(_REQUESTS):
            begin = time.monotonic()
            api.get("/api/v1/namespaces")
            taken.append((time.monotonic() - begin) * 1000)
        cpu = used(node, environment)[0] - before[0]
    figures.percentiles("list of namespaces", column, taken, "ms")
    figures.add(f"node's CPU for {_REQUESTS} lists", column, cpu)


def parts(stack: Stack) -> dict[str, str]:
    """The stack's containers by the name of their part."""
    nodes = sorted(stack.docker.containers(f"label=k3d.cluster={stack.cluster}"))
    titles = ("server", "agent")
    found = {title: node for title in titles for node in nodes if node.endswith(f"-{title}-0")}
    return {"Jaeger": stack.jaeger, "collector": stack.collector} | found


@contextmanager
def _cost(
    figures: Figures,
    column: str,
    containers: Mapping[str, str],
    environment: Mapping[str, str],
    when: str,
) -> Iterator[None]:
    """Memory at the end, and the processor's time per second of the clock."""
    begin = time.monotonic()
    before = {part: used(name, environment)[0] for part, name in containers.items()}
    yield
    seconds = time.monotonic() - begin
    for part, name in containers.items():
        cpu, memory = used(name, environment)
        figures.add(f"{part}'s memory {when} (MiB)", column, memory)
        percent = 100 * (cpu - before[part]) / seconds
        figures.add(f"{part}'s CPU {when} (% of one)", column, percent)


def used(container: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds of the processor since its start, and MiB of memory without the page cache.

    `docker stats` shows the first only as a share of its own second.
    """
    socket = environment["DOCKER_HOST"].removeprefix("unix://")
    transport = httpx.HTTPTransport(uds=socket)
    parameters = {"stream": "false", "one-shot": "true"}
    with httpx.Client(transport=transport, base_url="http://docker", timeout=_STATS_SECONDS) as api:
        found = api.get(f"/containers/{container}/stats", params=parameters).json()
    memory = found["memory_stats"]
    cache = memory["stats"].get("inactive_file", memory["stats"].get("total_inactive_file", 0))
    cpu = found["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
    return cpu, (memory["usage"] - cache) / 2**20


def used_by_processes(docker: Docker, container: str) -> dict[str, float]:
    """Seconds of the processor by the names of the processes that run in ``container``."""
    ticks = os.sysconf("SC_CLK_TCK")
    found: dict[str, float] = {}
    for line in docker(
        "exec", container, "sh", "-c", "cat /proc/[0-9]*/stat", check=False
    ).splitlines():
        name = line[line.index("(") + 1 : line.rindex(")")]
        fields = line[line.rindex(")") + 2 :].split()
        user, system = fields[11:13]  # proc(5): utime and stime, the 14th and 15th
        found[name] = found.get(name, 0.0) + (int(user) + int(system)) / ticks
    return found
