"""``ktrace`` for a cluster that Pulumi has no part in: its Jaeger and its kubeconfig are named."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.configuration import PROJECT, of_stack_file
from tests.live import environment, ports
from tests.live.by_hand import ByHand
from tests.live.pods import BUSYBOX
from tests.live.waiting import until
from tests.schemas import validate

_KTRACE = (sys.executable, "-m", "ktrace")


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
        jaeger: tuple[str, ...] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """The finished command, with PATH's tools and nothing that leads to a stack.

        ``more`` is added to its environment; ``jaeger`` is in place of the options that name it.
        """
        name, *rest = arguments
        named = self._jaeger if jaeger is None else jaeger
        after = ["--", *command] if command else []
        return subprocess.run(
            [*_KTRACE, name, *named, *rest, *after],
            cwd=self.folder,
            env={**self._environment, **(more or {})},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @contextmanager
    def watching(self) -> Iterator[list[str]]:
        """The lines that ``ktrace watch`` has printed until now; it waits when the block begins."""
        argv = [*_KTRACE, "watch", *self._jaeger, *self.kubeconfig, "--json"]
        pipe = subprocess.PIPE
        lines: list[str] = []
        with subprocess.Popen(
            argv, cwd=self.folder, env=self._environment, stdout=pipe, stderr=pipe, text=True
        ) as watch:
            assert watch.stderr
            assert "waiting for pods to start" in watch.stderr.readline()
            threading.Thread(target=lambda: lines.extend(watch.stdout or ()), daemon=True).start()
            try:
                yield lines
            finally:
                watch.send_signal(signal.SIGINT)

    @property
    def _jaeger(self) -> tuple[str, ...]:
        return "--jaeger", self.made.plan.jaeger_url

    @property
    def _environment(self) -> dict[str, str]:
        return {**self.made.environment, "PYTHONPATH": str(PROJECT)}

    def document(self, name: str, *arguments: str) -> dict[str, Any]:
        """What --json printed; the command has succeeded."""
        done = self.ktrace(name, *arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        validate("rollout" if "rollouts" in document else name, document)
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
    began = datetime.now(UTC).isoformat()
    measured = cluster.document("bench", "--pods", "6", *cluster.kubeconfig)
    assert measured["pods"] == 6
    between = datetime.now(UTC).isoformat()
    cluster.document("bench", "--pods", "6", *cluster.kubeconfig)
    windows = (f"window:{began}/{between}", f"window:{between}/now")
    compared = cluster.ktrace("diff", *windows, "--pods", "default/trace-probe", "--json")
    assert compared.returncode in (0, 1), compared.stdout
    rows = {row["name"]: row for row in json.loads(compared.stdout)["rows"]}
    assert rows["start"]["beforeMs"] > 0
    assert rows["start"]["afterMs"] > 0


def test_a_rollout_and_an_end_are_told_and_saved(cluster: Cluster) -> None:
    file = str(cluster.folder / "rollout.json")
    expected = cluster.folder / "expected.yaml"
    expected.write_text(
        "expectations: [{name: both start, pod: 'default/web-*', expect: {count: 2}}]\n"
    )
    create = ("kubectl", "create", "deployment", "web", f"--image={BUSYBOX}", "--replicas=2")
    with cluster.watching() as lines:
        ran = cluster.ktrace(
            *("run", *cluster.kubeconfig, "--assert", str(expected)),
            command=(*create, "--", "sleep", "600"),
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        rollout = cluster.document("show", "deploy/web", *cluster.kubeconfig, "--save", file)
        (told,) = rollout["rollouts"]
        names = {pod["name"] for pod in told["pods"]}
        assert len(names) == 2
        until("a line for each", lambda: {json.loads(line)["pod"] for line in lines} >= names, 30)
    saved = cluster.ktrace("show", "deploy/web", "--from", file, "--json", jaeger=())
    assert json.loads(saved.stdout) == rollout
    pod = min(names)
    removed = cluster.ktrace(
        "run", *cluster.kubeconfig, command=("kubectl", "delete", "pod", pod, "--grace-period=1")
    )
    assert removed.returncode == 0, removed.stdout + removed.stderr
    ended = cluster.ktrace("show", pod, "--ending", *cluster.kubeconfig, "--json")
    assert json.loads(ended.stdout)["ended"], ended.stderr
