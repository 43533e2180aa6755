"""What can be observed between a cluster's nodes and Jaeger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from ktrace.jaeger import Jaeger, JaegerError
from ktrace.pipeline import collector_metrics, synthetic_span
from ktrace.pipeline.collector_metrics import Arrivals, Counters, Destination, Readings
from ktrace.pipeline.synthetic_span import Synthetic
from ktrace.text import clean
from runtime_observability.core import container_log, retention
from runtime_observability.core.crashes import Crashes
from runtime_observability.core.naming import Names
from runtime_observability.core.stores import NONE, OWN_LABEL, SEARCH_ENGINES
from runtime_observability.host import crashes, docker, runner
from runtime_observability.host.docker import Owned
from runtime_observability.host.http import httpx

_METRICS_PORT = 8888
_OTLP_HTTP_PORT = 4318
_ATTEMPTS = 2
_TAIL = "5000"
"""Lines of the collector's log: one that tries again logs no more than a few in a minute."""

T = TypeVar("T")


@dataclass
class Pipeline:
    """The pipeline of any cluster. Without a stack, only its end is known: ``jaeger``."""

    jaeger: Jaeger | None
    """None: no Jaeger can be asked."""

    @cached_property
    def jaeger_error(self) -> JaegerError | None:
        """Why Jaeger does not answer, also when it is tried again; None when it does."""
        if self.jaeger is None:
            return None
        error = None
        for _ in range(_ATTEMPTS):
            try:
                self.jaeger.services()
            except JaegerError as failure:
                error = failure
            else:
                return None
        return error


@dataclass
class StackPipeline(Pipeline):
    """The pipeline of a stack of this project; everything is observed on first use, and once."""

    names: Names
    containers: list[Owned] = field(default_factory=list)

    def state(self, name: str) -> str:
        """The state of a container in Docker's word, or ``gone``."""
        return next((c.state for c in self.containers if c.name == name), "gone")

    def is_on_network(self, name: str) -> bool:
        """Whether a container is connected to the stack's network."""
        return any(c.is_on(self.names.network) for c in self.containers if c.name == name)

    @property
    def has_jaeger(self) -> bool:
        """Whether the stack has a Jaeger of its own; the collector's label says that it has not."""
        names = self.names
        return all(c.store != NONE for c in self.containers if c.name == names.collector)

    def described(self, name: str) -> str:
        """The state of a container as a clause: ``container NAME is exited``."""
        return f"container {name} is {self.state(name)}"

    @cached_property
    def crashes(self) -> tuple[Crashes, ...]:
        """What Docker has restarted of the stack; empty where it cannot be asked."""
        try:
            return crashes.read(self.names.of_cluster)
        except (runner.CommandError, ValueError, LookupError, TypeError):
            return ()

    @cached_property
    def readings(self) -> Readings | str:
        """The collector's counters, or why they cannot be read."""
        return self._read(collector_metrics.watch)

    def arrivals(self) -> Arrivals | str:
        """The spans of each component by now, or why they cannot be read."""
        return self._read(collector_metrics.read_arrivals)

    def _read(self, read: Callable[[str], T]) -> T | str:
        collector, metrics = self.names.collector, self._metrics
        if not metrics:
            return f"its metrics port is not published; {self.described(collector)}"
        try:
            return read(metrics)
        except httpx.HTTPError as error:
            return f"{metrics}: {error}; {self.described(collector)}"

    @cached_property
    def _metrics(self) -> str:
        """The URL of the collector's counters; empty where they are not published."""
        url = _published_url(self.names.collector, _METRICS_PORT)
        return f"{url}/metrics" if url else ""

    @property
    def chooses(self) -> bool:
        """Whether spans come in, and the collector passes on chosen traces alone."""
        try:
            if not self._metrics or not collector_metrics.read(self._metrics).chooses:
                return False
        except httpx.HTTPError:
            return False
        return not isinstance(self.readings, str) and self.readings.accepted > 0

    @cached_property
    def destinations(self) -> list[Destination]:
        """Those beside Jaeger; none where the collector's counters cannot be read."""
        try:
            found = collector_metrics.read_destinations(self._metrics) if self._metrics else []
        except httpx.HTTPError:
            return []
        if all(each.keeps_up for each in found):
            return found
        logs = runner.run(["docker", "logs", "--tail", _TAIL, self.names.collector])
        errors = container_log.errors_of_exporters(logs.stdout + logs.stderr)
        return [
            each if each.keeps_up else replace(each, last_error=clean(errors.get(each.name, "")))
            for each in found
        ]

    @property
    def retention_fault(self) -> str:
        """Why old indices may be left in the search engine of the stack's Jaeger; empty where it
        has none, or where nothing is known to be wrong."""
        name, of_indices = self.names.retention, (OWN_LABEL, *SEARCH_ENGINES)
        if not any(
            each.name == self.names.jaeger and each.store in of_indices for each in self.containers
        ):
            return ""
        match self.state(name):
            case "running":
                logs = runner.run(["docker", "logs", "--tail", "1", name])
                return clean(retention.fault(logs.stdout.strip()))
            case "gone":
                return f"there is no container {name}: `pulumi up` makes it"
            case docker.PAUSED:
                return f"{self.described(name)}: `docker unpause {name}` lets it go on"
            case _:
                return f"{self.described(name)}: `pulumi up` makes it again"

    @cached_property
    def to_jaeger(self) -> Counters | None:
        """What the collector has counted of its way to Jaeger; None where that cannot be read."""
        try:
            return collector_metrics.read(self._metrics) if self._metrics else None
        except httpx.HTTPError:
            return None

    @property
    def leaves_spans_out(self) -> bool:
        """Whether a Jaeger beyond a destination cannot be expected to have every span."""
        if self.has_jaeger:
            return False
        counted = self.arrivals()
        return isinstance(counted, Arrivals) and counted.filters

    @cached_property
    def synthetic(self) -> Synthetic:
        """Whether a span that this machine sends to the collector arrives in Jaeger."""
        url = _published_url(self.names.collector, _OTLP_HTTP_PORT)
        if self.jaeger is None:
            return Synthetic(False, evidence="no Jaeger can be asked for it")
        if url is None:
            reason = f"the collector's port {_OTLP_HTTP_PORT} is not published"
            return Synthetic(False, evidence=reason)
        return synthetic_span.send_and_wait(url, self.jaeger)


def of_nodes(jaeger: Jaeger | None, nodes: list[str]) -> Pipeline:
    """The pipeline of the cluster with ``nodes``.

    k3d's nodes are containers of the same name; their labels tell which stack they belong to.
    """
    try:
        containers = docker.containers()
    except runner.CommandError:
        return Pipeline(jaeger)
    for container in containers:
        if container.name in nodes and container.owner:
            names = Names(container.stack, Path(container.folder))
            return StackPipeline(jaeger, names, containers)
    return Pipeline(jaeger)


def _published_url(container: str, port: int) -> str | None:
    """Where a container's port is published on this machine."""
    shown = runner.run(["docker", "port", container, f"{port}/tcp"])
    addresses = shown.stdout.split()
    return f"http://{addresses[0]}" if shown.code == 0 and addresses else None
