"""A stack that an earlier program of this project made is taken over: its nodes and pods go on.

``earlier`` has these programs, because a checkout in CI may have no history. CONTRIBUTING.md has
the command that made them.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.configuration import PROJECT, defaults
from tests.live.pods import a_bare_pod
from tests.live.stack import Stack, copy_files

PROGRAMS = sorted(Path(__file__).with_name("earlier").glob("*.tar.gz"))
VERSIONS = ("k3sVersion", "jaegerVersion", "collectorVersion")


@pytest.fixture(params=PROGRAMS, ids=lambda program: program.name.partition(".")[0])
def earlier(
    request: pytest.FixtureRequest, environ: dict[str, str], tmp_path: Path
) -> Iterator[Stack]:
    """A stack of today's releases that the earlier program has brought up, in its own folder."""
    folder = tmp_path / "project"
    with tarfile.open(request.param) as archive:
        archive.extractall(folder, filter="data")
    (folder / ".venv").symlink_to(PROJECT / ".venv")
    releases = {key: defaults()[key] for key in VERSIONS}
    stack = Stack(folder, environ, traceProbe=False, containerdTracing="image", **releases)
    known = yaml.safe_load((folder / "Pulumi.yaml").read_text())["config"]
    stack.base = {key: value for key, value in stack.base.items() if key in known}
    stack.configure()
    try:
        stack.up()
        yield stack
    finally:
        stack.finish()


def take_over(folder: Path) -> None:
    """Puts today's program in the place of the one in ``folder``, as a checkout does."""
    for part in ("components", "config_templates", "runtime_observability"):
        shutil.rmtree(folder / part, ignore_errors=True)
    copy_files(folder)


def of_networks(stack: Stack) -> dict[str, str]:
    return stack.docker.networks(f"name=traced-{stack.name}")


def test_its_nodes_and_their_pods_go_on(earlier: Stack) -> None:
    """Jaeger and the collector may be made again: their configuration is the program's."""
    stack, before, networks = earlier, earlier.ids(), of_networks(earlier)
    with a_bare_pod(stack) as pod:
        known = pod()
        take_over(stack.folder)
        beside = ("jaeger-container", "jaeger-ready", "collector-container", "collector-ready")
        assert stack.plan().replaced <= set(beside)
        stack.up()
        assert pod() == known
    assert stack.ids().keys() == before.keys()
    assert stack.ids()[stack.server] == before[stack.server]
    assert of_networks(stack) == networks
    stack.expect_no_changes()
