"""What a span, a pod or a node is called reaches neither terminal nor page as anything but text."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import httpx
import pytest

from ktrace.expect import search as expect_search
from ktrace.pipeline import coverage
from ktrace.podstart import search
from tests.fakes import recorded
from tests.fakes.clock import Clock
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig
from tests.fakes.jaeger import data, served, span, trace
from tests.fakes.ktrace import Done, Ktrace

HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2066\u200b\ufeff\ud83d\r\nFAKE LINE"
    "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>[bold red]"
)
HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of what controls a terminal, the order of characters or the line."""


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().drive(monkeypatch, search, expect_search, coverage)


def assert_harmless(*texts: str) -> None:
    for text in texts:
        harmful = {
            character
            for character in text
            if unicodedata.category(character) in HARMFUL and character != "\n"
        }
        assert harmful == set()
        assert not [line for line in text.splitlines() if line.strip().startswith("FAKE LINE")]


def shown(done: Done) -> str:
    assert_harmless(done.stdout, done.stderr)
    assert "FAKE LINE" in done.stdout + done.stderr, "the text itself is told"
    return done.stdout


def hostile_start(request: httpx.Request) -> httpx.Response:
    """The recorded start of a pod whose image cannot be pulled, with a hostile name and error."""
    document = recorded.handler("no-image")(request).json()
    for found in document["data"] or []:
        for span_ in found["spans"]:
            for tag in span_["tags"]:
                if tag["key"] in ("image.ref", "otel.status_description"):
                    tag["value"] += HOSTILE
    return httpx.Response(200, text=json.dumps(document))


@pytest.fixture
def jaeger(server: FakeServer) -> str:
    server.answer = served(hostile_start)
    return server.url


def test_a_waterfall_is_lines_of_text(ktrace: Ktrace, jaeger: str) -> None:
    text = shown(ktrace("show", "no-image", "--jaeger", jaeger))
    assert "\\x1b]0;owned" in text
    assert "[bold red]" in text, "no markup of rich either"


def test_json_has_the_same_clean_text(ktrace: Ktrace, jaeger: str) -> None:
    done = ktrace("show", "no-image", "--jaeger", jaeger, "--json")
    shown(done)
    assert_harmless(*strings(done.document))


def strings(document: Any) -> list[str]:
    if isinstance(document, dict):
        return [*document, *strings(list(document.values()))]
    if isinstance(document, list):
        return [text for value in document for text in strings(value)]
    return [document] if isinstance(document, str) else []


def test_a_page_has_no_element_of_a_spans(ktrace: Ktrace, jaeger: str, tmp_path: Path) -> None:
    file = tmp_path / "start.html"
    ktrace("show", "no-image", "--jaeger", jaeger, "--html", str(file))
    page = file.read_text()
    assert_harmless(page)
    assert "FAKE LINE&lt;script&gt;" in page
    assert "<script" not in page
    assert "<img" not in page


def test_names_that_are_offered_are_text(ktrace: Ktrace, server: FakeServer) -> None:
    tags: dict[str, Any] = {"k8s.pod": f"default/web-{HOSTILE[:12]}FAKE LINE"}
    pod = span("kubelet", "syncPod", **tags)
    server.answer = served(
        lambda request: (
            data()
            if "tags" in request.url.params
            else httpx.Response(200, text=json.dumps({"data": [trace(pod)]}))
        )
    )
    done = ktrace("show", "web-FAKE LINE", "--jaeger", server.url, "--timeout", "0")
    shown(done)
    assert len(done.stderr.splitlines()) == 1


def test_the_nearest_spans_of_an_expectation_are_text(
    ktrace: Ktrace, server: FakeServer, tmp_path: Path
) -> None:
    found = trace(span("kubelet", HOSTILE, a=HOSTILE))
    server.answer = served(
        lambda request: httpx.Response(
            200, text=json.dumps({"data": [found] if "/traces" in request.url.path else [HOSTILE]})
        )
    )
    file = tmp_path / "e.yaml"
    file.write_text(
        "expectations: [{name: x, select: {component: kubelet, operation: nosuch, "
        "attributes: {a: b}}}]"
    )
    report = tmp_path / "report.xml"
    options = ("--jaeger", server.url, "--timeout", "0")
    shown(ktrace("assert", str(file), *options, "--junit", str(report)))
    assert_harmless(report.read_text())


def test_an_error_of_jaegers_is_one_line(ktrace: Ktrace, server: FakeServer) -> None:
    server.answer = served(lambda _: httpx.Response(500, text=json.dumps({"errors": [HOSTILE]})))
    done = ktrace("show", "web", "--jaeger", server.url)
    shown(done)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1


def test_a_nodes_name_is_text(ktrace: Ktrace, server: FakeServer, tmp_path: Path) -> None:
    jaeger = served(lambda _: data())

    def answer(request: Request) -> Reply:
        if request.path.startswith("/api/v1/nodes"):
            return Reply(200, {"items": [{"metadata": {"name": HOSTILE, "labels": {}}}]})
        return jaeger(request)

    server.answer = answer
    write_kubeconfig(tmp_path / "config", server.url)
    done = ktrace(
        "verify",
        "--jaeger",
        server.url,
        "--kubeconfig",
        str(tmp_path / "config"),
        "--timeout",
        "0",
    )
    shown(done)
