"""The way of a span from a node to Jaeger, walked hop by hop until one is broken."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import httpx

from ktrace.jaeger import Jaeger, JaegerError
from ktrace.pipeline import collector_metrics
from runtime_observability.core import naming
from runtime_observability.core.naming import Names
from runtime_observability.host import docker, runner
from runtime_observability.host.docker import Owned

RESOLVES = "name resolves in the node"
CONNECTS = "TCP 4317 opens from the node"
ACCEPTS = "collector accepts spans"
DELIVERS = "collector's exporter delivers"
STORES = "Jaeger has them"
EXPORTS = "component exports spans"

_WATCH_SECONDS = 2.0
"""Between two readings of the counters: a cluster at rest sends hundreds of spans in it."""
_SYNTHETIC_SECONDS = 10.0
_NODE_SECONDS = 15
_NO_TOOL = 99
_RESOLVE = """
if command -v getent >/dev/null; then getent hosts "$1"
elif command -v nslookup >/dev/null; then nslookup "$1"
elif command -v ping >/dev/null; then ping -c 1 -W 3 "$1"
else exit 99; fi
"""
_CONNECT = """
if command -v bash >/dev/null; then timeout 4 bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash "$1" "$2"
elif command -v nc >/dev/null; then nc -z -w 4 "$1" "$2" </dev/null
else exit 99; fi
"""
"""Official k3s images have a busybox, others bash: each is asked in its own way."""
_UP = "run `pulumi up`, which mends it"


@dataclass(frozen=True)
class BrokenHop:
    hop: str
    evidence: str
    cure: str

    @property
    def document(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Synthetic:
    """A span of the host's own, sent to the collector; ``seconds`` until Jaeger had it."""

    ok: bool
    seconds: float | None = None
    evidence: str = ""


@dataclass
class Foreign:
    """The way from a cluster that this project did not make: only its end, ``jaeger``, is known."""

    jaeger: Jaeger

    def first_broken(self, node: str, component: str) -> BrokenHop:
        """Why no span of ``component`` on ``node`` comes; the last hop is the component itself."""
        return self._stores_at_all or _silence(node, component)

    @cached_property
    def _stores_at_all(self) -> BrokenHop | None:
        try:
            self.jaeger.services()
        except JaegerError as error:
            return BrokenHop(STORES, str(error), "start Jaeger, or name another with --jaeger URL")
        return None


