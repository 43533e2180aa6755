"""A browser is unpacked only where there is none."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from lab.machine import apt, browser
from lab.paths import Cache


@pytest.fixture(autouse=True)
def _nothing_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()


@pytest.mark.parametrize("name", ["chromium", "google-chrome"])
def test_a_browser_on_path_is_used(name: str, tmp_path: Path, cache: Cache) -> None:
    (tmp_path / "bin" / name).touch(mode=0o755)
    browser.provide(cache)
    assert os.environ["PATH"] == str(tmp_path / "bin")


def test_the_unpacked_browser_gets_its_libraries_and_fonts(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "usr/lib/chromium/chromium"
    shows = '#!/bin/sh\necho "$LD_LIBRARY_PATH"; cat "$FONTCONFIG_FILE"; echo "$@"\n'

    def unpack(_: Iterable[Path], tree: Path) -> None:
        (tree / program).parent.mkdir(parents=True)
        (tree / program).write_text(shows)
        (tree / program).chmod(0o755)
        (tree / "usr/lib/x86_64-linux-gnu").mkdir()

    def fetch(_: object, packages: Iterable[str], folder: Path) -> list[Path]:
        folder.mkdir()
        return [Path(name) for name in packages]

    monkeypatch.setattr(apt, "fetch", fetch)
    monkeypatch.setattr(apt, "unpack", unpack)
    browser.provide(cache)
    (folder,) = cache.steps.glob("browser-*")
    assert os.environ["PATH"].endswith(f":{folder / 'bin'}")
    assert not (folder / "apt").exists()
    path = {"PATH": "/usr/bin:/bin"}
    shown = subprocess.run(
        [folder / "bin/chromium", "--headless"],
        env=path,
        capture_output=True,
        text=True,
        check=True,
    )
    first, *rest = shown.stdout.splitlines()
    assert Path(first).resolve() == folder / "tree/usr/lib/x86_64-linux-gnu"
    assert '  <dir prefix="relative">tree/usr/share/fonts</dir>' in rest
    assert rest[-1] == "--headless"
