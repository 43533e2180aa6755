"""A user's first hour with the Makefile: in a folder with a blank, from a cache of its own.

Only the outputs of build steps are shared with the machine's cache: what takes minutes to build.
Even the private daemon is another one, so that `make clean` can be seen to remove everything.
"""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import yaml

from lab.machine.machine import path_without
from lab.paths import Cache
from tests.live.docker import Docker
from tests.live.stack import copy_files
from tests.live.waiting import until

COLUMNS = 44
OURS = ("PULUMI_", "RUNTIME_OBSERVABILITY_", "MAKE", "MFLAGS", "KUBECONFIG", "VIRTUAL_ENV", "STACK")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


@dataclass
class User:
    """Somebody with a clone of the project and its commands."""

    clone: Path
    environ: dict[str, str]
    made: set[str] = field(default_factory=set)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *arguments],
            cwd=self.clone,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def done(self, *arguments: str) -> str:
        """The output of a command that succeeds."""
        run = self.make(*arguments)
        assert run.returncode == 0, f"make {' '.join(arguments)}:\n{run.stdout}\n{run.stderr}"
        return run.stdout

    def shell(self) -> dict[str, str]:
        """The environment of a shell that has evaluated `make env`."""
        shown = subprocess.run(
            ["sh", "-c", 'eval "$(make -s env)"; exec env -0'],
            cwd=self.clone,
            env=self.environ,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        return dict(entry.split("=", 1) for entry in shown.split("\0") if entry)

    def docker(self) -> Docker:
        return Docker(self.shell())


class Terminal:
    """`make` on a terminal of 44 columns."""

    def __init__(self, user: User, *arguments: str) -> None:
        self.pid, self._end = pty.fork()
        if self.pid == 0:
            os.chdir(user.clone)
            environ = {**user.environ, "TERM": "xterm", "COLUMNS": str(COLUMNS)}
            os.execvpe("make", ["make", *arguments], environ)  # noqa: S606
        self.shown = ""

    def read(self) -> bool:
        """Reads what is there; False once everything is closed."""
        try:
            chunk = os.read(self._end, 65536)
        except OSError:  # Linux: the last process has closed it
            chunk = b""
        self.shown += chunk.decode(errors="replace")
        return bool(chunk)

    def until(self, text: str) -> None:
        while text not in self.shown:
            assert self.read(), f"{text!r} was not shown:\n{self.shown}"

    def press_ctrl_c(self) -> None:
        os.write(self._end, b"\x03")

    def end(self) -> int:
        """The exit code of make."""
        while self.read():
            pass
        os.close(self._end)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    usual = Cache.of_this_user()
    root = Path(tempfile.mkdtemp(prefix="ro-"))  # short: a unix socket's path has a limit
    cache = Cache(root / "cache")
    if usual.steps.is_dir():
        shutil.copytree(usual.steps, cache.steps, symlinks=True, copy_function=_link)
    environ = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
    if environ.get("DOCKER_HOST", "").startswith(f"unix://{usual.root}/"):
        del environ["DOCKER_HOST"]
    user = User(
        copy_files(tmp_path / "a clone"),
        {**environ, "PATH": path_without(usual), "RUNTIME_OBSERVABILITY_CACHE": str(cache.root)},
    )
    try:
        yield user
    finally:
        for arguments in (["down", "STACK=second"], ["down"], ["lab-stop"]):
            if cache.root.exists():
                user.make(*arguments)
        user.make("clean")
        # The folder of a daemon that still runs is kept: another command can stop it.
        assert not cache.docker.exists(), user.done("clean")
        shutil.rmtree(root)


@pytest.mark.timeout(900)
def test_the_commands_of_the_makefile(user: User) -> None:
    root = Path(user.environ["RUNTIME_OBSERVABILITY_CACHE"])

    refused = user.make("-s", "env")
    assert (refused.returncode != 0, refused.stdout) == (True, "")
    assert "not ready yet" in refused.stderr
    assert "make setup" in refused.stderr
    assert not (user.clone / ".venv").exists(), "env makes nothing"

    assert "Ready for stack" in user.done("setup")
    before = user.done("-s", "env")
    assert "KUBECONFIG" not in before
    docker, own = user.docker(), f"label=runtime-observability.folder={user.clone}"
    nodes = partial(docker.containers, own, "name=server-0")
    assert docker.containers(own) == {}

    terminal = Terminal(user, "up")
    terminal.until("Creating")
    until("the cluster's node", nodes, 120)
    terminal.press_ctrl_c()
    assert terminal.end() != 0
    assert "stopped; run the same command again to continue" in terminal.shown

    shown = user.done("up")
    assert "is up." in shown
    assert "firstTraceUrl" in shown
    shell = user.shell()
    assert "KUBECONFIG" in shell
    plugin = ["kubectl", "ktrace", "--version"]
    assert subprocess.check_output(plugin, env=shell, text=True).startswith("ktrace ")
    first = nodes()
    user.done("up")
    assert nodes() == first, "the second up changes nothing"

    user.done("up", "STACK=second")
    second = yaml.safe_load((user.clone / "Pulumi.second.yaml").read_text())["config"]
    assert int(second["runtime-observability:portOffset"]) >= 100, "on ports of its own"
    assert first.items() < nodes().items(), "side by side"
    listed = user.make("clean")
    assert (listed.returncode != 0, root.exists()) == (True, True), "clean keeps what runs"

    user.done("down", "STACK=second")
    assert nodes() == first
    for _ in range(2):
        assert "Nothing is left of stack" in user.done("down")
    assert nodes() == {}

    user.done("clean")
    assert not root.exists()
    assert not (user.clone / ".venv").exists()
    user.done("clean")


def test_a_ctrl_c_while_the_machine_is_made_ready_loses_nothing(user: User) -> None:
    with subprocess.Popen(
        ["make", "setup"],
        cwd=user.clone,
        env=user.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert ".venv: installing" in process.stderr.readline()
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode != 0
    assert "stopped; run the same command again to continue" in said
    assert "Traceback" not in said
    assert "Ready for stack" in user.done("setup")
