"""What the shell offers after a TAB."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ktrace import completion
from runtime_observability.host import runner
from runtime_observability.host.runner import Result
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig
from tests.fakes.ktrace import Ktrace

OBJECTS = {
    "/api/v1/namespaces": ["default", "shop"],
    "/api/v1/namespaces/default/pods": ["web-1", "web-2", "worker"],
    "/api/v1/namespaces/shop/pods": ["till"],
    "/apis/apps/v1/namespaces/default/deployments": ["web"],
    "/apis/batch/v1/namespaces/default/jobs": ["nightly"],
}
Offered = Callable[..., list[str]]


@pytest.fixture
def offered(ktrace: Ktrace, monkeypatch: pytest.MonkeyPatch) -> Offered:
    """What bash is offered for the last of the words."""

    def complete(*words: str) -> list[str]:
        monkeypatch.setenv("_KTRACE_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(("ktrace", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        done = ktrace()
        assert done.stderr == ""
        return list(filter(None, done.lines))

    return complete


@pytest.fixture
def cluster(server: FakeServer, tmp_path: Path) -> str:
    def answer(request: Request) -> Reply:
        names = OBJECTS.get(request.path.partition("?")[0], [])
        return Reply(200, {"items": [{"metadata": {"name": name}} for name in names]})

    server.answer = answer
    write_kubeconfig(tmp_path / "kubeconfig", server.url)
    return str(tmp_path / "kubeconfig")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("show", "we"), ["web-1", "web-2"]),
        (("show", "-n", "shop", ""), ["till"]),
        (("show", "pod/w"), ["pod/web-1", "pod/web-2", "pod/worker"]),
        (("show", "deploy/"), ["deploy/web"]),
        (("show", "jo"), ["job/nightly"]),
        (("show", "nothing/"), []),
        (("show", "-n", "s"), ["shop"]),
    ],
)
def test_names_are_those_of_the_cluster(
    offered: Offered, cluster: str, words: tuple[str, ...], names: list[str]
) -> None:
    command, *rest = words
    assert offered(command, "--kubeconfig", cluster, *rest) == names


@pytest.mark.parametrize("reply", [Reply(403, {"message": "forbidden"}), Reply(200, ["no list"])])
def test_of_what_cannot_be_read_nothing_is_offered(
    offered: Offered, cluster: str, server: FakeServer, reply: Reply
) -> None:
    server.answer = lambda _: reply
    assert offered("show", "--kubeconfig", cluster, "pod/") == []


def test_without_a_cluster_nothing_is_offered(offered: Offered, tmp_path: Path) -> None:
    assert offered("show", "--kubeconfig", str(tmp_path / "none"), "pod/") == []


def test_stacks_are_those_of_the_project(offered: Offered, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = json.dumps([{"name": "dev"}, {"name": "lab"}, {"name": "debug"}])
    monkeypatch.setattr(runner, "run", lambda *_, **__: Result((), 0, listed, ""))
    assert offered("verify", "--stack", "de") == ["debug", "dev"]


def test_kubectl_is_told_the_same(
    cluster: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """By its plugin's second program; kubectl gives it the words, the last one as it is so far."""
    for name in ("_KTRACE_COMPLETE", "COMP_WORDS", "COMP_CWORD"):
        monkeypatch.setenv(name, "")  # what the program sets is gone afterwards
    words = ["show", "--kubeconfig", cluster, "pod/we"]
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-ktrace", *words])
    with pytest.raises(SystemExit):
        completion.for_kubectl()
    assert capfd.readouterr().out.split() == ["pod/web-1", "pod/web-2", ":4"]
