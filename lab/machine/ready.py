"""Makes the machine ready for Pulumi: .venv, Docker daemon, tools, images and plugins."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from lab.build import images
from lab.build.images import Image
from lab.build.steps import Step, prepare
from lab.machine import apt, shell, tools, venv
from lab.machine.docker import daemon
from lab.machine.docker.files import Daemon
from lab.machine.machine import Machine
from lab.node.image import node_base
from lab.paths import Cache
from lab.progress import progress
from lab.providers import install
from lab.providers.install import Plugin


def make_ready(
    machine: Machine, nodes: Iterable[Image] = (), plugins: Iterable[Plugin] = ()
) -> dict[str, str]:
    """Make what is missing; return the environment variables with which Pulumi works here.

    `nodes` are needed besides the default images, where the lab builds images at all; `plugins`
    besides the stand-ins, where Pulumi cannot download plugins.
    """
    cache = machine.cache
    venv.make(cache, "requirements.txt")
    with progress("private Docker daemon: starting"):
        docker_host = machine.docker_host or daemon.ensure(Daemon(cache.docker)).host
    wanted = images.missing((*images.IMAGES, *nodes), docker_host) if machine.lab_images else []
    tool_of = tools.missing(machine)
    not_downloaded = [*install.STAND_INS, *plugins] if machine.stand_ins else []
    image_steps = [step for image in wanted for step in image.needs]
    outputs = build(cache, [*tool_of, *image_steps, *(plugin.step for plugin in not_downloaded)])
    tools.link(cache, [outputs[step.name] / tool for step, tool in tool_of.items()])
    images.load(wanted, outputs, docker_host)
    install.install(cache, not_downloaded)
    return shell.variables(machine, docker_host)


def build(cache: Cache, steps: Sequence[Step]) -> dict[str, Path]:
    """Build steps, with debootstrap installed if one needs it; return every output by name."""
    debian = any(node_base in (step, *step.needs) for step in steps)
    if debian and not node_base.output(cache).exists() and not shutil.which("debootstrap"):
        apt.install(["debootstrap"], "the node image")
    return prepare(cache, steps)
