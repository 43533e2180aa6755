"""Makes the machine ready for Pulumi: .venv, Docker daemon, tools, images and plugins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.build import images
from lab.build.images import Image
from lab.build.steps import Step, prepare
from lab.errors import LabError
from lab.machine import shell, venv
from lab.machine.docker import daemon, start
from lab.machine.docker.files import Daemon
from lab.machine.machine import Machine
from lab.progress import progress
from lab.providers import install
from lab.providers.install import Plugin


@dataclass(frozen=True)
class Needs:
    """What has to be on a machine before Pulumi can run there."""

    machine: Machine
    more_images: tuple[Image, ...] = ()
    """Needed besides the default images, where the lab builds images at all."""
    plugins: tuple[Plugin, ...] = ()
    """Needed besides the stand-ins, where Pulumi cannot download plugins."""

    @property
    def images(self) -> tuple[Image, ...]:
        """The images that the daemon must have."""
        return (*images.IMAGES, *self.more_images) if self.machine.lab_images else ()

    @property
    def not_downloaded(self) -> tuple[Plugin, ...]:
        """The plugins that Pulumi must find in its folder."""
        return (*install.STAND_INS, *self.plugins) if self.machine.stand_ins else ()

    @property
    def requirements(self) -> tuple[Path, ...]:
        """What must be installed in .venv."""
        stand_ins = [venv.STAND_INS] if self.machine.stand_ins else []
        return (venv.PROGRAM, *stand_ins)

    @property
    def docker_host(self) -> str:
        """The address of the daemon, whether or not it runs."""
        return self.machine.docker_host or Daemon(self.machine.cache.docker).host

    @property
    def daemon_runs(self) -> bool:
        """Whether the daemon is the user's, or the private one runs."""
        private = Daemon(self.machine.cache.docker)
        return self.machine.docker_host is not None or daemon.answers(private)

    def steps(self, wanted: Iterable[Image]) -> list[Step]:
        """Return what must be built or downloaded for the tools, the plugins and these images."""
        of_images = (step for image in wanted for step in image.needs)
        of_plugins = (plugin.step for plugin in self.not_downloaded if plugin.step)
        return [*self.machine.tools.values(), *of_plugins, *of_images]


def make_ready(needs: Needs) -> dict[str, str]:
    """Make what is missing; return the environment variables with which Pulumi works here."""
    cache = needs.machine.cache
    venv.make(cache, *needs.requirements)
    if not needs.daemon_runs:
        start.prepare(cache)
        with progress("private Docker daemon: starting"):
            start.ensure(cache)
    wanted = images.missing(needs.images, needs.docker_host)
    outputs = prepare(cache, needs.steps(wanted))
    images.load(wanted, outputs, needs.docker_host)
    install.install(cache, needs.not_downloaded)
    return shell.variables(needs.machine, needs.docker_host)


def variables(needs: Needs) -> dict[str, str]:
    """Return the environment variables with which Pulumi works here, and change nothing.

    Raises LabError with what is missing and the command that makes it.
    """
    missing = list(_missing(needs))
    if missing:
        raise LabError(
            f"not ready yet: {', '.join(missing)}. Run `make setup` first, which makes what is "
            "missing and starts no stack; `make up` does it too"
        )
    return shell.variables(needs.machine, needs.docker_host)


def _missing(needs: Needs) -> Iterator[str]:
    cache = needs.machine.cache
    if not venv.is_current(*needs.requirements):
        yield f"{venv.VENV} lacks packages"
    if needs.daemon_runs:
        wanted: Sequence[Image] = images.missing(needs.images, needs.docker_host)
        yield from (f"image {image.reference} is not loaded" for image in wanted)
    else:
        wanted = ()
        yield "the private Docker daemon does not run"
    for step in dict.fromkeys(needs.steps(wanted)):
        if not step.output(cache).exists():
            yield f"{step.name} is not ready"
    for plugin in needs.not_downloaded:
        if not plugin.program_in(cache).exists():
            yield f"the plugin {plugin.name} is not installed"
