"""Values that need the collector's contrib distribution, and collectors that lack it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from runtime_observability.core import compatibility
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.versions import Version


def refuse_a_collector_without_it(settings: Settings) -> list[Problem]:
    """What can be known of an image of the user's is its name."""
    return [problem for need in _needs(settings) for problem in need.unmet(settings)]


@dataclass(frozen=True)
class _Need:
    """A value that needs a component of the contrib distribution."""

    key: str
    value: str
    component: str
    oldest: Version
    why: str
    """What that release is the first to do."""
    without: str
    """The value that needs nothing."""

    def unmet(self, settings: Settings) -> Iterator[Problem]:
        version, image = settings.collector_version, settings.collector_image
        if version < self.oldest:
            yield Problem(
                self.key,
                f"{self.value} cannot be used with collectorVersion {version}",
                f"{self.why} from {self.oldest} on",
                f"use {self.oldest} or newer, or {self.without}",
            )
        if compatibility.CORE_DISTRIBUTIONS.search(image):
            yield Problem(
                self.key,
                f"{self.value} cannot be used with the image in collectorImage",
                f"the core distribution does not have the {self.component}",
                "leave collectorImage out, or name an image of the contrib distribution",
            )
        nearest = compatibility.UNPUBLISHED_CONTRIB.get(version.numbers)
        if nearest and not image:
            yield Problem(
                "collectorVersion",
                f"{version} has no official image of the contrib distribution",
                f"{self.key}: {self.value} needs it",
                f"use {nearest}, or name an image in collectorImage",
            )


def _needs(settings: Settings) -> Iterator[_Need]:
    if settings.preset.needs_tail_sampling:
        yield _Need(
            "tracing",
            settings.tracing,
            "processor tail_sampling",
            compatibility.OLDEST_TAIL_SAMPLING,
            "its tail_sampling is known to decide as spans arrive",
            "tracing: everything",
        )
    on_disk = (n for n, exporter in enumerate(settings.exporters) if exporter.queue == "disk")
    for first in itertools.islice(on_disk, 1):
        yield _Need(
            f"exporters.{first}.queue",
            "disk",
            "extension file_storage",
            compatibility.OLDEST_DISK_QUEUES,
            "its file_storage is known to have what queues on disk need",
            "queue: memory",
        )
