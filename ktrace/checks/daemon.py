"""The Docker daemon: its release, its mode, its address pools and the images in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ktrace.checks import tools
from ktrace.checks.finding import Finding
from runtime_observability.core.compatibility import FAIL_CGROUP_V1_IS_DEFAULT, OLDEST_DOCKER
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.versions import Version
from runtime_observability.host import docker
from runtime_observability.host.docker import Daemon


def release(version: str) -> Finding:
    return tools.release("docker", version, OLDEST_DOCKER, "k3d does not work with it")


def rootless(engine: Daemon) -> Finding:
    if not engine.rootless:
        return Finding("rootless", "ok", "Docker runs as root")
    return Finding(
        "rootless",
        "warning",
        "Docker runs rootless",
        "nodes restart endlessly unless cgroup v2 delegates cpu, cpuset, io, memory and pids",
        "use a daemon that runs as root, or delegate the controllers to your user's slice",
    )


def cgroup(info: Mapping[str, Any], k3s: Version) -> Finding:
    """``info``: the JSON of `docker info`."""
    version = info.get("CgroupVersion", "1")
    if version != "1":
        return Finding("cgroup", "ok", f"cgroup v{version}")
    refused = FAIL_CGROUP_V1_IS_DEFAULT.at(k3s)
    effect = (
        "the stack configures the kubelet to accept it" if refused else "the kubelet accepts it"
    )
    return Finding(
        "cgroup",
        "warning",
        f"cgroup v1 with k3s {k3s}: {effect}",
        "later releases of Kubernetes drop cgroup v1",
        "boot the machine with systemd.unified_cgroup_hierarchy=1",
    )


def address_pools(info: Mapping[str, Any], networks: int, exists: bool) -> Finding:
    """Whether there is room for the stack's network; ``exists``: it is one of ``networks``."""
    seen = f"{networks} networks"
    if exists or info.get("DefaultAddressPools") or networks < docker.DEFAULT_POOLS - 2:
        return Finding("address pools", "ok", seen)
    return Finding(
        "address pools",
        "failure" if networks > docker.DEFAULT_POOLS else "warning",
        f"{seen}, and Docker's default pools hold {docker.DEFAULT_POOLS}",
        "the stack's network cannot be created",
        f"{docker.FREE_ADDRESSES}; or default-address-pools in Docker's daemon.json",
    )


def images(settings: Settings) -> Finding:
    """Whether the stack's images are in the daemon, or can be pulled from their registries."""
    needed = settings.images
    missing = [
        image
        for image in (
            *([needed.jaeger] if settings.has_jaeger else []),
            needed.collector,
            needed.nodes,
        )
        if not docker.has_image(image)
    ]
    unavailable = [image for image in missing if not docker.is_served(image)]
    if unavailable:
        return Finding(
            "images",
            "failure",
            f"neither in the daemon nor in a registry: {', '.join(unavailable)}",
            "the images cannot be pulled",
            "`RUNTIME_OBSERVABILITY_LAB=1 make up` builds them, as Pulumi.lab.yaml names them",
        )
    seen = f"{len(missing)} to be pulled" if missing else "all in the daemon"
    return Finding("images", "ok", seen)
