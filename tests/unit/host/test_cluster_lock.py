"""One run at a time changes a cluster, and an orphaned k3d counts as one."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime_observability.core.naming import Names
from runtime_observability.host import cluster_lock, runner
from tests.configuration import PROJECT
from tests.fakes.clock import Clock
from tests.fakes.daemon import FakeDaemon


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().drive(monkeypatch, cluster_lock)


def test_a_lock_that_is_never_freed_is_told(
    names: Names, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = clock.now
    with (
        cluster_lock.locked(names),
        pytest.raises(runner.CommandError, match="another run has held the lock of cluster"),
        cluster_lock.locked(names),
    ):
        pass
    assert 300 < clock.now - begin <= 301
    assert capsys.readouterr().err.count("waiting for another run") == 1


def test_the_lock_is_that_of_every_release(names: Names) -> None:
    """A run of another release must not change the cluster meanwhile."""
    with cluster_lock.locked(names):
        assert (names.directory / "cluster.lock").is_file()


def test_only_a_run_that_was_killed_leaves_its_mark(names: Names, daemon: FakeDaemon) -> None:
    """The delete scripts look for a k3d that outlived its run where the mark is."""
    busy = names.directory / "cluster.busy"
    with pytest.raises(runner.CommandError), cluster_lock.locked(names):
        runner.run(["false"]).checked()
    assert not busy.exists(), "a run that fails has ended its k3d"
    killed = holder(names, daemon, "nothing")
    killed.kill()
    killed.communicate()
    assert busy.exists()


def test_a_run_whose_stack_was_destroyed_while_it_waited_changes_nothing(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would create a cluster that belongs to no stack."""
    with cluster_lock.locked(names):

        def end_of_the_first(_: float) -> None:
            shutil.rmtree(names.directory)
            monkeypatch.setattr(fcntl, "flock", lambda *_: None)

        monkeypatch.setattr(time, "sleep", end_of_the_first)
        with (
            pytest.raises(runner.CommandError, match="was destroyed while this run waited"),
            cluster_lock.locked(names),
        ):
            pass
        assert not names.directory.exists()


def test_a_run_knows_that_a_later_one_has_taken_its_place(names: Names) -> None:
    with cluster_lock.locked(names) as outlived:
        assert not cluster_lock.is_superseded(names, outlived)
        shutil.rmtree(names.directory)
        assert not cluster_lock.is_superseded(names, outlived), "what it made is still its own"
        with cluster_lock.locked(names) as later:
            assert cluster_lock.is_superseded(names, outlived)
            assert not cluster_lock.is_superseded(names, later)


def test_two_stacks_do_not_wait_for_each_other(names: Names) -> None:
    with cluster_lock.locked(names), cluster_lock.locked(Names("other", names.folder)):
        pass


_HOLDER = """
import sys
from pathlib import Path
from runtime_observability.host import cluster_lock, k3d
from runtime_observability.core.naming import Names
names = Names("dev", Path(sys.argv[1]))
with cluster_lock.locked(names) as lock:
    print("locked", flush=True)
    if sys.argv[2] == "k3d":
        watch = k3d.NodeWatch([])
        folder = names.directory
        k3d.run(
            ["cluster"], stdin="", watch=watch, tools_image="", folder=folder, lock=lock, seconds=60
        )
    else:
        sys.stdin.read()
"""


def holder(names: Names, daemon: FakeDaemon, work: str) -> subprocess.Popen[str]:
    """Another process that holds the lock until its standard input is closed or k3d exits."""
    environment = {**os.environ, "PATH": daemon.path, "PYTHONPATH": str(PROJECT)}
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(names.folder), work],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_second_run_waits_for_the_first(names: Names, daemon: FakeDaemon) -> None:
    first = holder(names, daemon, "nothing")
    assert lock_is_held(names)
    first.communicate()
    assert not lock_is_held(names), "the lock is released when its process ends"


def lock_is_held(names: Names) -> bool:
    """Whether another process holds the lock."""
    limit, cluster_lock._SECONDS = cluster_lock._SECONDS, 0
    try:
        with cluster_lock.locked(names):
            return False
    except runner.CommandError:
        return True
    finally:
        cluster_lock._SECONDS = limit


def test_k3d_keeps_the_lock_when_its_run_is_killed(
    names: Names, daemon: FakeDaemon, tmp_path: Path
) -> None:
    """A killed run leaves a k3d that still creates nodes; no other run may start meanwhile."""
    go_on, pid = tmp_path / "go-on", tmp_path / "pid"
    daemon.executables.script(
        "k3d",
        f"#!/bin/sh\necho $$ >{pid}.new; mv {pid}.new {pid}\n"
        f"while [ ! -e {go_on} ]; do /bin/sleep 0.05; done\n",
    )
    first = holder(names, daemon, "k3d")
    await_file(pid)
    first.kill()
    first.communicate()
    assert lock_is_held(names), "the orphaned k3d holds it"
    go_on.touch()
    while lock_is_held(names):  # pytest's own timeout ends a test whose lock is never released
        time.sleep(0.02)


def await_file(path: Path) -> None:
    while not path.exists():  # pytest's own timeout ends a test whose file never comes
        time.sleep(0.02)
