"""What is used of a machine, decided with a docker command as the only thing on PATH."""

from __future__ import annotations

import pwd
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lab.build.steps import prepare
from lab.errors import LabError
from lab.machine import machine, plugins, shell
from lab.machine.machine import REGISTRY, Machine
from lab.machine.plugins import NO_DOWNLOADS
from lab.paths import Cache
from lab.providers import VERSIONS
from lab.releases.platforms import this_platform
from lab.releases.table import TOOLS
from runtime_observability.host import docker, downloads
from tests.fakes.clock import Clock
from tests.fakes.daemon import FakeDaemon
from tests.fakes.releases import Proxy
from tests.unit.lab.releases.test_release import PROGRAM, PULUMI_ARCHIVE, serve

OVERRIDE = "RUNTIME_OBSERVABILITY_LAB"
PLUGINS = " and ".join(f"{name} {version}" for name, version in VERSIONS.items())
RELEASES = {"pulumi": "pulumi-release", "k3d": "k3d-release", "kubectl": "kubectl-release"}
BUILDS = {"pulumi": "pulumi", "k3d": "k3d", "kubectl": "kubectl"}


@pytest.fixture
def bare(
    daemon: FakeDaemon,
    proxy: Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_waiting: None,
) -> FakeDaemon:
    """A machine with Docker, a network behind a proxy, and no other tool; the site is empty."""
    path = daemon.executables.bin
    for tool in ("k3d", "sleep"):
        (path / tool).unlink()
    for tool in ("cat", "mkfifo"):  # the fake docker needs them
        (path / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi-home"))
    for name in (OVERRIDE, REGISTRY, "PULUMI_IGNORE_AMBIENT_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    # The site does not have the files whose checksums are pinned.
    unpinned = [replace(tool, release=replace(tool.release, pinned={})) for tool in TOOLS]
    monkeypatch.setattr(machine, "TOOLS", tuple(unpinned))
    Clock().drive(monkeypatch, downloads)
    return daemon


def serve_releases(proxy: Proxy) -> None:
    here = this_platform()
    for tool in TOOLS:
        serve(proxy.to, tool.release, here, PULUMI_ARCHIVE if tool.release.folder else PROGRAM)
    for address in plugins.addresses(VERSIONS, here):
        proxy.to.files[address.removeprefix("https://")] = b"plugin"


def steps(found: Machine) -> dict[str, str]:
    return {tool: step.name for tool, step in found.tools.items()}


def reason(found: Machine, what: str) -> str:
    (text,) = (text for text in found.reasons if text.startswith(f"{what}: "))
    return text.removeprefix(f"{what}: ")


def test_with_docker_and_a_network_everything_is_fetched_and_nothing_built(
    bare: FakeDaemon, proxy: Proxy, cache: Cache
) -> None:
    serve_releases(proxy)
    bare.served = {machine.default_images()[0]}
    found = machine.examine(cache)
    assert steps(found) == RELEASES
    assert (found.docker_host, found.lab_images, found.stand_ins) == (bare.host, False, False)
    assert found.default_stack == "dev"
    assert shutil.which("go") is None, "nothing on this PATH can build"
    prepare(cache, list(found.tools.values()))
    path = shell.variables(found, bare.host)["PATH"]
    assert {tool.name for tool in TOOLS if shutil.which(tool.name, path=path)} == set(RELEASES)


def test_what_was_fetched_is_used_without_the_network(
    bare: FakeDaemon, proxy: Proxy, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_releases(proxy)
    bare.images |= {image: {} for image in machine.default_images()}
    prepare(cache, list(machine.examine(cache).tools.values()))
    (cache.root / "reachable.json").unlink()
    proxy.to.files.clear()
    found = machine.examine(cache)
    assert steps(found) == RELEASES
    assert not found.lab_images


def test_without_a_registry_and_sites_the_lab_builds(
    bare: FakeDaemon, cache: Cache, proxy: Proxy
) -> None:
    found = machine.examine(cache)
    assert steps(found) == BUILDS
    assert (found.lab_images, found.stand_ins, found.default_stack) == (True, True, "lab")
    assert all("HTTP 404" in reason(found, tool.label) for tool in TOOLS)


def test_where_images_can_be_pulled_kubectl_is_not_built_for_its_own_sake(
    bare: FakeDaemon, cache: Cache, proxy: Proxy
) -> None:
    bare.served = {machine.default_images()[0]}
    found = machine.examine(cache)
    assert steps(found) == {"pulumi": "pulumi", "k3d": "k3d"}
    assert reason(found, "kubectl").startswith(
        "none, because none is on PATH and https://dl.k8s.io"
    )


@pytest.mark.parametrize(
    ("value", "expected", "lab"), [("1", BUILDS, True), ("0", RELEASES, False)]
)
def test_the_user_decides_without_a_look_at_the_network(
    *,
    bare: FakeDaemon,
    cache: Cache,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    value: str,
    expected: dict[str, str],
    lab: bool,
) -> None:
    monkeypatch.setenv(OVERRIDE, value)
    found = machine.examine(cache)
    assert steps(found) == expected
    assert (found.lab_images, found.stand_ins) == (lab, lab)
    assert proxy.wanted == []
    assert bare.calls_to("docker", "manifest") == []


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        (
            True,
            [
                "images: pulled from their registries, because {image} can be pulled "
                "(RUNTIME_OBSERVABILITY_LAB=1 builds them)",
                "provider plugins: {plugins}, downloaded by Pulumi "
                "(RUNTIME_OBSERVABILITY_LAB=1 uses stand-ins)",
            ],
        ),
        (
            False,
            [
                "images: built by the lab, because {image} cannot be pulled: no such manifest "
                "(RUNTIME_OBSERVABILITY_LAB=0 pulls them nevertheless, "
                "RUNTIME_OBSERVABILITY_REGISTRY=HOST/PATH from a mirror)",
                "provider plugins: stand-ins for {plugins}, because {plugin} cannot be downloaded: "
                "no such manifest (RUNTIME_OBSERVABILITY_LAB=0 downloads them nevertheless)",
            ],
        ),
    ],
)
@pytest.mark.usefixtures("bare")
def test_what_the_network_decides_is_said_with_the_variable_that_overrides_it(
    served: bool, expected: list[str], cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, look in ((docker, "why_not_served"), (downloads, "why_not_there")):
        monkeypatch.setattr(module, look, lambda *_: "" if served else "no such manifest")
    here = this_platform()
    texts = [
        text.format(
            image=machine.default_images()[0],
            plugins=PLUGINS,
            plugin=plugins.addresses(VERSIONS, here)[0],
        )
        for text in expected
    ]
    assert set(texts) <= set(machine.examine(cache).reasons)


def test_images_that_are_in_the_daemon_need_no_registry(
    bare: FakeDaemon, cache: Cache, proxy: Proxy
) -> None:
    images = machine.default_images()
    bare.images |= {image: {} for image in images}
    found = machine.examine(cache)
    assert not found.lab_images
    assert reason(found, "images").startswith(f"{images[0]} and the others, found in the daemon")
    assert bare.calls_to("docker", "manifest") == []
    del bare.images[images[2]]
    assert machine.examine(cache).lab_images, "one alone is no stack"


def test_a_registry_is_asked_twice_with_more_time_the_second_time(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, bare: FakeDaemon
) -> None:
    patience: list[float] = []

    def look(image: str, seconds: float) -> str:
        patience.append(seconds)
        return "timeout"

    monkeypatch.setattr(docker, "why_not_served", look)
    machine.examine(cache)
    assert patience == [5, 15]


def test_the_users_mirror_is_asked_for_the_images(
    bare: FakeDaemon, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    official = machine.default_images()
    monkeypatch.setenv(REGISTRY, "mirror.example:5000/hub")
    mirrored = machine.default_images()
    assert mirrored == tuple(
        image.replace("docker.io/", "mirror.example:5000/hub/") for image in official
    )
    bare.served = {mirrored[0]}
    found = machine.examine(cache)
    assert not found.lab_images
    assert f"because {mirrored[0]} can be pulled" in reason(found, "images")
    monkeypatch.setenv(REGISTRY, "https://mirror.example")
    with pytest.raises(LabError, match=r"registryMirror: .* without https://"):
        machine.examine(cache)


def test_a_shell_that_used_stand_ins_finds_the_users_plugins_again(
    bare: FakeDaemon, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With PULUMI_HOME at the stand-ins, Pulumi would use these while "installed" is said."""
    own = tmp_path / "home" / ".pulumi"
    for name, version in VERSIONS.items():
        folder = own / "plugins" / f"resource-{name}-v{version}"
        folder.mkdir(parents=True)
        (folder / f"pulumi-resource-{name}").touch()
    monkeypatch.setenv("PULUMI_HOME", str(cache.pulumi_home))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: type("User", (), {"pw_dir": str(own.parent)}))
    found = machine.examine(cache)
    assert not found.stand_ins
    assert reason(found, "provider plugins") == f"{PLUGINS}, installed in {own / 'plugins'}"
    variables = shell.variables(found, bare.host)
    assert variables["PULUMI_HOME"] == str(own)
    assert variables[NO_DOWNLOADS] == "false"
    monkeypatch.setenv("PULUMI_HOME", str(own))
    assert "PULUMI_HOME" not in shell.variables(found, bare.host)


def test_an_unsupported_system_is_refused_before_anything_is_looked_at(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, bare: FakeDaemon
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Windows")
    with pytest.raises(LabError, match="Windows is not supported"):
        machine.examine(cache)
    assert bare.executables.calls == []


def test_path_is_as_it_was_before_the_labs_folders(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = (cache.steps / "pulumi-ba9876543210", cache.steps / "k3d-release-0123456789ab")
    monkeypatch.setenv("PATH", ":".join(["/a", *map(str, ours), "/b"]))
    assert machine.path_without(cache) == "/a:/b"
