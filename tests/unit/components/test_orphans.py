"""What a killed run left goes before a create, and only if it is the stack's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components import _losses, _orphans
from runtime_observability.core import naming
from runtime_observability.core.naming import Names
from runtime_observability.host import cluster_lock, runner
from tests.fakes.daemon import FakeDaemon


def hook(made: Any) -> Callable[[], object]:
    """What the engine would call in an up."""
    return lambda: made.callback(None)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", lines.append)
    return lines


def test_an_orphaned_container_goes(daemon: FakeDaemon, names: Names, said: list[str]) -> None:
    daemon.container(names.jaeger, labels=names.labels, state="created")
    daemon.container(names.collector, labels=names.labels)
    hook(_orphans.no_container(names.jaeger, names.owner))()
    assert daemon.names == {names.collector}
    assert said == ["removed traced-dev-jaeger, which Pulumi's state does not have"]


@pytest.mark.parametrize(
    ("state", "spec", "noted", "stays"),
    [
        ("running", "1234", True, True),
        ("paused", "1234", True, True),
        ("running", "1234", False, False),
        ("exited", "1234", True, False),
        ("running", "", True, False),
    ],
    ids=["was in a state", "is paused", "of a killed run", "has ended", "has another store"],
)
def test_traces_in_memory_stay_where_pulumi_has_an_older_state(
    daemon: FakeDaemon,
    names: Names,
    tmp_path: Path,
    said: list[str],
    *,
    state: str,
    spec: str,
    noted: bool,
    stays: bool,
) -> None:
    labels = names.labels | ({naming.SPEC_LABEL: spec} if spec else {})
    jaeger = daemon.container(names.jaeger, labels=labels, state=state)
    note = tmp_path / "jaeger.id"
    note.write_text(f"{jaeger.id if noted else 'another'}\n")
    remove = hook(_orphans.no_container(names.jaeger, names.owner, str(note)))
    if stays:
        with pytest.raises(
            runner.CommandError,
            match=r"traces in its memory.*stack import.*pulumi/backups/.*state rename",
        ):
            remove()
    else:
        remove()
    assert (daemon.names == {names.jaeger}, said == []) == (stays, stays)


@pytest.mark.parametrize(
    ("dry", "state", "spec", "told"),
    [
        (True, "running", "1234", True),
        (True, "exited", "1234", False),
        (True, "running", "other", False),
        (False, "running", "1234", False),
    ],
    ids=["replaced", "has ended", "told as a change", "up"],
)
def test_a_preview_tells_of_traces_in_memory(
    daemon: FakeDaemon,
    names: Names,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    dry: bool,
    state: str,
    spec: str,
    told: bool,
) -> None:
    """Of another network, a taint or an older state the engine alone knows."""
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: dry)
    labels = names.labels | {naming.SPEC_LABEL: spec}
    daemon.container(names.jaeger, labels=labels, state=state)
    made: Any = _losses.tell(names.jaeger, names.owner, "1234")
    assert made.opts.on_dry_run
    made.callback(None)
    assert [line.partition(":")[0] for line in said] == [
        f"container {names.jaeger} will be made again, and the traces in its memory are lost"
    ] * told
    assert all("If Pulumi's state does not have this container" in line for line in said)


def test_an_orphaned_network_goes(daemon: FakeDaemon, names: Names, said: list[str]) -> None:
    daemon.network(names.network, labels=names.labels)
    daemon.network("bridge")
    hook(_orphans.no_network(names.network, names.owner, names.cluster))()
    assert daemon.names == {"bridge"}
    assert len(said) == 1


def test_an_orphaned_network_goes_with_what_hangs_on_it(
    daemon: FakeDaemon, names: Names, said: list[str]
) -> None:
    network = daemon.network(names.network, labels=names.labels)
    daemon.container(names.jaeger, labels=names.labels, networks=[network.id])
    daemon.container("k3d-registry", networks=[network.id])
    hook(_orphans.no_network(names.network, names.owner, names.cluster))()
    assert daemon.names == {"k3d-registry"}
    assert len(said) == 1


def test_a_network_with_a_cluster_is_no_orphan(
    daemon: FakeDaemon, names: Names, said: list[str]
) -> None:
    """Pulumi's state was lost: another network would cost the cluster."""
    network = daemon.network(names.network, labels=names.labels)
    node = daemon.node(names, networks=["id-of-one-that-is-gone"])
    hook(_orphans.no_network(names.network, names.owner, names.cluster))()
    assert daemon.names == {node.name}, "a killed run made it in the place of that one"
    said.clear()

    network = daemon.network(names.network, labels=names.labels)
    node.networks = [network.id]
    before = set(daemon.names)
    with pytest.raises(
        runner.CommandError,
        match=r"there with its workloads.*stack import.*pulumi/backups/.*state rename",
    ):
        hook(_orphans.no_network(names.network, names.owner, names.cluster))()
    assert (daemon.names, said) == (before, [])
    hook(_orphans.no_network(names.network, names.owner, ""))()
    assert node.name not in daemon.names, "it was never complete"


def test_a_preview_tells_that_up_refuses_another_network(
    daemon: FakeDaemon, names: Names, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: True)
    network = daemon.network(names.network, labels=names.labels)
    made: Any = _orphans.no_network(names.network, names.owner, names.cluster)
    assert made.opts.on_dry_run
    made.callback(None)
    daemon.node(names, networks=[network.id])
    before = set(daemon.names)
    with pytest.raises(runner.CommandError, match=r"does not have its network.*stack import"):
        made.callback(None)
    assert (daemon.names, said) == (before, []), "a preview removes nothing"


def test_a_cluster_that_a_run_of_another_backend_makes_is_left_to_that(
    daemon: FakeDaemon, names: Names
) -> None:
    made: Any = _orphans.no_cluster("", names.owner, str(names.directory))
    with (
        cluster_lock.locked(names),
        pytest.raises(runner.CommandError, match=r"nothing was touched.*`pulumi login`"),
    ):
        made.callback(None)
    made.callback(None)


def test_a_cluster_that_no_state_has_is_told_in_the_preview(
    daemon: FakeDaemon, names: Names
) -> None:
    """Else the guard were in this state, too, and its destroy took what another state has."""
    made: Any = _orphans.no_cluster(names.cluster, names.owner, str(names.directory))
    assert made.opts.on_dry_run
    made.callback(None)
    daemon.node(names)
    with pytest.raises(runner.CommandError, match=r"nothing was touched.*`pulumi login`"):
        made.callback(None)
    never_complete: Any = _orphans.no_cluster("", names.owner, str(names.directory))
    never_complete.callback(None)


def test_what_is_not_ours_stays(daemon: FakeDaemon, names: Names, said: list[str]) -> None:
    daemon.container(names.jaeger)
    daemon.network(names.network, labels={"runtime-observability.owner": "fedcba9876543210"})
    hook(_orphans.no_container(names.jaeger, names.owner))()
    hook(_orphans.no_network(names.network, names.owner, names.cluster))()
    assert daemon.names == {names.jaeger, names.network}
    assert said == []


def test_what_cannot_be_removed_ends_the_create(daemon: FakeDaemon, names: Names) -> None:
    daemon.container(names.jaeger, labels=names.labels, stuck=True)
    with pytest.raises(runner.CommandError, match="device busy"):
        hook(_orphans.no_container(names.jaeger, names.owner))()
