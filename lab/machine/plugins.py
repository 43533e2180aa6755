"""Where Pulumi finds a provider plugin that is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.releases.choice import OVERRIDE
from lab.releases.platforms import Platform

SITE = "https://get.pulumi.com/releases/plugins"
IGNORE_PATH = "PULUMI_IGNORE_AMBIENT_PLUGINS"
"""Pulumi's variable: with 1 or true, PATH is not searched for plugins."""

NO_DOWNLOADS = "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"
"""Pulumi's variable: with true, a plugin that is not installed is an error."""

OVERRIDES = "PULUMI_PLUGIN_DOWNLOAD_URL_OVERRIDES"
"""Pulumi's variable: other addresses for the plugins of a site."""


@dataclass(frozen=True)
class Installed:
    """The installed plugins by name, in the two places where Pulumi looks."""

    on_path: Mapping[str, str]
    """Programs on PATH: used first, and whatever their version."""
    in_home: Mapping[str, Path]
    """Their folders in PULUMI_HOME, of exactly the version that the SDK requires."""

    @property
    def names(self) -> set[str]:
        """The plugins that Pulumi finds."""
        return {*self.on_path, *self.in_home}

    @property
    def warnings(self) -> list[str]:
        """A line for each plugin on PATH: it may be another version, and Pulumi takes it first."""
        return [
            f"{name} from PATH, whatever its version: {program} ({IGNORE_PATH}=true ignores it)"
            for name, program in self.on_path.items()
        ]


def find(versions: Mapping[str, str], path: str, home: Path, ignore_path: str) -> Installed:
    """Look where Pulumi looks (sdk v3.259.0 go/common/workspace/plugins.go, getPluginInfoAndPath).

    `home` is the user's PULUMI_HOME, `ignore_path` the value of PULUMI_IGNORE_AMBIENT_PLUGINS.
    """
    on_path = {
        name: program
        for name in versions
        if ignore_path.lower() not in ("1", "true")
        and (program := shutil.which(f"pulumi-resource-{name}", path=path))
    }
    in_home = {
        name: folder
        for name, version in versions.items()
        if _is_complete(folder := home / "plugins" / f"resource-{name}-v{version}", name)
    }
    return Installed(on_path, in_home)


def addresses(versions: Mapping[str, str], here: Platform) -> list[str]:
    """Return where Pulumi downloads the plugins from."""
    return [
        f"{SITE}/pulumi-resource-{name}-v{version}-{here}.tar.gz"
        for name, version in versions.items()
    ]


def from_mirror(mirror: str) -> dict[str, str]:
    """Return the variables with which Pulumi downloads its plugins from a mirror, empty for none.

    Without them it asks GitHub (sdk v3.259.0 go/common/workspace/plugins.go, GetSource); the
    syntax `PATTERN=ADDRESS,…` has no escapes, and the user's own value is kept.
    """
    if not mirror or OVERRIDES in os.environ or {"=", ","} & set(mirror):
        return {}
    place = f"{mirror.rstrip('/')}/{SITE.removeprefix('https://')}"
    return {OVERRIDES: f"^github://api.github.com/pulumi/={place}"}


def choose(
    versions: Mapping[str, str],
    installed: Installed,
    *,
    forced: bool | None,
    why_not_downloaded: str,
) -> tuple[bool, str]:
    """Return whether the lab's stand-ins are used, and why.

    `forced` is True where the user wants the lab to build, False where the user wants downloads,
    None where the network decides: `why_not_downloaded` is empty if Pulumi can download.
    """
    stand_ins, reason = _decide(versions, installed, forced, why_not_downloaded)
    return stand_ins, "; ".join(filter(None, (reason, *installed.warnings)))


def _decide(
    versions: Mapping[str, str], installed: Installed, forced: bool | None, why_not: str
) -> tuple[bool, str]:
    named = " and ".join(f"{name} {version}" for name, version in versions.items())
    if installed.names == versions.keys():
        return False, _in_home(versions, installed)
    if forced is not None:
        return (
            forced,
            f"{'stand-ins' if forced else 'downloaded'}, because {OVERRIDE}={int(forced)}",
        )
    if not why_not:
        return False, f"{named}, downloaded by Pulumi ({OVERRIDE}=1 uses stand-ins)"
    return True, (
        f"stand-ins for {named}, because {why_not} ({OVERRIDE}=0 downloads them nevertheless)"
    )


def _in_home(versions: Mapping[str, str], installed: Installed) -> str:
    """Return the plugins that Pulumi takes from PULUMI_HOME; empty where all are on PATH."""
    folders = [
        folder for name, folder in installed.in_home.items() if name not in installed.on_path
    ]
    named = [f"{name} {versions[name]}" for name in versions if name not in installed.on_path]
    return f"{' and '.join(named)}, installed in {folders[0].parent}" if named else ""


def _is_complete(folder: Path, name: str) -> bool:
    """Whether a plugin is installed there; a file beside the folder marks one that is not yet."""
    unfinished = folder.with_name(f"{folder.name}.partial")
    return (folder / f"pulumi-resource-{name}").is_file() and not unfinished.exists()
