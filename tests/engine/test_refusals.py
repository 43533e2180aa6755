"""Problems found before anything is created: the error has the reason and the cure."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.docker import Docker
from tests.live.stack import Stack, copy_project


def assert_nothing_was_created(stack: Stack) -> None:
    assert stack.left_overs() == set()
    assert stack.state == {}


@pytest.fixture
def taken_port(absent: Stack) -> Iterator[int]:
    port = absent.ports["otlpGrpcPort"]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        yield port


def test_a_port_that_another_program_holds_is_refused(absent: Stack, taken_port: int) -> None:
    output = absent.refused_up().said
    assert f"otlpGrpcPort: port {taken_port}" in output
    assert "portOffset" in output
    assert_nothing_was_created(absent)


def test_a_port_that_another_stack_holds_is_refused_by_that_stack_s_name(
    standing: Stack, absent: Stack
) -> None:
    absent.configure(portOffset=standing.offset)
    output = absent.refused_up().said
    for key, port in standing.ports.items():
        assert f"{key}: port {port}" in output
    assert f"stack {standing.name} in {standing.folder}" in output
    assert_nothing_was_created(absent)


def test_all_that_is_wrong_with_the_settings_is_said_at_once(absent: Stack) -> None:
    absent.configure(
        agents=99, jeagerUiPort=1234, containerdTracing="on", k3sVersion="latest", jaegerUiPort=0
    )
    output = absent.refused_up().said
    problems = {
        key: rest
        for line in output.splitlines()
        for key, colon, rest in [line.strip().removeprefix("- ").partition(": ")]
        if colon
    }
    assert "99" in problems["agents"]
    assert "the maximum is 10" in problems["agents"]
    assert "Did you mean jaegerUiPort?" in problems["jeagerUiPort"]
    assert "the minimum is 1024" in problems["jaegerUiPort"]
    assert "latest" in problems["k3sVersion"]
    assert "image" in problems["containerdTracing"]
    assert_nothing_was_created(absent)


def test_a_daemon_that_does_not_answer_is_said_in_words(absent: Stack) -> None:
    reachable = absent.environment
    absent.environment = reachable | {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    try:
        output = absent.refused_up().said
    finally:
        absent.environment = reachable
    assert "Docker: the daemon does not answer" in output
    assert "/nonexistent/docker.sock" in output
    assert_nothing_was_created(absent)


def test_a_program_in_a_container_of_the_daemon_is_refused(absent: Stack, standing: Stack) -> None:
    """It has the host's files and the daemon's socket, and not the host's 127.0.0.1."""
    folders = [
        folder
        for folder in Path("/").iterdir()
        if folder.is_dir() and folder.name not in ("dev", "proc", "sys")
    ]
    environment = {**absent.environment, "HOME": str(absent.folder.parent)}
    name = f"{absent.name}-inside"
    image = standing.docker.inspect(standing.server)["Image"]
    said = absent.docker(
        *("run", "--rm", "--name", name, "--user", "0:0", "--workdir", str(absent.folder)),
        *(f"--volume={folder}:{folder}" for folder in folders),
        *(f"--env={variable}={value}" for variable, value in environment.items()),
        *("--entrypoint", "pulumi", image, "preview", "--non-interactive", "--stack", absent.name),
        check=False,
    )
    assert f"this program runs in {name}, a container of the daemon that it uses" in said
    assert "127.0.0.1 is the container's own" in said
    assert f"`--network host --volume {absent.folder}:{absent.folder}`" in said
    assert_nothing_was_created(absent)


@pytest.fixture
def strangers_container(standing: Stack, absent: Stack) -> Iterator[tuple[Docker, str]]:
    """A container with the name of the stack's Jaeger that the stack does not own."""
    image = standing.docker.inspect(standing.jaeger)["Image"]
    absent.docker("create", "--name", absent.jaeger, image)
    yield absent.docker, absent.jaeger
    absent.docker("rm", "-fv", absent.jaeger)


def test_a_container_of_a_stranger_is_neither_used_nor_harmed(
    absent: Stack, strangers_container: tuple[Docker, str]
) -> None:
    docker, name = strangers_container
    output = absent.refused_up().said
    assert f"stack name: {name} is taken" in output
    assert absent.state == {}
    absent.destroy()
    assert docker.exists(name)


def test_a_stack_of_the_same_name_in_another_folder_is_neither_used_nor_harmed(
    standing: Stack, environ: dict[str, str], tmp_path: Path
) -> None:
    before = standing.ids()
    settings: dict[str, Any] = {"traceProbe": False}
    namesake = Stack(copy_project(tmp_path / "project"), environ, name=standing.name, **settings)
    output = namesake.refused_up().said
    assert f"stack {standing.name} in {standing.folder}" in output
    assert namesake.state == {}
    namesake.destroy()
    assert standing.ids() == before
    standing.expect_no_changes()
