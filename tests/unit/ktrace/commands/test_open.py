"""``ktrace open``: which searches are printed, and which one is opened."""

from __future__ import annotations

import json
import sys
import webbrowser

import pytest

from ktrace.commands import open as command
from runtime_observability.core import links
from tests.fakes.daemon import FakeDaemon
from tests.fakes.ktrace import Ktrace
from tests.schemas import validate

JAEGER = "http://127.0.0.1:16686"
WEBHOOKS = ("mutatingWebhooks", "validatingWebhooks")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were opened in a browser."""
    found: list[str] = []
    monkeypatch.setattr(webbrowser, "open", found.append)
    return found


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "has_desktop", lambda: True)


@pytest.mark.usefixtures("desktop")
def test_all_searches_are_printed_and_none_is_opened(ktrace: Ktrace, opened: list[str]) -> None:
    shown = ktrace("open", "--jaeger", JAEGER)
    assert (shown.returncode, shown.stderr) == (0, "")
    printed = dict(line.split() for line in shown.lines)
    expected = links.all_links(JAEGER, containerd=True)
    assert {name: printed[name] for name in expected} == expected
    assert set(printed) - set(expected) == set(WEBHOOKS)
    assert "Call+mutating+webhook" in printed["mutatingWebhooks"]
    assert "Call+validating+webhook" in printed["validatingWebhooks"]
    (column,) = {line.index("http") for line in shown.lines}
    assert column == max(map(len, printed)) + 2
    assert opened == []


@pytest.mark.usefixtures("desktop")
def test_a_named_search_alone_is_printed_and_opened(ktrace: Ktrace, opened: list[str]) -> None:
    shown = ktrace("open", "podStarts", "--jaeger", JAEGER)
    url = links.all_links(JAEGER, containerd=True)["podStarts"]
    assert shown.lines == [f"podStarts  {url}"]
    assert opened == [url]


def test_without_a_desktop_a_named_search_is_only_printed(
    ktrace: Ktrace, opened: list[str]
) -> None:
    shown = ktrace("open", "podStarts", "--jaeger", JAEGER, "--json")
    validate("open", shown.document)
    assert list(shown.document) == ["apiVersion", "podStarts"]
    assert opened == []


@pytest.mark.parametrize("other", [False, True])
def test_a_stack_has_its_own_links_unless_another_jaeger_is_named(
    ktrace: Ktrace, daemon: FakeDaemon, other: bool
) -> None:
    outputs = {"jaegerUrl": JAEGER, "kubeconfig": "k", "links": {"own": f"{JAEGER}/own"}}
    daemon.executables.script("pulumi", f"#!/bin/sh\necho '{json.dumps(outputs)}'\n")
    options = ("--stack", "dev", "--jaeger", "http://127.0.0.1:1") if other else ()
    shown = ktrace("open", *options, "--json").document
    if other:
        assert "own" not in shown
        assert shown["podStarts"].startswith("http://127.0.0.1:1/")
    else:
        validate("open", shown)
        assert list(shown) == ["apiVersion", "own", *WEBHOOKS]


def test_an_unknown_search_is_wrong_usage_and_the_known_ones_are_named(ktrace: Ktrace) -> None:
    refused = ktrace("open", "nosuch", "--jaeger", JAEGER)
    assert (refused.returncode, refused.stdout) == (2, "")
    names = ", ".join([*links.all_links(JAEGER, containerd=True), *WEBHOOKS])
    assert refused.stderr == f"ktrace: there is no search 'nosuch': choose one of {names}\n"


@pytest.mark.parametrize(
    ("terminal", "platform", "variable", "found"),
    [
        (True, "darwin", "", True),
        (True, "linux", "DISPLAY", True),
        (True, "linux", "WAYLAND_DISPLAY", True),
        (True, "linux", "", False),
        (False, "darwin", "DISPLAY", False),
    ],
)
def test_a_desktop_is_a_terminal_with_a_display(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, platform: str, variable: str, found: bool
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "platform", platform)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, ":0")
    assert command.has_desktop() is found
