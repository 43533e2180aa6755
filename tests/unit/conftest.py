"""Fixtures of the unit tier: a stack of its own, and a daemon that is three lists."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from runtime_observability.core.naming import Names
from runtime_observability.host import runner
from tests.fakes import releases
from tests.fakes.daemon import FakeDaemon
from tests.fakes.http import FakeServer, Reply


@pytest.fixture(autouse=True)
def _no_daemon_of_an_earlier_test() -> Iterator[None]:
    """A process uses one daemon, and all tests are one process."""
    with mock.patch.dict(runner.variables, clear=True):
        yield


@pytest.fixture
def names(tmp_path: Path) -> Names:
    """Stack ``dev`` in a folder of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    return Names("dev", folder)


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    """`docker` and `k3d` on PATH are the fakes; nothing of the user's reaches them."""
    fake = FakeDaemon(tmp_path / "daemon")
    monkeypatch.setenv("PATH", fake.path)
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    yield fake
    fake.executables.stop()


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between two looks are 10 ms at most."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """Answers 404 until a test sets ``answer``."""
    fake = FakeServer(lambda _: Reply(404, {"message": "no such thing"}))
    yield fake
    fake.stop()


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[releases.Site]:
    """A site of releases that nothing trusts yet, and nothing of the user's leads elsewhere."""
    for name in (*PROXIES, *map(str.lower, PROXIES), "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("RUNTIME_OBSERVABILITY_RELEASES", raising=False)
    with releases.site(tmp_path) as made:
        yield made


@pytest.fixture
def trusted(site: releases.Site, monkeypatch: pytest.MonkeyPatch) -> releases.Site:
    """The site, whose authority the user names."""
    monkeypatch.setenv("SSL_CERT_FILE", str(site.authority))
    return site


@pytest.fixture
def proxy(trusted: releases.Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[releases.Proxy]:
    """The user's proxy, behind which every host is the trusted site."""
    with releases.proxy(trusted) as made:
        monkeypatch.setenv("HTTPS_PROXY", made.address)
        yield made


@pytest.fixture
def proxy_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that lets nothing through, as for 127.0.0.1 a company's does."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
