"""Makes the project ready to work with on this machine, and says what a shell needs for that."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from lab import builds, daemon, images, packages
from lab.machine import Machine, path_without, users_pulumi_home
from lab.node.image import node_base
from lab.paths import PROJECT, Cache
from lab.providers import install as stand_ins
from lab.steps import LabError, Step, exclusive, prepare, progress

VENV = PROJECT / ".venv"
SCRIPTS = VENV / "bin"


def make_ready(machine: Machine, nodes: Iterable[images.Image] = ()) -> dict[str, str]:
    """Make what is missing; return the variables with which Pulumi works here.

    `nodes` are wanted besides the usual images, where images are built at all.
    """
    cache = machine.cache
    make_venv(cache, "requirements.txt")
    with progress("private Docker daemon: starting"):
        docker_host = machine.docker_host or daemon.ensure(daemon.Daemon(cache.docker)).host
    wanted = images.missing((*images.IMAGES, *nodes), docker_host) if machine.built_images else []
    own = _own_programs(machine)
    outputs = _build(cache, [*own, *(step for image in wanted for step in image.needs)])
    builds.link_tools(cache, [outputs[step.name] / program for step, program in own.items()])
    images.load(wanted, outputs, docker_host)
    if machine.stand_ins:
        stand_ins.install(cache)
    return _exports(machine, docker_host)


def build_everything(cache: Cache) -> None:
    """Build all that a machine without registries needs; start nothing and install nothing."""
    own = (builds.pulumi, builds.k3d)
    _build(cache, [*own, *(step for image in images.IMAGES for step in image.needs)])


def make_venv(cache: Cache, requirements: str) -> Path:
    """Make the project's .venv hold what a requirements file names; return its Python."""
    file = PROJECT / requirements
    stamp = VENV / f"{file.stem}.sha256"
    inputs = [file, PROJECT / "requirements.txt", PROJECT / "pyproject.toml"]
    # The folder counts, as ktrace is installed by reference to it.
    contents = b"".join(each.read_bytes() for each in inputs) + str(PROJECT).encode()
    digest = hashlib.sha256(contents)
    python = VENV / "bin" / "python"
    with exclusive(cache.root / ".venv.lock"):
        if python.exists() and stamp.exists() and stamp.read_text() == digest.hexdigest():
            return python
        if importlib.util.find_spec("ensurepip") is None:
            packages.ensure(["python3-venv"], "the project's virtual environment")
        commands: list[list[str | Path]] = [
            [
                python,
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--requirement",
                file,
                "--editable",
                PROJECT,
            ]
        ]
        # pip comes last: where it is, the virtual environment is whole.
        if not (python.exists() and (VENV / "bin" / "pip").exists()):
            commands.insert(0, [sys.executable, "-m", "venv", "--clear", VENV])
        log = cache.logs / "venv.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with (
            progress(f".venv: installing {requirements}", "about 1 min cold"),
            log.open("w") as out,
        ):
            for command in commands:
                done = subprocess.run(command, stdout=out, stderr=out, check=False)
                if done.returncode != 0:
                    said = log.read_text().strip().splitlines()[-5:]
                    raise LabError("\n".join([f".venv could not be made; log {log}:", *said]))
        stamp.write_text(digest.hexdigest())
    return python


def _own_programs(machine: Machine) -> dict[Step, str]:
    own = {
        builds.pulumi: ("pulumi", machine.own_pulumi),
        builds.k3d: ("k3d", machine.own_k3d),
        # Kubernetes takes minutes: only where the nodes need it built anyway.
        builds.kubernetes[builds.KUBERNETES]: (
            "kubectl",
            machine.own_kubectl and machine.built_images,
        ),
    }
    return {step: program for step, (program, wanted) in own.items() if wanted}


def _build(cache: Cache, steps: Sequence[Step]) -> dict[str, Path]:
    debian = any(node_base in (step, *step.needs) for step in steps)
    if debian and not node_base.output(cache).exists() and not shutil.which("debootstrap"):
        packages.ensure(["debootstrap"], "the node image")
    return prepare(cache, steps)


def _exports(machine: Machine, docker_host: str) -> dict[str, str]:
    cache = machine.cache
    # .venv comes last: of what it holds only ktrace is wanted, not another python3.
    outside = [folder for folder in path_without(cache).split(os.pathsep) if folder != str(SCRIPTS)]
    exports = {"PATH": os.pathsep.join([str(cache.bin), *outside, str(SCRIPTS)])}
    if docker_host != "unix:///var/run/docker.sock":
        exports["DOCKER_HOST"] = docker_host
    credentials = Path(os.environ.get("PULUMI_CREDENTIALS_PATH") or users_pulumi_home(cache))
    logged_in = _logged_in(credentials)
    if machine.stand_ins:
        exports["PULUMI_HOME"] = str(cache.pulumi_home)
        if logged_in:
            exports["PULUMI_CREDENTIALS_PATH"] = str(credentials)
    if machine.own_pulumi:
        exports["PULUMI_SKIP_UPDATE_CHECK"] = "true"
    if "PULUMI_BACKEND_URL" not in os.environ and not logged_in:
        exports["PULUMI_BACKEND_URL"] = f"file://{PROJECT}"
    if not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & os.environ.keys():
        exports["PULUMI_CONFIG_PASSPHRASE"] = ""
    return exports


def _logged_in(folder: Path) -> bool:
    """Whether `pulumi login` has been used (pulumi v3.259.0 sdk/go/common/workspace/creds.go)."""
    try:
        known = json.loads((folder / "credentials.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(known.get("current"))
