"""Ensure as the command that Pulumi runs: what it prints, remembers and tells."""

from __future__ import annotations

import json
from unittest.mock import Mock

import pytest

from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.core.transition import content, identity
from runtime_observability.host import cluster_ready, convergence, k3d, runner, store
from runtime_observability.host.cluster_lock import LockError
from tests import configuration
from tests.configuration import parsed
from tests.fakes.daemon import FakeDaemon
from tests.fakes.executables import Answer
from tests.unit.host.convergence.cluster import command, remember, spec_of, standing


@pytest.mark.usefixtures("readiness")
def test_what_was_made_is_printed_and_remembered(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    assert command(names, spec, monkeypatch) == 0
    output = json.loads(capfd.readouterr().out)
    assert output["instance"] == daemon.containers[0].id
    assert isinstance(output["seconds"], float), "a rounded one tells tenths"
    wanted = convergence.wanted_nodes(names, spec)
    assert store.load(names) == Record(
        7, True, identity(spec), spec.document, wanted,
        content=dict.fromkeys(wanted, content(spec)),
        daemon=daemon.info["ID"], docker_host=daemon.host,
    )  # fmt: skip


@pytest.mark.usefixtures("no_waiting")
def test_a_failure_is_told_and_not_remembered_as_success(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    daemon.k3d_fails_after = 0
    assert command(names, spec, monkeypatch) == 1
    output = capfd.readouterr()
    assert output.out == ""
    assert "error: cluster traced-dev: k3d exited with 1" in output.err
    record = store.load(names)
    assert record is None or not record.complete


ANEW = "to create it anew, without its workloads: `k3d cluster delete traced-dev`"


@pytest.mark.usefixtures("readiness")
def test_an_agent_s_problem_is_no_reason_to_make_the_cluster_anew(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    standing(daemon, names, spec)
    daemon.start_fails = True
    remember(names, spec, content=dict.fromkeys(convergence.wanted_nodes(names, spec), "older"))
    assert command(names, spec, monkeypatch) == 1
    assert ANEW in capfd.readouterr().err
    for node in daemon.containers:
        node.state = "running"
    daemon.kubectl["drain"] = Answer(stderr="Cannot evict pod\n", code=1)
    assert command(names, spec_of(names), monkeypatch) == 1
    told = capfd.readouterr().err
    assert "agent-0 cannot be drained and stays: Cannot evict pod. Free it of that pod" in told
    assert ANEW not in told


def test_a_cluster_that_runs_and_does_not_answer_is_told_to_be_started_again(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As one whose API server hangs: with what is in it, before the command that deletes it."""
    standing(daemon, names, spec)
    hangs = Mock(side_effect=runner.CommandError("the API server: the handshake timed out"))
    monkeypatch.setattr(cluster_ready, "wait", hangs)
    assert command(names, spec, monkeypatch) == 1
    again = "to start it again, with every object: `docker kill k3d-traced-dev-server-0`, then"
    told = capfd.readouterr().err
    assert 0 < told.index(again) < told.index(ANEW)
    for node in daemon.containers:
        node.state = "exited"
    daemon.start_fails = True
    assert command(names, spec, monkeypatch) == 1
    told = capfd.readouterr().err
    assert again not in told
    again = "to start it again, with every object: correct that, then run `pulumi up`"
    assert 0 < told.index(again) < told.index(ANEW)


def test_no_command_is_told_that_deletes_a_cluster_that_another_cure_brings_back(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    standing(daemon, names, spec)
    curable = Mock(side_effect=k3d.CurableError("it is not ready.\nfree it of that webhook"))
    monkeypatch.setattr(cluster_ready, "wait", curable)
    assert command(names, spec, monkeypatch) == 1
    told = capfd.readouterr().err
    assert "free it of that webhook" in told
    assert ANEW not in told


@pytest.mark.parametrize(
    "reason",
    [  # Docker 20.10: k3d kubeconfig get, and k3d cluster start
        "`k3d kubeconfig get traced-dev` exited with 1: docker failed to copy path: Error response "
        "from daemon: mount /home/ada/a.pem:/var/lib/docker/overlay2/27/merged/etc/a.pem, flags: "
        '0x5001: not a directory"',
        # Docker 28, with runc 1.2
        "k3d exited with 1: Failed to start node: Error response from daemon: failed to create "
        "task for container: failed to create shim task: OCI runtime create failed: runc create "
        "failed: unable to start container process: error during container init: error mounting "
        '\\"/home/ada/a.pem\\" to rootfs at \\"/etc/a.pem\\": mount /home/ada/a.pem:/etc/a.pem '
        "(via /proc/self/fd/6), flags: 0x5001: not a directory: unknown: Are you trying to mount a "
        "directory onto a file (or vice-versa)?",
        'error mounting "/home/ada/a.pem" to rootfs at "/etc/a.pem": create mountpoint: not a '
        "directory",
    ],
)
def test_a_file_of_which_docker_has_made_a_folder_is_no_reason_to_make_the_cluster_anew(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    *,
    reason: str,
) -> None:
    standing(daemon, names, spec)
    monkeypatch.setattr(cluster_ready, "wait", Mock(side_effect=runner.CommandError(reason)))
    assert command(names, spec, monkeypatch) == 1
    told = capfd.readouterr().err
    assert "\n/home/ada/a.pem was a file when the nodes were created and is a folder now" in told
    assert ANEW not in told


@pytest.mark.usefixtures("readiness")
def test_what_stops_this_run_alone_is_no_reason_to_make_the_cluster_anew(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    standing(daemon, names, spec)
    errors = [OSError(28, "No space left on device"), LockError("another run has held the lock")]
    for error in errors:
        monkeypatch.setattr(store, "save", Mock(side_effect=error))
        assert command(names, spec, monkeypatch) == 1
        told = capfd.readouterr().err
        assert str(error) in told
        assert ANEW not in told


@pytest.mark.usefixtures("readiness")
def test_no_command_is_told_that_deletes_the_cluster_of_another_owner(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    daemon.node(names, "server", owner="other")
    assert command(names, spec, monkeypatch) == 1
    told = capfd.readouterr().err
    assert "already exists and has another owner" in told
    assert ANEW not in told


def test_a_docker_that_ends_meanwhile_is_told_in_one_line(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    standing(daemon, names, spec)

    def wait(*_: object) -> float:
        daemon.down = True
        return 0.1

    monkeypatch.setattr(cluster_ready, "wait", wait)
    assert command(names, spec, monkeypatch) == 1
    assert (
        "error: cluster traced-dev: `docker ps -a --no-trunc` exited with 1: "
        "Cannot connect to the Docker daemon. Is it running?"
    ) in capfd.readouterr().err.splitlines()


def test_a_full_disk_is_told_in_one_line(
    daemon: FakeDaemon,
    names: Names,
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(names.directory))

    monkeypatch.setattr(store, "save", full)
    assert command(names, spec, monkeypatch) == 1
    (line, *_) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: cluster traced-dev: [Errno 28] No space left on device: ")
    assert daemon.names == set()


@pytest.mark.usefixtures("no_waiting", "spec")
def test_an_upstream_containerd_that_may_be_the_reason_is_named_with_the_cure(
    daemon: FakeDaemon,
    names: Names,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    daemon.k3d_fails_after = 0
    for mode in ("upstream", "off"):
        spec = configuration.spec_of(names, parsed(agents=1, containerdTracing=mode))
        assert command(names, spec, monkeypatch) == 1
        cure = "`pulumi config set containerdTracing off`"
        assert (cure in capfd.readouterr().err) is (mode == "upstream")


@pytest.mark.usefixtures("no_waiting")
def test_while_it_works_the_cluster_counts_as_incomplete(
    daemon: FakeDaemon, names: Names, spec: ClusterSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run must detect drift if this run is killed here."""

    def killed(*_: object) -> float:
        record = store.load(names)
        assert record is not None
        assert not record.complete
        assert record.never_complete
        raise KeyboardInterrupt

    monkeypatch.setattr(cluster_ready, "wait", killed)
    with pytest.raises(KeyboardInterrupt):
        command(names, spec, monkeypatch)
