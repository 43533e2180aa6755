"""The volume of the traces: its user can write to it, and no other stack's is touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtime_observability.core.args import VolumeArgs
from runtime_observability.core.naming import Names
from runtime_observability.core.wanted import Wanted
from runtime_observability.host import runner, volume
from runtime_observability.host.preflight import observe
from tests.configuration import parsed
from tests.fakes.daemon import FakeDaemon

IMAGE = "jaeger:2.13.0"


@pytest.fixture
def wanted(names: Names) -> VolumeArgs:
    return VolumeArgs(
        names.traces, "/data", ("keys", "values"), 10001, names.labels, names.owner, keep=False
    )


def test_it_is_made_with_folders_of_the_containers_user(
    daemon: FakeDaemon, names: Names, wanted: VolumeArgs
) -> None:
    assert not volume.ensure(wanted, IMAGE)
    (made,) = daemon.volumes
    assert (made.name, made.labels) == ("traced-dev-traces", names.labels)
    assert made.files == dict.fromkeys(("/data", "/data/keys", "/data/values"), "10001:10001 700")
    assert not daemon.containers, "the container that took the archive is gone"


def test_a_container_of_another_user_has_its_own(daemon: FakeDaemon, wanted: VolumeArgs) -> None:
    volume.ensure(replace(wanted, user=1000, folders=()), IMAGE)
    assert daemon.volumes[0].files == {"/data": "1000:1000 700"}


def test_one_that_is_there_is_kept(daemon: FakeDaemon, names: Names, wanted: VolumeArgs) -> None:
    """An earlier run may have ended before its user could write to it."""
    kept = daemon.volume(names.traces, labels=names.labels)
    assert volume.ensure(wanted, IMAGE)
    assert daemon.volumes == [kept]
    assert "/data/keys" in kept.files


def test_a_name_that_contains_it_is_another(daemon: FakeDaemon, wanted: VolumeArgs) -> None:
    daemon.volume(f"{wanted.name}-2")
    assert not volume.ensure(wanted, IMAGE)


@pytest.mark.parametrize("owned", [True, False])
def test_another_stacks_is_refused(daemon: FakeDaemon, wanted: VolumeArgs, *, owned: bool) -> None:
    other = Names("dev", Path("/elsewhere"))
    daemon.volume(wanted.name, labels=other.labels if owned else {})
    whose = "stack dev in /elsewhere" if owned else "no stack of this project"
    with pytest.raises(runner.CommandError, match=f"belongs to {whose}: `docker volume rm"):
        volume.ensure(wanted, IMAGE)
    assert not daemon.volumes[0].files


@pytest.mark.parametrize("owned", [True, False])
def test_another_stacks_is_refused_before_anything_is_changed(
    daemon: FakeDaemon, names: Names, *, owned: bool
) -> None:
    other = Names("dev", Path("/elsewhere"))
    daemon.volume(names.traces, labels=other.labels if owned else {})
    daemon.volume(names.queues, labels=names.labels)
    assert observe(names, Wanted()).problems == ()
    (problem,) = map(str, observe(names, Wanted(volumes=(names.queues, names.traces))).problems)
    whose = "stack dev in /elsewhere" if owned else "no stack of this project"
    assert problem.startswith(f"stack name: volume {names.traces} belongs to {whose}: ")


@pytest.mark.parametrize(
    ("settings", "used"),
    [
        ({}, []),
        ({"traceStore": "badger", "jaegerMemoryMiB": 640}, ["traces"]),
        ({"traceStore": "opensearch"}, ["traces-opensearch"]),
        ({"traceStore": "opensearch", "openSearchUrls": ["https://a.example"]}, []),
        ({"exporters": [{"endpoint": "a.example:4317", "queue": "disk"}]}, ["queues"]),
    ],
)
def test_a_stack_uses_the_volumes_of_its_store_and_queues(
    names: Names, settings: dict[str, Any], used: list[str]
) -> None:
    assert Wanted.of(parsed(**settings), names).volumes == tuple(
        f"traced-dev-{name}" for name in used
    )


def remove(wanted: VolumeArgs) -> runner.Result:
    values = {
        "VOLUME": wanted.name,
        "OWNER": wanted.owner,
        "KEEP": "true" if wanted.keep else "",
    }
    return runner.run_script("remove_volume.sh", values)


def test_it_goes_unless_it_is_kept(daemon: FakeDaemon, names: Names, wanted: VolumeArgs) -> None:
    daemon.volume(names.traces, labels=names.labels)
    daemon.volume(f"{names.traces}-2", labels=names.labels)
    assert remove(replace(wanted, keep=True)).code == 0
    assert len(daemon.volumes) == 2
    assert remove(wanted).code == 0
    assert [left.name for left in daemon.volumes] == [f"{names.traces}-2"]
    assert remove(wanted).code == 0, "there is nothing left to remove"


def test_one_of_another_stack_stays(daemon: FakeDaemon, wanted: VolumeArgs) -> None:
    daemon.volume(wanted.name, labels=Names("dev", Path("/elsewhere")).labels)
    assert remove(wanted).code == 0
    assert daemon.volumes
