"""A stack in a place that few tests have: its path, its user's umask, its daemon, its disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.live.fixtures import stack_in
from tests.live.stack import Stack

_PATH_BYTES = 3900
"""Near the longest path that naming.py takes; the longest file of the project is below it."""
_TEXT = "a file of tmpfs\n"


@pytest.fixture
def long_path(tmp_path: Path) -> Path:
    """Blanks, letters beyond ASCII, what ends a path in k3d's options; as long as Linux lets."""
    part = "ä, a@b'c " * 20
    folder = tmp_path
    while (left := _PATH_BYTES - len(os.fsencode(folder / "project")) - 1) > len(os.fsencode(part)):
        folder /= part.strip()
    folder /= "x" * left
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def of_tmpfs() -> Iterator[Path]:
    """A folder that is in memory, for the Docker daemon too."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        (Path(folder) / "file").write_text(_TEXT)
        yield Path(folder)


@pytest.fixture
def private() -> Iterator[None]:
    """What this user makes is nobody else's to read."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("private")
def test_a_stack_in_an_odd_place_is_traced_and_leaves_nothing(
    long_path: Path, of_tmpfs: Path, environ: dict[str, str]
) -> None:
    volume = f"{of_tmpfs}:/of-tmpfs:ro"
    with stack_in(long_path, environ, nodeVolumes=[volume]) as stack:
        name_the_daemon_in_the_configuration(stack)
        stack.up()
        assert stack.outputs["tracedComponents"] == ["apiserver", "kubelet", "containerd"]
        assert stack.docker("exec", stack.server, "cat", "/of-tmpfs/file") == _TEXT.strip()
        stack.expect_no_changes()


def name_the_daemon_in_the_configuration(stack: Stack) -> None:
    """Instead of in DOCKER_HOST; the test's own docker goes on with that."""
    host = stack.environment["DOCKER_HOST"]
    stack.environment = {
        name: value for name, value in stack.environment.items() if name != "DOCKER_HOST"
    }
    file = stack.folder / f"Pulumi.{stack.name}.yaml"
    document = yaml.safe_load(file.read_text())
    document["config"]["docker:host"] = host
    file.write_text(yaml.safe_dump(document))
