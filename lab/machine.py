"""What this machine has, and so what is used of it and what the lab has to make.

Where the real thing is at hand it is used; every decision carries its reason, for `make up` to
print. Looking changes nothing, except that a machine without a docker command, which can't ask for
an image, gets the private daemon's packages at once: it would need them next.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import pwd
import re
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lab import daemon
from lab.paths import PROJECT, Cache
from lab.providers import VERSIONS
from lab.steps import LabError
from runtime_observability.core.compatibility import k3s_image
from runtime_observability.core.versions import Version
from runtime_observability.host import runner
from runtime_observability.host.docker import architecture, command_line_host, is_served

OLDEST_PULUMI = (3, 238, 0)
OLDEST_K3D = (5, 7, 0)
PLUGINS_SITE = "https://get.pulumi.com/releases/plugins"
SECONDS_A_SITE_HAS = 3.0
SECONDS_AN_ANSWER_HOLDS = 600.0


@dataclass(frozen=True)
class Machine:
    """One decision for each thing that can be had in two ways."""

    cache: Cache
    own_pulumi: bool
    """Whether the lab's Pulumi is used, for want of one on PATH."""
    own_k3d: bool
    own_kubectl: bool
    docker_host: str | None
    """Where the user's daemon listens; None: the lab's private daemon is used."""
    built_images: bool
    stand_ins: bool
    reasons: tuple[str, ...]

    @property
    def default_stack(self) -> str:
        """The committed stack file that fits this machine."""
        return "lab" if self.built_images else "dev"


def look(cache: Cache) -> Machine:
    """Decide what is used; a second at most once the answers of the network are known."""
    pulumi, pulumi_reason = _tool("pulumi", ["version"], OLDEST_PULUMI, cache)
    k3d, k3d_reason = _tool("k3d", ["version"], OLDEST_K3D, cache)
    docker_host, docker_reason = _docker(cache)
    images, images_reason = _images(cache)
    stand_ins, plugins_reason = _plugins(cache)
    return Machine(
        cache=cache,
        own_pulumi=pulumi is None,
        own_k3d=k3d is None,
        own_kubectl=shutil.which("kubectl", path=path_without(cache)) is None,
        docker_host=docker_host,
        built_images=images,
        stand_ins=stand_ins,
        reasons=(
            f"Pulumi CLI: {pulumi_reason}",
            f"k3d: {k3d_reason}",
            f"Docker: {docker_reason}",
            f"images: {images_reason}",
            f"provider plugins: {plugins_reason}",
        ),
    )


def path_without(cache: Cache) -> str:
    """Return PATH as it was before `make env` put the cache's folder in front of it."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if folder != str(cache.bin))


def users_pulumi_home(cache: Cache) -> Path:
    """Return the user's own PULUMI_HOME, also in a shell that has evaluated `make env`."""
    given = os.environ.get("PULUMI_HOME")
    if given and given != str(cache.pulumi_home):
        return Path(given)
    # Not $HOME: Pulumi asks the user database (Go os/user.Current).
    return Path(pwd.getpwuid(os.getuid()).pw_dir) / ".pulumi"


def _tool(
    name: str, version_arguments: Sequence[str], oldest: tuple[int, ...], cache: Cache
) -> tuple[str | None, str]:
    program = shutil.which(name, path=path_without(cache))
    if program is None:
        return None, "built by the lab, as none is on PATH"
    done = subprocess.run(
        [program, *version_arguments], capture_output=True, text=True, check=False
    )
    found = re.search(r"v?(\d+)\.(\d+)\.(\d+)", done.stdout)
    if found is None or tuple(map(int, found.groups())) < oldest:
        wanted = ".".join(map(str, oldest))
        said = found.group() if found else f"{done.stdout}{done.stderr}".strip() or "nothing"
        return None, f"built by the lab, as {program} is not {wanted} or newer (it says {said})"
    return program, f"{program} ({found.group()}), found on PATH"


