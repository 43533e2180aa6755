"""The registry that has the official images: what comes from it, and its default."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from lab.build import programs
from runtime_observability.core import compatibility
from runtime_observability.core.settings.parse import SettingsError
from tests.configuration import parsed
from tests.unit.core.test_documents import spec_of

MIRROR = "registry.example/hub"


def test_official_images_come_from_the_mirror() -> None:
    official, mirrored = parsed().images, parsed(registryMirror=MIRROR).images
    for image in ("jaeger", "collector", "nodes"):
        before, after = getattr(official, image), getattr(mirrored, image)
        assert before.startswith("docker.io/")
        assert after == before.replace("docker.io", MIRROR)


def test_images_of_the_users_own_do_not() -> None:
    own = {"jaegerImage": "own/jaeger:{version}", "k3dToolsImage": "own/k3d-tools:5.9.0"}
    settings = parsed(registryMirror=MIRROR, **own)
    assert settings.images.jaeger == f"own/jaeger:{settings.jaeger_version}"
    assert settings.tools_image == "own/k3d-tools:5.9.0"


def test_k3ds_tools_come_from_it_in_the_release_that_is_pinned() -> None:
    assert parsed().tools_image == "", "k3d knows its own image"
    tools = parsed(registryMirror=MIRROR).tools_image
    assert tools == f"{MIRROR}/k3d-io/k3d-tools:{programs.K3D}"
    assert compatibility.K3D_TOOLS_IMAGE.endswith(f":{programs.K3D}")


def test_the_cluster_is_made_from_it() -> None:
    spec = spec_of(registryMirror=MIRROR, containerdTracing="off")
    assert spec.image == parsed(registryMirror=MIRROR).images.nodes
    assert spec.tools_image.startswith(f"{MIRROR}/")
    assert spec.settings["registryMirror"] == MIRROR


def nodes_mirror(**changes: Any) -> dict[str, Any]:
    """The registries.yaml of the nodes."""
    registries = spec_of(**changes).config.get("registries", {})
    document: dict[str, Any] = yaml.safe_load(registries.get("config", "{}"))
    return document


@pytest.mark.parametrize(
    ("mirror", "endpoint"),
    [
        ("registry.example", "https://registry.example"),
        ("registry.example:5000", "https://registry.example:5000"),
        ("registry.example/hub/proxy", "https://registry.example/v2/hub/proxy"),
    ],
)
def test_nodes_pull_docker_hubs_images_from_it(mirror: str, endpoint: str) -> None:
    """k3s pulls the sandbox image and CoreDNS: without them no pod starts."""
    wanted = {"mirrors": {"docker.io": {"endpoint": [endpoint]}}}
    assert nodes_mirror(registryMirror=mirror) == wanted


@pytest.mark.parametrize("mirror", ["localhost:5000", "127.0.0.1:5000/hub", "localhost"])
def test_a_mirror_on_this_machine_is_none_for_the_nodes(mirror: str) -> None:
    assert nodes_mirror(registryMirror=mirror) == {}


def test_registries_of_the_users_own_are_kept() -> None:
    own = {"use": ["k3d-registry:5000"], "config": "mirrors: {}\n"}
    spec = spec_of(registryMirror=MIRROR, registries=own)
    assert spec.config["registries"] == own
    used = spec_of(registryMirror=MIRROR, registries={"use": own["use"]})
    assert used.config["registries"]["use"] == own["use"]
    assert MIRROR.partition("/")[0] in used.config["registries"]["config"]


def test_without_a_mirror_nothing_changes() -> None:
    assert "registries" not in spec_of().config
    assert spec_of(registryMirror="") == spec_of()


@pytest.mark.parametrize(
    "mirror", ["localhost", "localhost/hub", "a.b", "10.0.0.1:5000", "mirror:5000/hub", "a.b/c/d-e"]
)
def test_a_mirror_is_a_host_and_a_path(mirror: str) -> None:
    assert parsed(registryMirror=mirror).registry_mirror == mirror


@pytest.mark.parametrize(
    "mirror",
    ["mirror", "mirror/hub", "https://a.b", "a.b/", "a.b/Hub", "a.b/x y", "a.b:port", "a.b/${X}"],
)
def test_anything_else_is_refused(mirror: str) -> None:
    with pytest.raises(SettingsError, match="a mirror is HOST"):
        parsed(registryMirror=mirror)
