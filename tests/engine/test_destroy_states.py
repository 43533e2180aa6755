"""`destroy` of what other people, another program or the machine have spoilt.

It ends with nothing left, or fails and names what is left and the cure. A delete reads none of the
stack's files and runs no k3d, so one test has many such states at once.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.stack import UP_SECONDS, Stack
from tests.live.waiting import until

_CURE = "run the same pulumi command again"
_HANGS = b"#!/bin/sh\nexec sleep 3600\n"
_OF_ANOTHER_ARCHITECTURE = b"\x7fELF\x02\x01\x01" + bytes(57)


@pytest.fixture
def stranger(doomed: Stack) -> Iterator[str]:
    """Another one's container on the stack's network, which Docker starts again and again."""
    name = f"stranger-of-{doomed.name}"
    on_network = ("--network", doomed.cluster, "--restart", "always", "--entrypoint", "false")
    doomed.docker("run", "--detach", "--name", name, *on_network, node_image(doomed))
    until("a crash", lambda: is_restarting(doomed, name), 30)
    yield name
    doomed.docker("rm", "-fv", name)


def test_destroy_takes_the_rest_of_a_cluster_and_reads_no_file_of_the_stack(
    doomed: Stack, stranger: str, tmp_path: Path
) -> None:
    """All of the cluster that is left is a node that somebody has added."""
    k3d_node_create(doomed)
    volumes = volumes_of(doomed, doomed.server)
    doomed.docker("rm", "-f", doomed.server)
    for name in ("kubeconfig", "cluster.kept"):  # as Docker does for a mount of what is not there
        (doomed.directory / name).unlink()
        (doomed.directory / name).mkdir()
    (doomed.directory / "cluster.json").write_bytes(bytes(range(256)))
    for script in (doomed.folder / "runtime_observability/host/scripts").iterdir():
        script.write_bytes(script.read_bytes().replace(b"\n", b"\r\n"))
    with renamed_folder(doomed) as before, a_k3d(doomed, tmp_path, _HANGS):
        destroyed = doomed.destroy()
        assert doomed.left_overs() == set()
        assert doomed.state == {}
        assert not before.exists()
    assert volumes
    assert volumes.isdisjoint(doomed.docker("volume", "ls", "-q").split())
    assert "Traceback" not in destroyed.said
    assert doomed.docker.exists(stranger)


def test_destroy_tells_of_a_folder_that_cannot_be_changed_and_goes_on_afterwards(
    doomed: Stack, tmp_path: Path
) -> None:
    """Afterwards its disk is full."""
    before = doomed.ids()
    doomed.docker("stop", "--time", "5", doomed.server)
    (doomed.directory / "kubeconfig").write_text("apiVersion: v1\nkind: Config\nclusters: []\n")
    (doomed.directory / "cluster.json").write_text("{}")
    with a_k3d(doomed, tmp_path, _OF_ANOTHER_ARCHITECTURE):
        with read_only(doomed.directory):
            refused = doomed.start("destroy", "--yes", "--skip-preview").wait(UP_SECONDS).failed()
        told = "/(cluster|backends).kept was not removed, for the reason above"
        assert re.search(re.escape(str(doomed.directory)) + told, refused.said)
        assert _CURE in refused.said
        assert "Traceback" not in refused.said
        assert doomed.ids() == before
        with full(doomed.directory.parent, tmp_path):
            doomed.destroy()
            assert doomed.left_overs() == set()
    assert doomed.state == {}


def node_image(stack: Stack) -> str:
    image: str = stack.docker.inspect(stack.server)["Config"]["Image"]
    return image


def volumes_of(stack: Stack, container: str) -> set[str]:
    mounts = stack.docker.inspect(container)["Mounts"]
    return {mount["Name"] for mount in mounts if mount["Type"] == "volume"}


def is_restarting(stack: Stack, name: str) -> bool:
    restarting: bool = stack.docker.inspect(name)["State"]["Restarting"]
    return restarting


def k3d_node_create(stack: Stack) -> None:
    """What a user types to have one more node; k3d gives it no label of the stack."""
    tools = stack.base.get("k3dToolsImage")
    own = {"K3D_IMAGE_TOOLS": str(tools)} if tools else {}
    to_cluster = ("--cluster", stack.cluster, "--image", node_image(stack), "--wait=false")
    subprocess.run(
        ["k3d", "node", "create", "extra", *to_cluster],
        env={**stack.environment, **own},
        capture_output=True,
        check=True,
    )


@contextmanager
def a_k3d(stack: Stack, folder: Path, program: bytes) -> Iterator[None]:
    """``program`` is the k3d on PATH."""
    k3d = folder / "bin" / "k3d"
    k3d.parent.mkdir()
    k3d.write_bytes(program)
    k3d.chmod(0o755)
    before = stack.environment
    stack.environment = {**before, "PATH": f"{k3d.parent}:{before['PATH']}"}
    try:
        yield
    finally:
        stack.environment = before


@contextmanager
def renamed_folder(stack: Stack) -> Iterator[Path]:
    """The project's folder, with Pulumi's state in it, has another name; yields the one before."""
    before, environment = stack.folder, stack.environment
    after = before.with_name("renamed")
    before.rename(after)
    stack.folder = after
    stack.environment = {**environment, "PULUMI_BACKEND_URL": f"file://{after}"}
    try:
        yield before
    finally:
        after.rename(before)
        stack.folder, stack.environment = before, environment


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing in ``folder`` can be removed. No mode stops root, so root mounts it read-only."""
    if os.geteuid() != 0:
        folder.chmod(0o500)
        try:
            yield
        finally:
            folder.chmod(0o700)
        return
    _mount("--bind", folder, folder)
    try:
        _mount("-o", "remount,bind,ro", folder)
        yield
    finally:
        _unmount(folder)


@contextmanager
def full(folder: Path, scratch: Path) -> Iterator[None]:
    """What is in ``folder`` is on a disk without a free byte; only root can make one."""
    if os.geteuid() != 0:
        yield
        return
    copy = scratch / "copy"
    folder.rename(copy)
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", "size=1m", "test", folder)
    try:
        subprocess.run(["cp", "-a", f"{copy}/.", folder], check=True)
        filled = subprocess.run(
            ["dd", "if=/dev/zero", f"of={folder / 'rest'}"], capture_output=True, check=False
        )
        assert b"No space left" in filled.stderr
        yield
    finally:
        _unmount(folder)


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", "--no-mtab", *arguments], check=True)


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "--no-mtab", "--lazy", folder], check=True)
