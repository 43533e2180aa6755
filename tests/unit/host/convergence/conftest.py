"""A cluster to ensure, and what its waits end with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime_observability.core import documents
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.host import cluster_ready, runner
from runtime_observability.host.cluster_ready import ReadyCluster
from runtime_observability.host.k3d import NodeWatch
from tests import configuration
from tests.configuration import parsed
from tests.unit.host.convergence.cluster import waits


@pytest.fixture
def spec(names: Names) -> ClusterSpec:
    """A cluster with one server and one agent, whose files exist."""
    settings = parsed(agents=1)
    files = documents.node_files(settings, cgroup_v1=False)
    names.node_directory.mkdir(parents=True)
    for file, text in files.items():
        (names.node_directory / file).write_text(text)
    return configuration.spec_of(names, settings)


@pytest.fixture
def readiness(monkeypatch: pytest.MonkeyPatch, no_waiting: None) -> Iterator[list[str]]:
    """The results of the waits for the cluster, in their order: "ready" or an error's message."""
    results: list[str] = []

    def wait(kubeconfig: Path, wanted: ReadyCluster, watch: NodeWatch) -> float:
        assert kubeconfig.read_text() == "---\n# kubeconfig of traced-dev\n"
        waits.append((tuple(wanted.nodes), tuple(wanted.restarted)))
        result = results.pop(0) if results else "ready"
        if result != "ready":
            raise runner.CommandError(result)
        return 0.1

    waits.clear()
    monkeypatch.setattr(cluster_ready, "wait", wait)
    yield results
    assert not results, "these waits did not happen"
