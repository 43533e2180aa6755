"""Rules about releases of which no image is known."""

from __future__ import annotations

from runtime_observability.core import compatibility
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings.model import Settings


def refuse_unpublished(settings: Settings) -> list[Problem]:
    """Releases without an official image: a name is not guessed."""
    return [
        *_refuse_k3s_without_a_build_number(settings),
        *_refuse_pre_releases(settings),
        *_refuse_an_unpublished_collector(settings),
        *_refuse_an_unpublished_jaeger(settings),
    ]


def _refuse_k3s_without_a_build_number(settings: Settings) -> list[Problem]:
    version = settings.k3s_version
    if version.build or (settings.k3s_image and "{version}" not in settings.k3s_image):
        return []
    return [
        Problem(
            "k3sVersion",
            f"{version.numbers} is not the tag of an image",
            f"rancher/k3s tags end in a build number, e.g. v{version.numbers}-k3s1",
        )
    ]


def _refuse_pre_releases(settings: Settings) -> list[Problem]:
    releases = (
        ("jaeger", settings.jaeger_version, settings.jaeger_image),
        ("collector", settings.collector_version, settings.collector_image),
    )
    return [
        Problem(
            f"{name}Version",
            f"no official image of the pre-release {version} is known",
            cure=f"name an image in {name}Image, or use {version.numbers}",
        )
        for name, version, image in releases
        if version.pre_release and not image
    ]


def _refuse_an_unpublished_collector(settings: Settings) -> list[Problem]:
    version = settings.collector_version.numbers
    nearest = compatibility.UNPUBLISHED_COLLECTORS.get(version)
    if nearest is None or settings.collector_image:
        return []
    return [
        Problem(
            "collectorVersion",
            f"{version} has no official image",
            cure=f"use {nearest}, or name an image in collectorImage",
        )
    ]


def _refuse_an_unpublished_jaeger(settings: Settings) -> list[Problem]:
    first, last = compatibility.OLDEST_JAEGER_V2, compatibility.LAST_JAEGER_V1
    if not last < settings.jaeger_version < first:
        return []
    return [
        Problem(
            "jaegerVersion",
            f"{settings.jaeger_version} does not exist",
            f"v1 ended with {last}, and v2 began with {first}",
        )
    ]
