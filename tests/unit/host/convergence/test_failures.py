"""What fails, and what is left of it."""

from __future__ import annotations

import pytest

from runtime_observability.core import documents
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.transition import identity
from runtime_observability.host import node_files, runner, store
from tests.fakes.daemon import FakeDaemon
from tests.unit.host.convergence.cluster import changes, nodes, run


def test_a_foreign_cluster_is_refused_and_kept(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    nodes(daemon, names, identity(spec), owner="fedcba9876543210")
    before = daemon.names
    refusal = "cluster traced-dev already exists and has another owner: it has k3d-traced-dev"
    with pytest.raises(runner.CommandError, match=refusal):
        run(names, spec)
    assert changes(daemon) == []
    assert daemon.names == before


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("created", [0, 1, 2])
def test_a_creation_that_fails_leaves_nothing(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, created: int
) -> None:
    daemon.k3d_fails_after = created
    with pytest.raises(runner.CommandError, match="k3d exited with 1") as failed:
        run(names, spec)
    assert daemon.names == set()
    assert ('level=fatal msg="cannot listen"' in str(failed.value)) is (created > 0)


def test_a_cluster_that_never_gets_ready_is_removed(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, readiness: list[str]
) -> None:
    readiness[:] = ["agent-0: it has not joined"]
    with pytest.raises(runner.CommandError, match="it has not joined"):
        run(names, spec)
    assert daemon.names == set()
    assert not names.kubeconfig.exists()


@pytest.mark.usefixtures("readiness")
def test_why_it_failed_is_not_lost_when_the_sweep_fails_too(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    daemon.k3d_fails_after = 1
    daemon.volume("k3d-traced-dev-images", labels={"k3d.cluster": "traced-dev"}, stuck=True)
    with pytest.raises(runner.CommandError) as failed:
        run(names, spec)
    assert "k3d exited with 1" in str(failed.value)
    assert "k3d-traced-dev-images" in str(failed.value)


def test_files_that_are_missing_are_named(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """Docker would create a missing folder, empty, and the node would fail."""
    path = names.node_directory / documents.KUBELET_FILE
    path.unlink()
    with pytest.raises(runner.CommandError, match=f"{path} is missing"):
        run(names, spec)
    assert changes(daemon) == []


def test_a_file_of_another_configuration_is_not_given_to_nodes(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec
) -> None:
    """As after `pulumi up --exclude`; the record would say that the nodes have the wanted one."""
    path = names.node_directory / documents.KUBELET_FILE
    path.write_text("{}")
    with pytest.raises(node_files.FilesError, match=f"{path} is not of this configuration"):
        run(names, spec)
    assert changes(daemon) == []
    assert store.load(names) is None
