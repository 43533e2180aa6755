"""The pages of ``ktrace show`` in a browser: wide and narrow, light and dark, few pods and many."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from ktrace.podend import search
from ktrace.view import ending_page, rollout_page
from tests.configuration import PROJECT
from tests.e2e import browser
from tests.e2e.browser import Scheme
from tests.fakes import recorded_endings
from tests.fakes.clock import Clock
from tests.fakes.jaeger import URL
from tests.fakes.rollouts import rollout_of

STARTS = PROJECT / "tests/unit/ktrace/podstart/snapshots"


def page_of_a_rollout(folder: Path, pods: int) -> Path:
    rollout = rollout_of(pods)
    *others, last = rollout.pods
    assert last.ready
    slow = replace(last, ready=last.ready + timedelta(minutes=12), exact=False)
    page = folder / "rollout.html"
    page.write_text(rollout_page.render([replace(rollout, pods=(*others, slow))], URL))
    return page


@pytest.mark.parametrize(
    ("pods", "width", "scheme"),
    [(3, 400, "light"), (3, 1280, "dark"), (100, 400, "dark"), (100, 1280, "light")],
)
def test_everybody_can_read_a_rollout(
    chromium: Browser, tmp_path: Path, pods: int, width: int, scheme: Scheme
) -> None:
    page = page_of_a_rollout(tmp_path, pods)
    assert browser.problems(chromium, page, width, scheme) == []


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1280, "dark")])
def test_everybody_can_read_a_rollout_whose_rows_are_open(
    chromium: Browser, tmp_path: Path, width: int, scheme: Scheme
) -> None:
    def opened(page: Page) -> None:
        page.get_by_role("button", name="Open all").click()
        assert not page.locator("li:visible details:not([open])").count()
        page.get_by_role("button", name="Close all").wait_for()

    page = page_of_a_rollout(tmp_path, 100)
    assert browser.problems(chromium, page, width, scheme, opened) == []


def test_a_pod_of_a_hundred_is_found_and_opened_with_the_keyboard(
    chromium: Browser, tmp_path: Path
) -> None:
    wanted = rollout_of(100).pods[42].name

    def used(page: Page) -> None:
        rows = page.locator("li[data-text]:visible")
        assert rows.count() >= 100
        page.get_by_role("searchbox").focus()
        page.keyboard.type(wanted)
        assert rows.count() == 1
        assert wanted in rows.inner_text()
        details = rows.locator("details")
        for _ in range(5):  # the button and the links before it
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.tagName") == "SUMMARY":
                break
        page.keyboard.press("Enter")
        assert details.get_attribute("open") is not None

    page = page_of_a_rollout(tmp_path, 100)
    assert browser.problems(chromium, page, use=used) == []


@pytest.mark.parametrize(
    ("pod", "width", "scheme"),
    [
        ("with-init", 400, "dark"),
        ("with-init", 1280, "light"),
        ("no-image", 400, "light"),
        ("no-image", 800, "light"),
        ("no-image", 1280, "dark"),
    ],
)
def test_everybody_can_read_a_start(
    chromium: Browser, pod: str, width: int, scheme: Scheme
) -> None:
    assert browser.problems(chromium, STARTS / f"{pod}.html", width, scheme) == []


@pytest.mark.parametrize(
    ("kind", "width", "scheme"),
    [
        ("stubborn", 400, "light"),
        ("stubborn", 1280, "dark"),
        ("finalizer-held", 400, "dark"),
        ("finalizer-held", 1280, "light"),
    ],
)
def test_everybody_can_read_an_ending(
    chromium: Browser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    kind: str,
    width: int,
    scheme: Scheme,
) -> None:
    recorded = recorded_endings.load(kind)
    Clock().drive(monkeypatch, search).now = recorded.now / 1_000_000
    ending = recorded.ending()
    assert ending
    page = tmp_path / "ending.html"
    page.write_text(ending_page.render(ending, URL))
    assert browser.problems(chromium, page, width, scheme) == []


def test_what_is_wrong_with_a_page_is_found(chromium: Browser, tmp_path: Path) -> None:
    page = tmp_path / "wrong.html"
    page.write_text(
        "<!doctype html><html><body><div style='width:3000px'>wide</div><img src='none.png'>"
        "<main><div style='width:9px'>overlong</div></main>"
        "<script>console.log('said'); nothing()</script></body></html>"
    )
    found = "\n".join(browser.problems(chromium, page))
    for told in (
        "console: said",
        "nothing is not defined",
        "loads file:",
        "beyond the window",
        "too long: over",
    ):
        assert told in found
    assert "image-alt" in found
