"""A stack and the names of its Docker daemon."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.live.stack import Stack


@pytest.fixture
def link(standing: Stack, tmp_path: Path) -> str:
    """Another name of the socket in which the stack is."""
    environment: dict[str, Any] = standing.state["stack-sweep"]["inputs"]["environment"]
    socket = environment["DOCKER_HOST"].removeprefix("unix://")
    assert Path(socket).is_socket(), "the stack's daemon has no socket on this machine"
    (tmp_path / "docker.sock").symlink_to(socket)
    return f"unix://{tmp_path / 'docker.sock'}"


def test_another_name_of_the_socket_is_no_change(standing: Stack, link: str) -> None:
    before = standing.environment
    standing.environment = before | {"DOCKER_HOST": link}
    try:
        standing.expect_no_changes()
    finally:
        standing.environment = before


def test_dockers_current_context_is_followed(standing: Stack, tmp_path: Path) -> None:
    """As with `docker context use`, and no DOCKER_HOST: Pulumi's provider reads no context."""
    before = standing.environment
    host = standing.state["stack-sweep"]["inputs"]["environment"]["DOCKER_HOST"]
    shell = {name: value for name, value in before.items() if name != "DOCKER_HOST"}
    shell["DOCKER_CONFIG"] = str(tmp_path)
    create = ["docker", "context", "create", "mine", f"--docker=host={host}"]
    for command in (create, ["docker", "context", "use", "mine"]):
        subprocess.run(command, env=shell, check=True, capture_output=True)
    standing.environment = shell
    try:
        standing.expect_no_changes()
    finally:
        standing.environment = before


def test_a_refresh_and_a_destroy_in_another_shell_use_the_daemon_of_the_up(
    doomed: Stack, tmp_path: Path
) -> None:
    before = doomed.environment
    doomed.environment = before | {"DOCKER_HOST": f"unix://{tmp_path / 'no.sock'}"}
    try:
        doomed.start("refresh", "--yes", "--expect-no-changes").wait(120).succeeded()
        doomed.start("destroy", "--yes").wait(120).succeeded()
    finally:
        doomed.environment = before
    assert doomed.left_overs() == set()


def test_a_context_in_the_configuration_touches_nothing(standing: Stack) -> None:
    before = standing.ids()
    file = standing.folder / f"Pulumi.{standing.name}.yaml"
    document = yaml.safe_load(file.read_text())
    document["config"]["docker:context"] = "nosuch"
    with standing.disturbed():
        file.write_text(yaml.safe_dump(document))
        assert standing.start("preview").wait(120).failed()
        standing.configure()
        standing.expect_no_changes()
    assert standing.ids() == before
