"""One stack in a private copy of the project, driven through the real ``pulumi`` command."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from runtime_observability.core.naming import PROJECT as PROJECT_NAME
from runtime_observability.core.naming import Names
from tests.configuration import PROJECT, of_stack_file
from tests.live import environment, ports
from tests.live.command import Run, Running
from tests.live.docker import Docker
from tests.live.plan import Plan, short_name
from tests.live.waiting import until

UP_SECONDS = 600.0
"""The first up pulls every image and may build one; this is far more than it needs."""


def copy_project(to: Path) -> Path:
    """Copies the project's files, and links the virtual environment."""
    copy_files(to)
    (to / ".venv").symlink_to(PROJECT / ".venv")
    return to


def copy_files(to: Path) -> Path:
    """Copies the files that git tracks, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, to / name)
    return to


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_text())
    except (OSError, ValueError):
        return False
    return True


class Stack:
    """A stack named ``name`` in ``folder``, a copy of the project with a state of its own."""

    def __init__(
        self, folder: Path, environ: Mapping[str, str], name: str | None = None, **config: Any
    ) -> None:
        """``config``: settings that the stack always has, besides its images and ports."""
        self.name = name or f"t{secrets.token_hex(4)}"
        self.folder = folder
        self.environment = environment.of_stack(environ, folder)
        self.docker = Docker(self.environment)
        self.offset = ports.free_offset()
        self._settled: dict[str, Any] | None = None
        self._file = folder / f"Pulumi.{self.name}.yaml"
        images = of_stack_file(environ[environment.DEFAULT_STACK])
        self.base: Mapping[str, Any] = {**images, "portOffset": self.offset, **config}
        self._file.write_text(yaml.safe_dump({"config": {}}))
        self.configure()
        self.pulumi("stack", "init", self.name)

    # Names

    @property
    def cluster(self) -> str:
        return f"traced-{self.name}"

    @property
    def server(self) -> str:
        return f"k3d-{self.cluster}-server-0"

    @property
    def rehearsal(self) -> str:
        """The cluster in which a replacement is rehearsed."""
        return Names(self.name, self.folder).rehearsal

    @property
    def jaeger(self) -> str:
        return f"traced-{self.name}-jaeger"

    @property
    def collector(self) -> str:
        return f"traced-{self.name}-collector"

    @property
    def retention(self) -> str:
        """The container that deletes old indices."""
        return f"traced-{self.name}-retention"

    @property
    def directory(self) -> Path:
        return self.folder / ".stacks" / self.name

    @property
    def ports(self) -> dict[str, int]:
        return {key: default + self.offset for key, default in ports.defaults().items()}

    @property
    def jaeger_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['jaegerUiPort']}"

    # Configuration

    @property
    def config(self) -> dict[str, Any]:
        """The settings in the stack's file; every other key has its default."""
        config = yaml.safe_load(self._file.read_text())["config"]
        return {key.partition(":")[2]: value for key, value in config.items()}

    def configure(self, **keys: Any) -> None:
        """Sets the stack's configuration to ``base`` and ``keys``."""
        document = yaml.safe_load(self._file.read_text())
        document["config"] = {
            f"{PROJECT_NAME}:{key}": value for key, value in ({**self.base, **keys}).items()
        }
        self._file.write_text(yaml.safe_dump(document))

    # pulumi

    def start(self, *arguments: str) -> Running:
        if arguments[0] != "stack":
            self._settled = None
        argv = ["pulumi", *arguments, "--non-interactive", "--color", "never"]
        if arguments[:2] != ("stack", "init"):
            argv += ["--stack", self.name]
        return Running(argv, self.folder, self.environment, self.folder.parent / "runs")

    def pulumi(self, *arguments: str, seconds: float = UP_SECONDS) -> Run:
        """The finished ``pulumi arguments``; AssertionError when it fails."""
        return self.start(*arguments).wait(seconds).succeeded()

    def up(self) -> Run:
        run = self.pulumi("up", "--yes", "--skip-preview")
        self._settled = self.config
        return run

    def up_as_planned(self) -> Run:
        """The up of a preview's plan, which Pulumi lets do nothing else."""
        plan = str(self.folder.parent / "plan.json")
        self.pulumi("preview", "--save-plan", plan)
        return self.pulumi("up", "--yes", "--skip-preview", "--plan", plan)

    def settle(self, **keys: Any) -> None:
        """Runs up with ``keys``, unless an up with the same settings was the last command."""
        self.configure(**keys)
        if self._settled != self.config:
            self.up()

    @contextmanager
    def disturbed(self) -> Iterator[None]:
        """For a test that breaks the stack and repairs it: if it fails, the next test runs up."""
        settled, self._settled = self._settled, None
        yield
        self._settled = settled

    def refused_up(self) -> Run:
        return self.start("up", "--yes", "--skip-preview").wait(UP_SECONDS).failed()

    def destroy(self) -> Run:
        return self.pulumi("destroy", "--yes", "--skip-preview")

    def plan(self) -> Plan:
        return Plan.read(self.pulumi("preview", "--json").stdout)

    def expect_no_changes(self) -> None:
        self.pulumi("preview", "--expect-no-changes")
        self._settled = self.config

    @property
    def outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json").stdout)
        return outputs

    @property
    def state(self) -> dict[str, dict[str, Any]]:
        """The state's resources by name, without the stack itself and the providers."""
        exported = json.loads(self.pulumi("stack", "export").stdout)
        return {
            short_name(resource["urn"]): resource
            for resource in exported["deployment"].get("resources") or []
            if not resource["type"].startswith("pulumi:")
        }

    def unlock(self) -> None:
        """What a user does after a kill (docs/troubleshooting.md): puts Pulumi's state of before in
        place of half a file, removes half a file of its attributes, and runs `pulumi cancel` if a
        lock is left."""
        state = self.folder / ".pulumi" / "stacks" / PROJECT_NAME / f"{self.name}.json"
        backup = state.with_name(f"{state.name}.bak")
        if backup.exists() and not _is_json(state):
            shutil.copy(backup, state)
        attributes = state.with_name(f"{state.name}.attrs")
        if attributes.exists() and not _is_json(attributes):
            attributes.unlink()
        locks = self.folder / ".pulumi" / "locks"
        if any(path.match(f"{self.name}/*.json") for path in locks.rglob("*")):
            self.pulumi("cancel", "--yes")

    # Docker and the cluster

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        """Standard output of ``kubectl arguments``."""
        done = subprocess.run(
            ["kubectl", "--kubeconfig", str(self.directory / "kubeconfig"), *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def ids(self) -> dict[str, str]:
        """Container ids by name: the same ids are the same containers."""
        return self.docker.containers(f"label=runtime-observability.folder={self.folder}")

    def delete_cluster_by_hand(self) -> None:
        subprocess.run(
            ["k3d", "cluster", "delete", self.cluster],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def up_until_its_first_node_is_there(self) -> Running:
        """An ``up`` in the middle of creating the cluster."""
        running = self.start("up", "--yes", "--skip-preview")
        until(
            f"container {self.server}",
            lambda: self.docker.exists(self.server) or running.ended(),
            UP_SECONDS,
            every=0.05,
        )
        if running.ended():
            raise AssertionError(f"up ended too soon:\n{running.wait(0).said}")
        return running

    # Removal

    def left_overs(self) -> set[str]:
        """Everything of this stack in Docker and in its folder."""
        folders = {f"folder {self.directory}"} if self.directory.exists() else set()
        return self.objects() | folders

    def objects(self) -> set[str]:
        """Everything of this stack in Docker, its rehearsal included."""
        return self.docker.of_stack(self.name) | self.docker.matching(f"name={self.rehearsal}")

    def finish(self) -> None:
        """Destroys the stack; AssertionError if anything of it is left."""
        try:
            self.end_orphans()
            self.start("cancel", "--yes").wait(60)
            self.destroy()
            left = self.left_overs()
            if left:
                raise AssertionError(f"destroy left {', '.join(sorted(left))}")
        finally:
            self.end_orphans()
            self.remove_by_hand()

    def orphans(self) -> dict[int, str]:
        """Processes that work for this stack, found by their environment: command line by pid."""
        mark = f"PULUMI_BACKEND_URL={self.environment['PULUMI_BACKEND_URL']}".encode()
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    words = (process / "cmdline").read_bytes().split(b"\0")
                    found[int(process.name)] = b" ".join(words).decode(errors="replace").strip()
        return found

    def end_orphans(self) -> None:
        """Ends processes that killed runs of this stack left running, such as providers or k3d."""
        for pid in self.orphans():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def remove_by_hand(self) -> None:
        """Removes what Docker has of it, so that a failed test does not affect others."""
        kinds = {
            "container": ("rm", "-fv"),
            "network": ("network", "rm"),
            "volume": ("volume", "rm"),
        }
        for left in sorted(self.objects()):
            kind, name = left.split()
            self.docker(*kinds[kind], name, check=False)
