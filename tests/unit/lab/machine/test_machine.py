"""What is used of a machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.machine import machine, network
from lab.machine.docker import daemon
from lab.machine.docker.daemon import NoDaemonError
from lab.paths import Cache
from lab.providers import VERSIONS


def test_a_named_daemon_that_is_silent_is_an_error_and_no_lack_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'Cannot connect' >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("RUNTIME_OBSERVABILITY_LAB", "1")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    found = machine.examine(Cache(tmp_path))
    assert found.docker_host is None
    (reason,) = (reason for reason in found.reasons if reason.startswith("Docker: "))
    assert reason.startswith("Docker: a private daemon")
    assert reason.endswith("Cannot connect")
    monkeypatch.setenv("DOCKER_HOST", "tcp://build:2375")
    with pytest.raises(LabError, match=r"DOCKER_HOST=tcp://build:2375 does not answer") as silent:
        machine.examine(Cache(tmp_path))
    assert not isinstance(silent.value, NoDaemonError)


DENIED = "dial unix /run/docker.sock: connect: permission denied"


@pytest.fixture
def denying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who is not root, and a docker whose daemon this user may not use."""
    context = '[ "$1" = context ] && echo unix:///run/docker.sock && exit 0'
    (tmp_path / "docker").write_text(f"#!/bin/sh\n{context}\necho '{DENIED}' >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("RUNTIME_OBSERVABILITY_LAB", "1")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.usefixtures("denying")
def test_a_socket_that_the_user_may_not_use_is_named_with_the_cure(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoDaemonError) as refused:
        machine.examine(cache)
    assert str(refused.value) == (
        "the Docker socket /run/docker.sock exists, but this user may not use it "
        f"({DENIED}). Add the user to the group docker with `sudo usermod -aG docker $USER` and "
        "log in again, or set DOCKER_HOST to a daemon that you can use"
    )
    monkeypatch.setenv("DOCKER_HOST", "unix:///own.sock")
    with pytest.raises(LabError, match=r"the Docker socket /own\.sock exists, but this") as named:
        machine.examine(cache)
    assert not isinstance(named.value, NoDaemonError)


@pytest.mark.usefixtures("denying")
def test_such_a_user_can_use_a_private_daemon_that_runs_and_root_can_start_one(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "answers", lambda _: True)
    assert machine.examine(cache).docker_host is None
    monkeypatch.setattr(daemon, "answers", lambda _: False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert machine.examine(cache).docker_host is None


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        (
            True,
            [
                "images: pulled from their registries, because {image} can be pulled "
                "(RUNTIME_OBSERVABILITY_LAB=1 builds them)",
                "provider plugins: {plugins}, downloaded by Pulumi "
                "(RUNTIME_OBSERVABILITY_LAB=1 uses stand-ins)",
            ],
        ),
        (
            False,
            [
                "images: built by the lab, because {image} cannot be pulled "
                "(RUNTIME_OBSERVABILITY_LAB=0 pulls them nevertheless)",
                "provider plugins: stand-ins for {plugins}, because "
                "https://get.pulumi.com/releases/plugins cannot be reached "
                "(RUNTIME_OBSERVABILITY_LAB=0 downloads them nevertheless)",
            ],
        ),
    ],
)
def test_what_the_network_decides_is_said_with_the_variable_that_overrides_it(
    served: bool,
    expected: list[str],
    cache: Cache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    for name in ("RUNTIME_OBSERVABILITY_LAB", "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine, "is_served", lambda _: served)
    monkeypatch.setattr(network, "has_file", lambda _: served)
    image = machine.default_node_image()
    plugins = " and ".join(f"{name} {version}" for name, version in VERSIONS.items())
    texts = [text.format(image=image, plugins=plugins) for text in expected]
    assert set(texts) <= set(machine.examine(cache).reasons)