@dataclass
class Pipeline(Foreign):
    """What stands between a stack's nodes and ``jaeger``, each looked at once and only when asked.

    ``names`` are those of the stack.
    """

    names: Names
    containers: list[Owned] = field(default_factory=list)

    def first_broken(self, node: str, component: str) -> BrokenHop:
        return (
            self._resolves(node)
            or self._connects(node)
            or self._accepts
            or self._delivers
            or self._stores
            or _silence(node, component)
        )

    def state(self, name: str) -> str:
        """In words: ``container NAME is exited``."""
        found = next((each for each in self.containers if each.name == name), None)
        return f"container {name} is {found.state if found else 'gone'}"

    def _repair(self, name: str) -> str:
        found = next((each for each in self.containers if each.name == name), None)
        if found and found.state in ("exited", "created"):
            return f"`docker start {name}`, or {_UP}"
        if found and found.state == "paused":
            return f"`docker unpause {name}`"
        return _UP

    def _url(self, name: str, port: int) -> str | None:
        """Where a container's port is published on this machine."""
        shown = runner.run(["docker", "port", name, f"{port}/tcp"])
        lines = shown.stdout.split()
        return f"http://{lines[0]}" if shown.code == 0 and lines else None

    def _in_node(self, node: str, script: str, *arguments: str) -> runner.Result:
        """What ``script`` says in the node; an error of docker's own begins with ``Error``."""
        command = ["docker", "exec", node, "sh", "-c", script, "sh", *arguments]
        try:
            return runner.run(command, timeout=_NODE_SECONDS)
        except runner.CommandError:
            said = f"Error: {node} gives no answer within {_NODE_SECONDS} s"
            return runner.Result(tuple(command), 1, "", said)

    def _resolves(self, node: str) -> BrokenHop | None:
        done = self._in_node(node, _RESOLVE, naming.COLLECTOR_ALIAS)
        if done.code in (0, _NO_TOOL):
            return None
        name = self.names.collector
        if done.stderr.startswith("Error"):  # the node itself does not run, or is not well
            return BrokenHop(RESOLVES, done.stderr.strip(), _UP)
        found = next((each for each in self.containers if each.name == name), None)
        cure = self._repair(name)
        if found and found.state == "running":
            cure = (
                f"the collector is not on network {self.names.network} under that alias: "
                f"`docker network disconnect {self.names.network} {name}; docker network connect "
                f"--alias {naming.COLLECTOR_ALIAS} {self.names.network} {name}`"
            )
        return BrokenHop(
            RESOLVES, f"{naming.COLLECTOR_ALIAS} is unknown in {node}; {self.state(name)}", cure
        )

    def _connects(self, node: str) -> BrokenHop | None:
        done = self._in_node(node, _CONNECT, naming.COLLECTOR_ALIAS, "4317")
        if done.code in (0, _NO_TOOL):
            return None
        said = done.stderr.strip().splitlines()
        name = self.names.collector
        return BrokenHop(
            CONNECTS,
            f"{node} cannot connect to {naming.COLLECTOR_ALIAS}:4317 "
            f"({said[-1] if said else 'no answer within 4 s'}); {self.state(name)}",
            f"`docker logs {name}` says whether it listens; if it does, something between drops "
            f"the packets: look at `docker exec {node} iptables -S` and the host's firewall",
        )

    @cached_property
    def _readings(self) -> tuple[collector_metrics.Counters, collector_metrics.Counters] | str:
        """The counters before and after a while, or why there are none."""
        url = self._url(self.names.collector, 8888)
        if url is None:
            return f"its metrics port is not published; {self.state(self.names.collector)}"
        try:
            before = collector_metrics.read(f"{url}/metrics")
            time.sleep(_WATCH_SECONDS)
            return before, collector_metrics.read(f"{url}/metrics")
        except httpx.HTTPError as error:
            return f"{url}/metrics: {error}; {self.state(self.names.collector)}"

    @cached_property
    def _accepts(self) -> BrokenHop | None:
        name = self.names.collector
        if isinstance(self._readings, str):
            return BrokenHop(ACCEPTS, self._readings, self._repair(name))
        before, after = self._readings
        if after.accepted > before.accepted:
            return None
        refused = after.refused - before.refused
        return BrokenHop(
            ACCEPTS,
            f"{after.accepted - before.accepted} spans accepted and {refused} refused in "
            f"{_WATCH_SECONDS:g} s, {after.accepted} accepted since it started",
            f"`docker logs {name}` says what it refuses; if nothing arrives, `docker restart` the "
            "nodes",
        )

    @cached_property
    def _delivers(self) -> BrokenHop | None:
        if isinstance(self._readings, str):
            return None
        before, after = self._readings
        accepted, sent = after.accepted - before.accepted, after.sent - before.sent
        if sent > 0:
            return None
        name = self.names.jaeger
        return BrokenHop(
            DELIVERS,
            f"{accepted} spans accepted and {sent} sent in {_WATCH_SECONDS:g} s, "
            f"{after.waiting} batches wait, {after.failed} spans failed; {self.state(name)}",
            self._repair(name)
            if self.state(name) != f"container {name} is running"
            else f"`docker logs {self.names.collector}` says why it cannot send",
        )

    @cached_property
    def _stores(self) -> BrokenHop | None:
        if broken := self._stores_at_all:
            return broken
        if not self.synthetic.ok:
            return BrokenHop(
                STORES,
                f"a span from this machine did not arrive: {self.synthetic.evidence}",
                f"`docker logs {self.names.collector}` and `docker logs {self.names.jaeger}`",
            )
        return None

    @cached_property
    def synthetic(self) -> Synthetic:
        url = self._url(self.names.collector, 4318)
        if url is None:
            return Synthetic(False, evidence="the collector's port 4318 is not published")
        try:
            begin = time.monotonic()
            trace_id = collector_metrics.send_span(url, "ktrace")
            while time.monotonic() - begin < _SYNTHETIC_SECONDS:
                if self.jaeger.trace(trace_id):
                    return Synthetic(True, round(time.monotonic() - begin, 2))
                time.sleep(0.2)
        except httpx.HTTPError as error:
            return Synthetic(False, evidence=f"the collector does not take it: {error}")
        except JaegerError as error:
            return Synthetic(False, evidence=str(error))
        return Synthetic(False, evidence=f"accepted, not in Jaeger after {_SYNTHETIC_SECONDS:g} s")


def of_nodes(jaeger: Jaeger, nodes: list[str]) -> Foreign:
    """k3d's nodes are containers of the same name, whose labels say which stack they are of."""
    try:
        containers = docker.containers()
    except runner.CommandError:
        return Foreign(jaeger)
    owned = next((each for each in containers if each.name in nodes and each.owner), None)
    if owned is None:
        return Foreign(jaeger)
    return Pipeline(jaeger, Names(owned.stack, Path(owned.folder)), containers)


def _silence(node: str, component: str) -> BrokenHop:
    return BrokenHop(
        EXPORTS,
        f"every hop from {node} to Jaeger works, and no span of {component} comes",
        _cure_of_silence(component, node),
    )


def _cure_of_silence(component: str, node: str) -> str:
    if component == "containerd":
        return (
            f"is its tracing plugin there? `docker exec {node} ctr plugins ls | grep otlp`; stock "
            "k3s has none since v1.27.2, and containerdTracing: image demands it of the image"
        )
    return (
        f"`docker logs {node} 2>&1 | grep -i trac` shows what it makes of the file in "
        f"{naming.NODE_FOLDER}"
    )
