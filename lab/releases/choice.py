"""Where a tool comes from: PATH, else its official release, else the lab builds it."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from urllib.parse import urlsplit

from lab.build.steps import Step
from lab.errors import LabError
from lab.releases.platforms import Platform
from lab.releases.table import Tool
from runtime_observability.core.versions import Version
from runtime_observability.host import downloads

OVERRIDE = "RUNTIME_OBSERVABILITY_LAB"
"""The variable that decides instead of the network: 1 builds, 0 downloads."""


@dataclass(frozen=True)
class OnPath:
    """What PATH has of a tool: a program that is used, or the reason why none is."""

    program: str = ""
    version: str = ""
    lack: str = ""


@dataclass(frozen=True)
class Choice:
    """The step that provides a tool, None for the program on PATH or for none; and the reason."""

    step: Step | None
    reason: str


def look_on_path(tool: Tool, path: str) -> OnPath:
    """Return what PATH has of a tool; a program is run for its version."""
    program = shutil.which(tool.name, path=path)
    if program is None:
        return OnPath(lack="none is on PATH")
    try:
        done = subprocess.run(
            [program, *tool.version_arguments], capture_output=True, text=True, check=False
        )
        output, complaint = done.stdout, done.stderr
    except OSError as error:  # for another architecture, or without its interpreter
        output, complaint = "", str(error)
    found = re.search(r"v?\d+\.\d+\.\d+", output)
    if found and (tool.oldest is None or Version.parse(found[0]) >= tool.oldest):
        return OnPath(program, found[0])
    version = found[0] if found else f"{output}{complaint}".strip() or "nothing"
    wanted = f" and {tool.oldest} or newer is needed" if tool.oldest else ", not a version"
    return OnPath(lack=f"{program} reports {version}{wanted}")


def choose(
    tool: Tool,
    on_path: OnPath,
    platform: Platform,
    *,
    forced: bool | None,
    why_not_fetched: str,
    nodes_built: bool,
) -> Choice:
    """Decide on one tool.

    `forced` is True where the user wants the lab to build, False where the user wants downloads,
    None where the network decides: `why_not_fetched` is empty if the release can be fetched.
    `nodes_built` says whether the lab builds the nodes' Kubernetes in any case.
    """
    if on_path.program:
        return Choice(None, f"{on_path.program} ({on_path.version}), found on PATH")
    release = tool.release
    if forced is False or (forced is None and not why_not_fetched):
        site = _site(release.address(platform))
        because = f"because {on_path.lack}"
        word = f"and {OVERRIDE}=0" if forced is False else f"({OVERRIDE}=1 builds it)"
        return Choice(
            release.step(platform),
            f"the official release {release.version} from {site}, {because} {word}",
        )
    cannot = f"{OVERRIDE}=1" if forced else why_not_fetched
    cure = "" if forced else f" ({OVERRIDE}=0 downloads it nevertheless)"
    if tool.built_with_nodes and not nodes_built:
        return Choice(
            None,
            f"none, because {on_path.lack} and {cannot}; `make up` does not need it{cure}",
        )
    return Choice(tool.built, f"built by the lab, because {on_path.lack} and {cannot}{cure}")


def _site(address: str) -> str:
    """Return the host that a file is fetched from; raises LabError for a mirror that is none."""
    try:
        return urlsplit(downloads.location(address)).hostname or address
    except downloads.DownloadError as error:
        raise LabError(str(error)) from error
