"""What this machine has, and so what is used of it and what is fetched or built instead.

The real tool, daemon, image or plugin is used wherever there is one; every decision carries its
reason, which `make up` prints. Examining changes nothing outside the cache. Without a docker
command no registry can be queried, so the private daemon's programs, which such a machine needs in
any case, are unpacked there at once.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lab.build.steps import Step
from lab.errors import LabError
from lab.machine import network, plugins
from lab.machine.docker import choice as docker_choice
from lab.machine.docker import start
from lab.machine.network import Look
from lab.paths import Cache
from lab.providers import VERSIONS
from lab.releases import choice, platforms
from lab.releases.choice import OVERRIDE
from lab.releases.platforms import Platform
from lab.releases.release import Release
from lab.releases.table import TOOLS
from runtime_observability.core.settings.parse import SettingsError, parse
from runtime_observability.host import docker, downloads

REGISTRY = "RUNTIME_OBSERVABILITY_REGISTRY"
"""The variable with a mirror of the images' registries; `make up` writes it to the stack's file."""


@dataclass(frozen=True)
class Machine:
    """One decision for everything that either the machine or the lab can provide."""

    cache: Cache
    tools: Mapping[str, Step]
    """The tools that PATH lacks, each with the step that fetches or builds it."""
    docker_host: str | None
    """The address of the user's daemon; None: the lab's private daemon is used."""
    lab_images: bool
    """Whether the lab builds the images, instead of pulling them from their registries."""
    stand_ins: bool
    """Whether the lab's stand-ins are used instead of the real provider plugins."""
    reasons: tuple[str, ...]
    """One line for the user per decision: what is used, and why."""

    @property
    def default_stack(self) -> str:
        """The committed stack file that fits this machine."""
        return "lab" if self.lab_images else "dev"


def examine(cache: Cache) -> Machine:
    """Decide what is used; takes a second at most once the network's answers are stored.

    Raises LabError for a system that is not supported, when DOCKER_HOST names a daemon that does
    not answer, when this user may not use the Docker socket, and for a Docker that cannot run the
    nodes.
    """
    here = platforms.this_platform()
    engine = docker_choice.choose(cache, here)
    path = path_without(cache)
    on_path = {tool.name: choice.look_on_path(tool, path) for tool in TOOLS}
    installed = plugins.find(
        VERSIONS, path, users_pulumi_home(cache), os.environ.get(plugins.IGNORE_PATH, "")
    )
    official = default_images()
    present = engine.host is not None and all(map(docker.has_image, official))
    forced = _forced()
    answers = {}
    if forced is None:
        lacking = [tool.release for tool in TOOLS if on_path[tool.name].lack]
        addresses = [
            *(address for release in lacking for address in _not_fetched(release, here, cache)),
            *([] if installed.names == VERSIONS.keys() else plugins.addresses(VERSIONS, here)),
        ]
        answers = _ask(addresses, None if present else official[0], cache)
    lab_images, images_reason = _images(official[0], forced, present, answers)
    stand_ins, plugins_reason = plugins.choose(
        VERSIONS,
        installed,
        forced=forced,
        why_not_downloaded=_first(plugins.addresses(VERSIONS, here), answers),
    )
    chosen = [
        (
            tool,
            choice.choose(
                tool,
                on_path[tool.name],
                here,
                forced=forced,
                why_not_fetched=_first(tool.release.addresses(here), answers),
                nodes_built=lab_images,
            ),
        )
        for tool in TOOLS
    ]
    return Machine(
        cache=cache,
        tools={tool.name: source.step for tool, source in chosen if source.step},
        docker_host=engine.host,
        lab_images=lab_images,
        stand_ins=stand_ins,
        reasons=(
            *(f"{tool.label}: {source.reason}" for tool, source in chosen),
            f"Docker: {engine.reason}",
            f"images: {images_reason}",
            f"provider plugins: {plugins_reason}",
            *(f"warning: {warning}" for warning in engine.warnings),
        ),
    )


def path_without(cache: Cache) -> str:
    """Return PATH as it was before `make env` put folders of the cache in front of it."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if Path(folder).parent != cache.steps)


def users_pulumi_home(cache: Cache) -> Path:
    """Return the user's own PULUMI_HOME, also in a shell that has evaluated `make env`."""
    named = os.environ.get("PULUMI_HOME")
    if named and named != str(cache.pulumi_home):
        return Path(named)
    # Not $HOME: Pulumi reads the user database (Go os/user.Current).
    return Path(pwd.getpwuid(os.getuid()).pw_dir) / ".pulumi"


def default_images() -> tuple[str, ...]:
    """Return the images of the releases that Pulumi.yaml names, that of the nodes first.

    They are the official ones, in the user's mirror if there is one. Raises LabError if its name
    cannot be used.
    """
    try:
        images = parse({"registryMirror": os.environ.get(REGISTRY, "")}).images
    except SettingsError as error:
        raise LabError(str(error)) from error
    return images.nodes, images.jaeger, images.collector


def _forced() -> bool | None:
    """Return whether the user wants the lab to build, wants downloads, or has not said."""
    return {"1": True, "0": False}.get(os.environ.get(OVERRIDE, ""))


def _ask(addresses: Iterable[str], image: str | None, cache: Cache) -> dict[str, str]:
    """Return for each file and for an image why the network does not have it."""
    looks: dict[str, Look] = {
        address: partial(downloads.why_not_there, address) for address in addresses
    }
    if image:
        if shutil.which("docker") is None:
            start.prepare(cache)
        looks[image] = partial(docker.why_not_served, image)
    return network.why_not_there(looks, cache)


def _not_fetched(release: Release, here: Platform, cache: Cache) -> tuple[str, ...]:
    """Return the addresses of a release; none once it is in the cache."""
    return () if release.step(here).output(cache).exists() else release.addresses(here)


def _first(addresses: Iterable[str], answers: Mapping[str, str]) -> str:
    """Return the first reason why one of these files cannot be downloaded; empty for none."""
    reasons = (
        f"{address} cannot be downloaded: {answers[address]}"
        for address in addresses
        if answers.get(address)
    )
    return next(reasons, "")


def _images(
    image: str, forced: bool | None, present: bool, answers: Mapping[str, str]
) -> tuple[bool, str]:
    if forced is not None:
        origin = "built by the lab" if forced else "pulled from their registries"
        return forced, f"{origin}, because {OVERRIDE}={int(forced)}"
    if present:
        return False, f"{image} and the others, found in the daemon ({OVERRIDE}=1 builds them)"
    if not answers[image]:
        return False, (
            f"pulled from their registries, because {image} can be pulled "
            f"({OVERRIDE}=1 builds them)"
        )
    return True, (
        f"built by the lab, because {image} cannot be pulled: {answers[image]} "
        f"({OVERRIDE}=0 pulls them nevertheless, {REGISTRY}=HOST/PATH from a mirror)"
    )