def _docker(cache: Cache) -> tuple[str | None, str]:
    private = daemon.Daemon(cache.docker).host
    given = os.environ.get("DOCKER_HOST")
    if given == private:
        return None, f"the lab's private daemon at {private}, named by DOCKER_HOST"
    if shutil.which("docker") is None:
        return None, "a private daemon, as there is no docker command"
    asking = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        asked = runner.run(asking, timeout=15)
        if asked.code == 0:
            # The provider plugin doesn't read docker's current context, the command does.
            host = given or command_line_host()
            return host, f"the daemon at {host}, version {asked.stdout.strip()}, which answers"
        complaint = (asked.stderr.strip() or "nothing").splitlines()[-1]
    except runner.CommandError as error:
        complaint = str(error)
    if given:
        raise LabError(
            f"DOCKER_HOST={given} does not answer ({complaint}). Start that daemon, or unset "
            "DOCKER_HOST to let the lab look for another or run its own"
        )
    return None, f"a private daemon, as docker says: {complaint}"


def _images(cache: Cache) -> tuple[bool, str]:
    forced = os.environ.get("RUNTIME_OBSERVABILITY_LAB")
    if forced in ("0", "1"):
        origin = "built by the lab" if forced == "1" else "from their registries"
        return forced == "1", f"{origin}, as RUNTIME_OBSERVABILITY_LAB={forced} says"
    image = default_node_image()
    if shutil.which("docker") is None:
        daemon.install()
    if _remembered(image, lambda: is_served(image), cache):
        return False, f"from their registries, as {image} can be had"
    return True, f"built by the lab, as {image} can't be had"


def default_node_image() -> str:
    """Return the official image of the k3s release that Pulumi.yaml names."""
    schema = (PROJECT / "Pulumi.yaml").read_text(encoding="utf-8")
    release = re.search(r"^  k3sVersion:\n +type: string\n +default: (\S+)$", schema, re.MULTILINE)
    if release is None:
        raise LabError("Pulumi.yaml names no default for k3sVersion")
    return k3s_image(Version.parse(release[1]))


def _plugins(cache: Cache) -> tuple[bool, str]:
    plugins = [f"resource-{name}-v{version}" for name, version in VERSIONS.items()]
    named = " and ".join(f"{name} {version}" for name, version in VERSIONS.items())
    installed = users_pulumi_home(cache) / "plugins"
    if all((installed / plugin).is_dir() for plugin in plugins):
        return False, f"{named}, installed in {installed}"
    forced = os.environ.get("RUNTIME_OBSERVABILITY_LAB")
    if forced in ("0", "1"):
        origin = "stand-ins" if forced == "1" else "downloaded"
        return forced == "1", f"{origin}, as RUNTIME_OBSERVABILITY_LAB={forced} says"
    system = f"{platform.system().lower()}-{architecture(platform.machine())}"
    urls = [f"{PLUGINS_SITE}/pulumi-{plugin}-{system}.tar.gz" for plugin in plugins]
    if all(_remembered(url, partial(_answers, url), cache) for url in urls):
        return False, f"{named}, downloaded by Pulumi"
    return True, f"stand-ins for {named}, as {PLUGINS_SITE} can't be reached"


def _remembered(question: str, ask: Callable[[], bool], cache: Cache) -> bool:
    """An answer of the network, which holds for ten minutes."""
    memory = cache.root / "reachable.json"
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    answer, told_at = known.get(question, (False, 0.0))
    if 0 <= time.time() - told_at < SECONDS_AN_ANSWER_HOLDS:
        return bool(answer)
    answer = ask()
    cache.root.mkdir(parents=True, exist_ok=True)
    memory.write_text(json.dumps({**known, question: (answer, time.time())}))
    return answer


def _answers(url: str) -> bool:
    """Whether a site has a file."""
    answers = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - constant https sites
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(request, timeout=SECONDS_A_SITE_HAS),  # noqa: S310
        ):
            answers.set()

    # A thread, because no timeout bounds the look-up of a name where its servers don't answer.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(2 * SECONDS_A_SITE_HAS)
    return answers.is_set()
