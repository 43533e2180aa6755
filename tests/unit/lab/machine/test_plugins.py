"""Where Pulumi finds provider plugins, and which are used."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.machine import plugins
from lab.machine.plugins import Installed
from lab.releases.platforms import Platform

VERSIONS = {"command": "1.2.1", "docker": "5.2.0"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def program(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def install(home: Path, name: str, version: str) -> Path:
    folder = home / "plugins" / f"resource-{name}-v{version}"
    program(folder / f"pulumi-resource-{name}")
    return folder


def find(path: Path, home: Path, ignore: str = "") -> Installed:
    return plugins.find(VERSIONS, str(path), home, ignore)


def test_the_exact_version_in_pulumi_home_is_found(path: Path, home: Path) -> None:
    folder = install(home, "docker", "5.2.0")
    install(home, "command", "1.2.2")
    assert find(path, home) == Installed({}, {"docker": folder})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: folder.with_name(f"{folder.name}.partial").touch(),
        lambda folder: (folder / "pulumi-resource-docker").unlink(),
    ],
    ids=["partial", "empty"],
)
def test_an_incomplete_installation_is_none(
    path: Path, home: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(install(home, "docker", "5.2.0"))
    assert find(path, home) == Installed({}, {})


@pytest.mark.parametrize(
    ("ignore", "seen"), [("", True), ("0", True), ("false", True), ("1", False), ("TRUE", False)]
)
def test_path_has_any_version_unless_pulumi_ignores_it(
    path: Path, home: Path, ignore: str, seen: bool
) -> None:
    found = program(path / "pulumi-resource-docker")
    assert find(path, home, ignore) == Installed({"docker": str(found)} if seen else {}, {})


HOME = {name: Path(f"/h/plugins/resource-{name}-v{v}") for name, v in VERSIONS.items()}
ON_PATH = (
    "docker from PATH, whatever its version: /bin/pulumi-resource-docker "
    "(PULUMI_IGNORE_AMBIENT_PLUGINS=true ignores it)"
)
DOCKER = {"docker": "/bin/pulumi-resource-docker"}
BOTH = {**DOCKER, "command": "/bin/pulumi-resource-command"}


@pytest.mark.parametrize(
    ("installed", "forced", "why_not", "stand_ins", "reason"),
    [
        (
            Installed({}, HOME),
            True,
            "offline",
            False,
            "command 1.2.1 and docker 5.2.0, installed in /h/plugins",
        ),
        (
            Installed(DOCKER, HOME),
            None,
            "",
            False,
            f"command 1.2.1, installed in /h/plugins; {ON_PATH}",
        ),
        (
            Installed(BOTH, {}),
            None,
            "",
            False,
            f"{ON_PATH}; {ON_PATH.replace('docker', 'command')}",
        ),
        (
            Installed({}, {}),
            None,
            "",
            False,
            "command 1.2.1 and docker 5.2.0, downloaded by Pulumi (RUNTIME_OBSERVABILITY_LAB=1 "
            "uses stand-ins)",
        ),
        (
            Installed({}, {"docker": HOME["docker"]}),
            None,
            "x cannot be downloaded: HTTP 404",
            True,
            "stand-ins for command 1.2.1 and docker 5.2.0, because x cannot be downloaded: HTTP "
            "404 (RUNTIME_OBSERVABILITY_LAB=0 downloads them nevertheless)",
        ),
        (
            Installed(DOCKER, {}),
            True,
            "",
            True,
            f"stand-ins, because RUNTIME_OBSERVABILITY_LAB=1; {ON_PATH}",
        ),
        (
            Installed({}, {}),
            False,
            "offline",
            False,
            "downloaded, because RUNTIME_OBSERVABILITY_LAB=0",
        ),
    ],
)
def test_plugins_are_named_by_where_pulumi_takes_them(
    installed: Installed, forced: bool | None, why_not: str, stand_ins: bool, reason: str
) -> None:
    chosen = plugins.choose(VERSIONS, installed, forced=forced, why_not_downloaded=why_not)
    assert chosen == (stand_ins, reason)


def test_pulumi_downloads_plugins_from_the_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the engine reads it: a pattern for GitHub's source, and the address in its place."""
    monkeypatch.delenv(plugins.OVERRIDES, raising=False)
    (value,) = plugins.from_mirror("https://mirror.example/all/").values()
    pattern, _, address = value.partition("=")
    assert re.search(pattern, "github://api.github.com/pulumi/pulumi-docker")
    assert not re.search(pattern, "github://api.github.com/acme/pulumi-own")
    assert address == "https://mirror.example/all/get.pulumi.com/releases/plugins"
    assert plugins.from_mirror("") == {}
    assert plugins.from_mirror("https://mirror.example/a,b") == {}
    monkeypatch.setenv(plugins.OVERRIDES, "own=https://own.example")
    assert plugins.from_mirror("https://mirror.example") == {}


def test_plugins_are_downloaded_for_this_platform() -> None:
    assert plugins.addresses({"docker": "5.2.0"}, Platform("darwin", "arm64")) == [
        "https://get.pulumi.com/releases/plugins/pulumi-resource-docker-v5.2.0-darwin-arm64.tar.gz"
    ]
