"""Opens a page of ktrace's in a real browser, as people with different eyes and screens do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, Request, sync_playwright

from tests import lacking

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_HEIGHT = 900
Scheme = Literal["light", "dark"]
_TOO_LONG = """[...document.querySelectorAll("main *")]
  .filter(one => !one.children.length && one.clientWidth && one.scrollWidth > one.clientWidth + 1)
  .map(one => one.textContent)"""
"""Texts that are wider than their place, and so in that of another."""


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """A browser on PATH; without one the test fails in CI and is skipped elsewhere."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if not found:
        reason = f"the test of the page needs a browser on PATH: {' or '.join(_BROWSERS)}"
        lacking.refuse(reason)
    with _running(found) as browser:
        yield browser


@contextmanager
def _running(program: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def problems(
    browser: Browser,
    file: Path,
    width: int = 1280,
    scheme: Scheme = "light",
    use: Callable[[Page], None] = lambda _: None,
) -> list[str]:
    """What is wrong with a page on a window of ``width`` pixels, in one line each.

    ``use`` does what a person does with the page before that.
    That is each word on its console, each further file that it asks for, a need to scroll sideways,
    each text that is too long for its place, and each rule of accessibility that axe-core finds
    broken.
    """
    page = browser.new_page(viewport={"width": width, "height": _HEIGHT}, color_scheme=scheme)
    found: list[str] = []

    def loads(sent: Request) -> None:
        if sent.url != file.as_uri():
            found.append(f"loads {sent.url}")

    page.on("console", lambda message: found.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("request", loads)
    try:
        page.goto(file.as_uri())
        use(page)
        wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if wider > 0:
            found.append(f"{wider} pixels are beyond the window")
        found += [f"too long: {text}" for text in page.evaluate(_TOO_LONG)]
        broken = Axe().run(page).response["violations"]
        return [*found, *(f"{rule['id']}: {rule['help']}" for rule in broken)]
    finally:
        page.close()
