"""``ktrace`` for a cluster that Pulumi has no part in: its Jaeger and its kubeconfig are named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.configuration import PROJECT, of_stack_file
from tests.live import environment, ports
from tests.live.by_hand import ByHand
from tests.live.pods import BUSYBOX
from tests.schemas import validate


@dataclass(frozen=True)
class Cluster:
    """``folder`` has no project in it and around it."""

    made: ByHand
    folder: Path

    def ktrace(
        self,
        *arguments: str,
        command: tuple[str, ...] = (),
        more: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """The finished command, with PATH's tools and nothing that leads to a stack.

        ``more`` is added to its environment.
        """
        name, *rest = arguments
        url = self.made.plan.jaeger_url
        argv = [sys.executable, "-m", "ktrace", name, "--jaeger", url, *rest]
        after = ["--", *command] if command else []
        return subprocess.run(
            [*argv, *after],
            cwd=self.folder,
            env={**self.made.environment, "PYTHONPATH": str(PROJECT), **(more or {})},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def document(self, name: str, *arguments: str) -> dict[str, Any]:
        """What --json printed; the command has succeeded."""
        done = self.ktrace(name, *arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        validate(name, document)
        return document

    @property
    def kubeconfig(self) -> tuple[str, str]:
        return "--kubeconfig", str(self.made.folder / "kubeconfig")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: Any, environ: dict[str, str]) -> Iterator[Cluster]:
    """Made with docker and k3d commands; Pulumi is not on PATH."""
    folder = tmp_path_factory.mktemp("by-hand")
    images = of_stack_file(environ[environment.DEFAULT_STACK])
    made = ByHand.like({**images, "portOffset": ports.free_offset()}, folder, environ)
    try:
        made.up()
        yield Cluster(made, tmp_path_factory.mktemp("elsewhere"))
    finally:
        made.down()


def test_every_question_is_answered(cluster: Cluster) -> None:
    pod = ("kubectl", "run", "ours", f"--image={BUSYBOX}", "--restart=Never", "--", "sleep", "600")
    otlp = ("--otlp", cluster.made.plan.collector.http_endpoint)
    ran = cluster.ktrace("run", *cluster.kubeconfig, *otlp, command=pod)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr.startswith(f"{cluster.made.plan.jaeger_url}/trace/"), ran.stderr
    named = {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp[1]}
    listed = cluster.ktrace(
        *("run", *cluster.kubeconfig, "--json"), command=("kubectl", "get", "pods"), more=named
    )
    report = json.loads(listed.stderr)
    assert report["traceUrl"]
    assert not report["notes"]
    assert "create pods default/ours  201" in ran.stderr
    assert f"pod default/ours on {cluster.made.server}  started in" in ran.stderr
    start = cluster.document("show", "ours", *cluster.kubeconfig)
    assert (start["complete"], start["missing"]) == (True, [])
    assert cluster.document("verify", *cluster.kubeconfig)["ok"]
    top = cluster.document("top", "--by", "object")
    assert any("default/ours" in row["key"] for row in top["rows"])
    judged = cluster.ktrace("assert", "pod-start", "--set", "POD=default/ours")
    assert judged.returncode == 0, judged.stdout + judged.stderr
    measured = cluster.document("bench", "--pods", "2", *cluster.kubeconfig)
    assert measured["pods"] == 2
