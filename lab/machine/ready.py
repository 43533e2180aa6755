"""Makes the machine ready for Pulumi: .venv, Docker daemon, tools, images and plugins."""

from __future__ import annotations

from collections.abc import Iterable

from lab.build import images
from lab.build.images import Image
from lab.build.steps import prepare
from lab.machine import shell, tools, venv
from lab.machine.docker import start
from lab.machine.machine import Machine
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
        docker_host = machine.docker_host or start.ensure(cache).host
    wanted = images.missing((*images.IMAGES, *nodes), docker_host) if machine.lab_images else []
    tool_of = tools.missing(machine)
    not_downloaded = [*install.STAND_INS, *plugins] if machine.stand_ins else []
    image_steps = [step for image in wanted for step in image.needs]
    outputs = prepare(cache, [*tool_of, *image_steps, *(plugin.step for plugin in not_downloaded)])
    tools.link(cache, [outputs[step.name] / tool for step, tool in tool_of.items()])
    images.load(wanted, outputs, docker_host)
    install.install(cache, not_downloaded)
    return shell.variables(machine, docker_host)
