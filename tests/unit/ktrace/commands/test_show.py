"""``ktrace show``: a recorded start, a pod without one, and every way to fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from ktrace.podstart import search
from tests.fakes import recorded
from tests.fakes.clock import Clock
from tests.fakes.http import FakeServer
from tests.fakes.jaeger import URL, data, served, span, trace
from tests.fakes.ktrace import Ktrace

SNAPSHOTS = Path(__file__).resolve().parent.parent / "podstart" / "snapshots"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """No test waits for spans."""
    return Clock().drive(monkeypatch, search)


@pytest.fixture
def jaeger(server: FakeServer) -> str:
    """The URL of a Jaeger that has the start of default/echo-one."""
    server.answer = served(recorded.handler("echo-one"))
    return server.url


def test_a_start_is_shown_as_a_waterfall_with_its_traces(ktrace: Ktrace, jaeger: str) -> None:
    shown = ktrace("show", "pod/echo-one", "--jaeger", jaeger)
    assert (shown.returncode, shown.stderr) == (0, "")
    expected = (SNAPSHOTS / "echo-one.txt").read_text().splitlines()
    assert [line for line in shown.lines if not line.startswith(jaeger)] == expected
    links = [line for line in shown.lines if line.startswith(jaeger)]
    assert links == snapshot("echo-one", jaeger)["traceUrls"]


def snapshot(pod: str, jaeger: str) -> Any:
    return json.loads((SNAPSHOTS / f"{pod}.json").read_text().replace(URL, jaeger))


@pytest.mark.parametrize("pod", ["echo-one", "pod/echo-one", "pods/echo-one"])
def test_the_json_is_that_of_the_start(ktrace: Ktrace, jaeger: str, pod: str) -> None:
    shown = ktrace("show", pod, "--jaeger", jaeger, "--json")
    assert shown.returncode == 0
    assert shown.document == snapshot("echo-one", jaeger)


def test_a_page_is_written_and_named(ktrace: Ktrace, jaeger: str, tmp_path: Path) -> None:
    file = tmp_path / "start.html"
    shown = ktrace("show", "echo-one", "--jaeger", jaeger, "--html", str(file))
    assert shown.lines[-1] == f"page: {file}"
    assert file.read_text().startswith("<!doctype html>")
    assert "echo-one" in file.read_text()
    as_json = ktrace("show", "echo-one", "--jaeger", jaeger, "--html", str(file), "--json")
    assert as_json.document["pod"] == "echo-one", "the page is not named in JSON"


def test_a_page_that_cannot_be_written_is_wrong_usage(
    ktrace: Ktrace, jaeger: str, tmp_path: Path
) -> None:
    refused = ktrace("show", "echo-one", "--jaeger", jaeger, "--html", str(tmp_path))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"ktrace: {tmp_path} cannot be written: Is a directory\n"


@pytest.mark.parametrize("pod", ["deployment/a", "pod/", ""])
def test_what_is_not_a_pod_is_wrong_usage(ktrace: Ktrace, jaeger: str, pod: str) -> None:
    refused = ktrace("show", pod, "--jaeger", jaeger)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"ktrace: {pod!r} is not a pod: write pod/NAME or NAME\n"


def test_another_namespace_is_searched(ktrace: Ktrace, jaeger: str, clock: Clock) -> None:
    begin = clock.now
    absent = ktrace("show", "echo-one", "-n", "shop", "--jaeger", jaeger, "--timeout", "3")
    assert (absent.returncode, absent.stdout) == (1, "")
    assert "Jaeger has no start of pod shop/echo-one (waited 3 s)" in absent.stderr
    assert clock.now - begin == 3


def test_a_jaeger_without_any_pod_points_at_verify(ktrace: Ktrace, server: FakeServer) -> None:
    server.answer = served(lambda _: data())
    absent = ktrace("show", "web-0", "--jaeger", server.url, "--timeout", "0")
    assert absent.returncode == 1
    assert absent.stderr == (
        "ktrace: Jaeger has no start of pod default/web-0 (waited 0 s); it has no pod's start at "
        "all: `ktrace verify` says why\n"
    )


@pytest.mark.parametrize(
    ("known", "hint"),
    [
        (
            [f"default/web-{number}" for number in range(1, 6)],
            "; similar names are default/web-5, default/web-4, default/web-3",
        ),
        (["kube-system/coredns"], ""),
    ],
)
def test_similar_names_are_offered(
    ktrace: Ktrace, server: FakeServer, known: list[str], hint: str
) -> None:
    tags: list[dict[str, Any]] = [{"k8s.pod": pod} for pod in known]
    spans = [
        span("kubelet", "syncPod", **tag) | {"spanID": str(number)}
        for number, tag in enumerate(tags)
    ]
    server.answer = served(
        lambda request: data() if "tags" in request.url.params else data(trace(*spans))
    )
    absent = ktrace("show", "web-0", "--jaeger", server.url, "--timeout", "0")
    assert absent.returncode == 1
    assert absent.stderr.endswith(f"(waited 0 s){hint}\n")


def test_an_unreachable_jaeger_has_a_code_of_its_own(ktrace: Ktrace) -> None:
    refused = ktrace("show", "web-0", "--jaeger", "http://127.0.0.1:9")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert refused.stderr.startswith("ktrace: Jaeger at http://127.0.0.1:9 cannot be reached: ")


def test_what_is_not_jaeger_is_named(ktrace: Ktrace, server: FakeServer) -> None:
    refused = ktrace("show", "web-0", "--jaeger", server.url)
    assert refused.returncode == 1, "404 is what Jaeger answers before it has spans"
    assert "no pod's start at all" in refused.stderr
    server.answer = served(lambda _: httpx.Response(200, text="<html>"))
    refused = ktrace("show", "web-0", "--jaeger", server.url)
    assert refused.returncode == 3
    assert "answers 200 without a JSON object: is that Jaeger?" in refused.stderr
