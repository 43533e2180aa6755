"""The lab's OpenSearch as a process of this machine's Java, for the time of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from lab.build import opensearch
from lab.paths import Cache
from tests.contract.jaeger_process import free_ports

_START_SECONDS = 120
_NOBODY = 65534
"""OpenSearch refuses to run as root."""


def built() -> Path | None:
    """The folder of the lab's OpenSearch; None where it is not built, or no Java can run it."""
    folder = opensearch.opensearch.output(Cache.of_this_user())
    return folder if folder.is_dir() and shutil.which("java") else None


@contextmanager
def running(built: Path) -> Iterator[str]:
    """The URL of an empty OpenSearch, ended and removed at the end."""
    # Not in a folder of pytest's: those are closed to the user that runs it.
    with tempfile.TemporaryDirectory(prefix="opensearch-") as name:
        home = Path(name) / "home"
        shutil.copytree(built, home)
        (home / "temporary").mkdir()
        user = _NOBODY if os.geteuid() == 0 else None
        if user is not None:
            for path in (Path(name), *Path(name).rglob("*")):
                os.chown(path, user, user)
        http, transport = free_ports(2)
        command = [
            "java",
            "-Xms512m",
            "-Xmx512m",
            *opensearch.OPTIONS,
            f"-Djava.io.tmpdir={home}/temporary",
            f"-Dopensearch.path.home={home}",
            f"-Dopensearch.path.conf={home}/config",
            "-cp",
            f"{home}/lib/*",
            opensearch.MAIN,
            "-Ehttp.host=127.0.0.1",
            "-Etransport.host=127.0.0.1",
            f"-Ehttp.port={http}",
            f"-Etransport.port={transport}",
        ]
        log = Path(name) / "log"
        with (
            log.open("wb") as stream,
            subprocess.Popen(
                command, cwd=home, user=user, group=user, stdout=stream, stderr=subprocess.STDOUT
            ) as process,
        ):
            try:
                url = f"http://127.0.0.1:{http}"
                _wait(url, process, log)
                yield url
            finally:
                process.terminate()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/_cluster/health", trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"OpenSearch has not started:\n{log.read_text()[-3000:]}")
