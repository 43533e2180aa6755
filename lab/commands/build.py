"""`make lab`: build everything that a machine without registries needs."""

from __future__ import annotations

from lab.build import images, programs
from lab.build.steps import prepare
from lab.paths import Cache


def run(cache: Cache) -> int:
    """Build the tools and what the images are made of, and start nothing; return 0."""
    tools = (programs.pulumi, programs.k3d)
    prepare(cache, [*tools, *(step for image in images.IMAGES for step in image.needs)])
    return 0
