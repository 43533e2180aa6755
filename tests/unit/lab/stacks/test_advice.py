"""Pulumi's errors, explained."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from lab.providers import docker_resource
from lab.stacks.advice import explain
from runtime_observability.core.naming import Names
from runtime_observability.core.wanted import Wanted
from runtime_observability.host import preflight
from runtime_observability.host.daemon import unusable
from runtime_observability.host.runner import CommandError
from tests.fakes.daemon import FakeDaemon


def test_a_lock_is_explained_by_whether_its_run_still_lives() -> None:
    def lock(pid: int) -> str:
        return f"locked\n  file:///x.json: created by me@{socket.gethostname()} (pid {pid}) at now"

    gone = subprocess.Popen(["true"])
    gone.wait()
    assert "pulumi cancel --yes --stack dev" in (explain(lock(gone.pid), "dev") or "")
    assert "wait" in (explain(lock(os.getpid()), "dev") or "")


def test_half_a_lock_of_a_full_disk_is_explained_and_half_a_state_is_not_called_that() -> None:
    """Seen with pulumi 3.259.0 in each later command, until `pulumi cancel` removed the file."""
    assert "pulumi cancel --yes --stack dev" in (
        explain("error: unexpected end of JSON input", "dev") or ""
    )
    state = "error: failed to load checkpoint: unexpected end of JSON input"
    assert explain(state, "dev") is None


def test_another_passphrase_is_explained_and_other_errors_are_left_alone() -> None:
    said = explain("error: get stack secrets manager: incorrect passphrase", "dev") or ""
    assert "Pulumi.dev.yaml" in said
    assert explain("error: something else", "dev") is None


# --- Docker ---------------------------------------------------------------------------------------

PLUGIN = f"error: {docker_resource.NO_DAEMON}"
CLIENT = "Cannot connect to the Docker daemon at unix:///gone.sock. Is the docker daemon running?"


@pytest.fixture(autouse=True)
def address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///gone.sock")


@pytest.mark.parametrize("error", [PLUGIN, CLIENT])
def test_a_daemon_that_does_not_answer_is_explained_once_with_its_address(error: str) -> None:
    said = explain("\n".join([f"  docker:index:Network (n)\n    {error}"] * 7), "dev") or ""
    assert said.count("No Docker daemon answers at unix:///gone.sock") == 1
    assert "the address in DOCKER_HOST" in said


def test_without_docker_host_the_plugins_own_address_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setattr("os.access", lambda path, mode: True)
    said = explain(PLUGIN, "dev") or ""
    assert f"No Docker daemon answers at {docker_resource.DEFAULT_HOST}" in said
    assert "does not follow `docker context use`" in said


@pytest.mark.parametrize(
    "error",
    [
        "permission denied while trying to connect to the Docker daemon socket at unix:///x.sock",
        "permission denied while trying to connect to the docker API at unix:///x.sock",
        "docker: permission denied",
        f"{CLIENT} (PermissionError(13, 'Permission denied'))",
    ],
)
def test_a_socket_that_this_user_may_not_use_is_explained(error: str) -> None:
    said = explain(f"error: {error}", "dev") or ""
    assert said.startswith("This user may not use the Docker daemon at unix:///gone.sock. ")
    assert "usermod -aG docker" in said


@pytest.mark.parametrize(
    "error",
    [
        "permission denied while trying to connect to the docker API at unix:///x.sock",
        "Cannot connect to the Docker daemon at unix:///x.sock",
    ],
)
def test_neither_problem_of_the_program_is_explained_again(error: str) -> None:
    problem = unusable(CommandError(error))
    assert explain(f"error: nothing was touched, because:\n  - {problem}", "dev") is None


def test_the_plugins_silence_about_a_denied_socket_is_ended_by_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    monkeypatch.setattr("os.access", lambda looked_at, mode: (looked_at, mode) != (path, os.W_OK))
    assert "No Docker daemon answers" in (explain(PLUGIN, "dev") or "")
    path.touch()
    assert "This user may not use" in (explain(PLUGIN, "dev") or "")
    assert explain("error: something else", "dev") is None


@pytest.mark.parametrize(
    "error",
    [
        'error during connect: Get "https://127.0.0.1:2376/v1.24/info": x509: certificate signed by'
        " unknown authority",
        'error during connect: Get "https://127.0.0.1:2375/v1.24/info": http: server gave HTTP'
        " response to HTTPS client",
        "Error response from daemon: Client sent an HTTP request to an HTTPS server.",
        "Cannot connect to the Docker daemon at tcp://127.0.0.1:2376. (SSLError(1, 'wrong version'",
    ],
)
def test_a_daemon_that_disagrees_about_tls_is_explained(
    error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2376")
    said = explain(f"error: {error}", "dev") or ""
    assert said.startswith("The Docker daemon at tcp://127.0.0.1:2376 and its client disagree")
    assert "DOCKER_CERT_PATH" in said


@pytest.mark.parametrize(
    "error",
    [
        'unable to pull image a:1: Error response from daemon: Get "https://registry.example/v2/":'
        " x509: certificate signed by unknown authority",
        "open /home/x: permission denied",
    ],
)
def test_an_error_of_a_registry_or_a_file_is_none_of_the_daemons_address(error: str) -> None:
    assert explain(f"error: {error}", "dev") is None


def test_what_the_program_has_explained_is_not_explained_again(
    daemon: FakeDaemon, names: Names
) -> None:
    daemon.down = True
    own = "\n".join(map(str, preflight.observe(names, Wanted()).problems))
    assert "Cannot connect to the Docker daemon" in own
    assert explain(own, "dev") is None
    assert explain(f"{PLUGIN}\n{own}", "dev") is not None
