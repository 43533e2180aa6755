"""Pods of killed probes: the next probe removes those of this machine's dead processes alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ktrace.pipeline import left_pods
from runtime_observability.host.api_server import ApiServer
from tests.fakes.http import FakeServer, Reply, Request, write_kubeconfig

PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture
def ended() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def pod(name: str, annotations: dict[str, str] | None) -> dict[str, Any]:
    return {"metadata": {"name": name, "annotations": annotations}}


def test_only_those_of_dead_processes_of_this_machine_go(
    server: FakeServer, tmp_path: Path, ended: int
) -> None:
    host = socket.gethostname()
    listed = [
        pod("dead", {left_pods.PROCESS: f"{host} {ended}"}),
        pod("alive", {left_pods.PROCESS: f"{host} {os.getpid()}"}),
        pod("root-s", {left_pods.PROCESS: f"{host} 1"}),
        pod("elsewhere", {left_pods.PROCESS: f"another {ended}"}),
        pod("broken", {left_pods.PROCESS: f"{host} {'9' * 40}"}),
        pod("of-an-earlier-release", None),
    ]
    server.answer = lambda _: Reply(200, {"items": listed})
    write_kubeconfig(tmp_path / "config", server.url)
    with ApiServer(tmp_path / "config") as api:
        left_pods.remove(api, PODS)
    asked = [(request.method, request.path.partition("?")[0]) for request in server.requests]
    assert asked == [("GET", PODS), ("DELETE", f"{PODS}/dead")]
    assert server.requests[0].path.endswith("?labelSelector=app%3Dtrace-probe")


@pytest.mark.parametrize("answer", [Reply(403, {}), Reply(200, {}), Reply(200, {"items": None})])
def test_a_list_that_cannot_be_read_stops_no_probe(
    server: FakeServer, tmp_path: Path, answer: Reply
) -> None:
    def only_lists(request: Request) -> Reply:
        assert request.method == "GET"
        return answer

    server.answer = only_lists
    write_kubeconfig(tmp_path / "config", server.url)
    with ApiServer(tmp_path / "config") as api:
        left_pods.remove(api, PODS)
