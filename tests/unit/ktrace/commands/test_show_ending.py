"""``ktrace show pod/NAME --ending``: recorded endings, and every way to fail."""

from __future__ import annotations

from html import unescape
from pathlib import Path

import pytest

from ktrace.podend import search
from ktrace.view import ending_page
from tests.fakes import recorded_endings, starts
from tests.fakes.clock import Clock
from tests.fakes.http import FakeServer
from tests.fakes.jaeger import served
from tests.fakes.ktrace import Ktrace
from tests.schemas import validate


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """No test waits for spans."""
    from ktrace.podstart import search as starts_search

    return Clock().drive(monkeypatch, search, starts_search)


@pytest.fixture
def stubborn(server: FakeServer, clock: Clock) -> str:
    """The URL of a Jaeger that has the ending of default/stubborn, whose container was killed."""
    recorded = recorded_endings.load("stubborn")
    clock.now = recorded.now / 1_000_000
    server.answer = served(starts.handler(*recorded.traces))
    return server.url


def test_without_the_cluster_the_spans_tell_who_and_why(ktrace: Ktrace, stubborn: str) -> None:
    shown = ktrace("show", "pod/stubborn", "--ending", "--jaeger", stubborn)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.lines[0] == "pod default/stubborn ended in 4.27 s"
    assert "deleted by kubectl/v1.32.4" in shown.lines
    killed = "main had to be killed: it still ran 3.03 s after its stop signal, when its grace"
    assert any(line.startswith(killed) for line in shown.lines)
    assert any("* 73%" in line and "stop main: still ran" in line for line in shown.lines)
    assert any(line.startswith(f"{stubborn}/trace/") for line in shown.lines)


def test_the_json_is_what_its_schema_promises(ktrace: Ktrace, stubborn: str) -> None:
    shown = ktrace("show", "stubborn", "--ending", "--jaeger", stubborn, "--json")
    assert shown.returncode == 0
    validate("ending", shown.document)
    assert shown.document["ended"] is True
    assert [(end["name"], end["how"]) for end in shown.document["containers"]] == [
        ("main", "killed"),
        ("good", "ended"),
    ]
    assert shown.document["soFarMs"] is None


def test_an_ending_that_goes_on_is_a_finding(
    ktrace: Ktrace, server: FakeServer, clock: Clock
) -> None:
    recorded = recorded_endings.load("stubborn-running")
    clock.now = recorded.now / 1_000_000
    server.answer = served(starts.handler(*recorded.traces))
    shown = ktrace("show", "stubborn", "--ending", "--jaeger", server.url, "--timeout", "0")
    assert (shown.returncode, shown.stderr) == (1, "")
    assert shown.lines[0] == "pod default/stubborn: whether it has ended is not known"


def test_a_pod_without_an_ending_is_a_finding_with_similar_names(
    ktrace: Ktrace, server: FakeServer, clock: Clock
) -> None:
    recorded = recorded_endings.load("not-deleted")
    clock.now = recorded.now / 1_000_000
    server.answer = served(starts.handler(*recorded.traces))
    shown = ktrace("show", "frash", "--ending", "--jaeger", server.url, "--timeout", "0")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr.startswith("ktrace: Jaeger has no end of pod default/frash (waited 0 s)")
    assert shown.stderr.endswith("similar names are default/fresh\n")


def test_the_page_tells_what_the_terminal_does(
    ktrace: Ktrace, stubborn: str, tmp_path: Path
) -> None:
    page = tmp_path / "ending.html"
    shown = ktrace("show", "stubborn", "--ending", "--jaeger", stubborn, "--html", str(page))
    assert (shown.returncode, shown.lines[-1]) == (0, f"page: {page}")
    text = unescape(page.read_text())
    assert text.startswith("<!doctype html>")
    assert "<h1>Why pod stubborn took 4.27 s to end</h1>" in text
    assert "<dt>had to be killed</dt><dd>main" in text
    assert '<td class="step">stop main: still ran' in text
    assert "made the length of the end" in text
    for line in shown.lines[1:-1]:
        if ":" in line and "%" not in line:
            assert line in text
    assert "<script" not in text
    assert all(text.count(f"{at}=") == 0 for at in ("src", "onload"))
    as_json = ktrace(
        *("show", "stubborn", "--ending", "--jaeger", stubborn, "--html", str(page), "--json")
    )
    assert as_json.document["ended"] is True


@pytest.mark.parametrize(
    ("kind", "heading", "told"),
    [
        ("finalizer-held", "How far the end of pod finalized got in ", "waits for"),
        ("pending", "Why pod pending took ", "deleted by kubectl/v1.32.4"),
        ("ended-on-its-own", "The end of pod", "has not been deleted"),
    ],
)
def test_a_page_of_every_kind_of_end(clock: Clock, kind: str, heading: str, told: str) -> None:
    recorded = recorded_endings.load(kind)
    clock.now = recorded.now / 1_000_000
    ending = recorded.ending()
    assert ending
    text = unescape(ending_page.render(ending, "http://jaeger:16686"))
    assert f"<h1>{heading}" in text
    assert told in text
    assert "None" not in text
    where = f", node {ending.node}" if kind != "pending" else ""
    assert f'<p class="when">namespace {ending.namespace}{where}, from ' in text


def test_the_end_of_a_workload_is_refused(ktrace: Ktrace) -> None:
    shown = ktrace("show", "deploy/web", "--ending", "--jaeger", "http://127.0.0.1:1")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "--ending shows the end of one pod: write pod/NAME" in shown.stderr


def test_a_file_that_cannot_be_written_is_refused_first(ktrace: Ktrace, tmp_path: Path) -> None:
    page = str(tmp_path / "none" / "ending.html")
    shown = ktrace("show", "a", "--ending", "--html", page, "--jaeger", "http://127.0.0.1:1")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "cannot be written: there is no folder" in shown.stderr
