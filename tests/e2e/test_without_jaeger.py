"""A stack without a Jaeger: another one has its traces, or none can be asked."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime_observability.core import documents
from runtime_observability.core.naming import Names
from tests.configuration import parsed
from tests.e2e.ktrace import document, ktrace, shown, whole
from tests.live import traces
from tests.live.pods import pods
from tests.live.stack import Stack
from tests.live.waiting import until

COMPONENTS = {"apiserver", "kubelet", "containerd"}


class Elsewhere:
    """A Jaeger that is no part of the stack; the collector knows its name."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.name = f"traced-{stack.name}-elsewhere-{secrets.token_hex(2)}"
        image = stack.docker.inspect(stack.jaeger)["Image"]
        stack.docker(
            "create", "--name", self.name, "--network", f"traced-{stack.name}",
            "--publish", "127.0.0.1::16686", image, "--config", "/config.yaml",
        )  # fmt: skip
        (folder / "config.yaml").write_text(
            documents.jaeger(parsed(), Names(stack.name, stack.folder))
        )
        (folder / "config.yaml").chmod(0o644)
        stack.docker("cp", str(folder / "config.yaml"), f"{self.name}:/config.yaml")
        stack.docker("start", self.name)
        address = stack.docker("port", self.name, "16686/tcp").splitlines()[0]
        self.url = f"http://{address}"
        until("an answer from it", lambda: traces.answers(self.url), 60)

    @property
    def exporter(self) -> dict[str, Any]:
        endpoint = f"{self.name}:4317"
        return {"name": "elsewhere", "endpoint": endpoint, "tls": {"insecure": True}}


@pytest.fixture
def elsewhere(stack: Stack, tmp_path: Path) -> Iterator[Elsewhere]:
    made = Elsewhere(stack, tmp_path)
    try:
        yield made
    finally:
        stack.docker("rm", "-fv", made.name)


def test_another_jaeger_has_the_traces_and_without_it_the_counters_are_judged(
    stack: Stack, elsewhere: Elsewhere
) -> None:
    nodes = stack.docker.containers(f"label=k3d.cluster={stack.cluster}")
    without = {"traceStore": "none", "exporters": [elsewhere.exporter]}

    stack.configure(**without, queryUrl=elsewhere.url)
    told = stack.plan().diagnostics
    assert "Jaeger will be removed, and the traces in its memory are lost" in told
    stack.up()
    outputs = stack.outputs
    assert outputs["firstTraceUrl"].startswith(f"{elsewhere.url}/trace/")
    assert (outputs["jaegerUrl"], set(outputs["tracedComponents"])) == (elsewhere.url, COMPONENTS)
    assert stack.jaeger not in stack.ids()
    with pods(stack, "sleep", "300") as single:
        shown(stack, f"{single.name}-0", whole)
    verified = document(stack, "verify")
    assert (verified["synthetic"]["ok"], verified["notKnown"]) == (True, [])

    collector = stack.ids()[stack.collector]
    stack.settle(**without)
    assert stack.ids()[stack.collector] == collector, "the probe alone has run again"
    outputs = stack.outputs
    assert (outputs["jaegerUrl"], outputs["links"]) == ("", {})
    assert set(outputs["tracedComponents"]) == COMPONENTS
    verified = document(stack, "verify")
    assert {part["component"] for part in verified["components"] if part["ok"]} == COMPONENTS
    assert len(verified["notKnown"]) == 2
    refused = ktrace(stack, "show", "web-0", "--stack", stack.name)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "keeps no traces (traceStore: none)" in refused.stderr
    stack.expect_no_changes()

    stack.docker("stop", "--time", "5", elsewhere.name)
    broken = document(stack, "verify", code=1)
    assert {part["brokenHop"]["hop"] for part in broken["components"] if part["expected"]} == {
        "collector's exporter delivers"
    }

    stack.configure()
    told = stack.plan().diagnostics
    assert "Jaeger will be made; earlier traces stay where exporters sent them" in told
    assert "is gone" not in told
    stack.up()
    assert stack.docker.containers(f"label=k3d.cluster={stack.cluster}") == nodes
    assert stack.jaeger in stack.ids()
