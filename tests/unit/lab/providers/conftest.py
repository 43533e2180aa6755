"""The docker plugin's stand-in on a fake of Docker's client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.providers import docker_types
from tests.fakes.docker_api import FakeDockerApi
from tests.fakes.plugin import Plugin, serving


@pytest.fixture(autouse=True)
def no_address_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def api() -> FakeDockerApi:
    fake = FakeDockerApi()
    fake.images["jaeger:2"] = "sha256:2"
    return fake


@pytest.fixture
def docker(api: FakeDockerApi) -> Iterator[Plugin]:
    with serving(docker_types.make(None, api.connect)) as plugin:
        plugin.configure()
        yield plugin
    assert api.open_clients == 0
