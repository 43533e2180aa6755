"""A port that a container of the stack gives up in the same up is free when another takes it."""

from __future__ import annotations

from components import _handovers
from runtime_observability.core.naming import Names
from tests.fakes.daemon import FakeDaemon
from tests.unit.components.test_orphans import hook


def test_only_what_else_of_the_stack_has_the_port_is_stopped(
    daemon: FakeDaemon, names: Names
) -> None:
    other = Names("other", names.folder)
    published = "127.0.0.1:4317-4318->4317-4318/tcp"
    daemon.container(names.collector, labels=names.labels, ports=published)
    daemon.container(names.jaeger, labels=names.labels, ports="127.0.0.1:16686->16686/tcp")
    daemon.container(other.collector, labels=other.labels, ports=published)
    daemon.node(names, ports="127.0.0.1:4318->6443/tcp")
    hook(_handovers.free([4318, 9999], names.jaeger, names.owner))()
    stopped = [call.argv[-1] for call in daemon.calls_to("docker", "stop")]
    assert stopped == [f"id-of-{names.collector}"]


def test_a_container_does_not_stop_itself(daemon: FakeDaemon, names: Names) -> None:
    daemon.container(names.jaeger, labels=names.labels, ports="127.0.0.1:16686->16686/tcp")
    hook(_handovers.free([16686], names.jaeger, names.owner))()
    assert not daemon.calls_to("docker", "stop")
