"""Images are pulled with the logins of the docker command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from components import _pulls
from tests.fakes.daemon import FakeDaemon

IMAGE = "registry.example/jaeger:2.13.0"


def hook() -> Any:
    """What the engine would call before a create."""
    hooks: Sequence[Any] = _pulls.before("jaeger-image", IMAGE).before_create or []
    (made,) = hooks
    return made.callback


def test_an_image_that_is_missing_is_pulled_by_docker(daemon: FakeDaemon) -> None:
    daemon.served.add(IMAGE)
    hook()(None)
    assert IMAGE in daemon.pulled
    assert daemon.calls_to("docker", "pull")


def test_an_image_that_is_there_is_not_pulled(daemon: FakeDaemon) -> None:
    daemon.images[IMAGE] = {}
    hook()(None)
    assert not daemon.calls_to("docker", "pull")


def test_why_an_image_cannot_be_pulled_is_said(daemon: FakeDaemon) -> None:
    with pytest.raises(
        RuntimeError, match=f"{IMAGE} cannot be pulled: Error: manifest for {IMAGE}"
    ):
        hook()(None)
