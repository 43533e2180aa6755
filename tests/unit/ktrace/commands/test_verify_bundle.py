"""``ktrace verify --save`` and ``--from``: the verdict again, without a cluster and Docker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes import broken_bundle
from tests.fakes.daemon import FakeDaemon
from tests.fakes.http import FakeServer
from tests.fakes.ktrace import Ktrace
from tests.schemas import validate
from tests.unit.ktrace.commands import test_verify as live

clock, stack = live.clock, live.stack


def broken(stack: live.Stack, daemon: FakeDaemon) -> None:
    stack.silent = {"kubelet"}
    stack.jaeger.restarts, stack.jaeger.started = 1, "2026-11-27T06:00:00.25Z"
    stack.jaeger.ended = stack.jaeger.started
    daemon.events = ["oom <no value>", "die 137"]
    stack.collector.restarts, stack.collector.ended = 2, "2026-11-27T06:00:00.25Z"


def without_a_jaeger(stack: live.Stack, daemon: FakeDaemon) -> None:
    live.without_jaeger(stack, daemon, {"apiserver": 5, "kubelet": 5})


def chosen(stack: live.Stack, daemon: FakeDaemon) -> None:
    stack.chooses, stack.sent = True, 0
    stack.silent = {"apiserver", "containerd"}


def whole(stack: live.Stack, daemon: FakeDaemon) -> None:
    pass


@pytest.mark.parametrize("make", [whole, broken, without_a_jaeger, chosen])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_bundle_answers_as_verify_did(
    ktrace: Ktrace,
    stack: live.Stack,
    server: FakeServer,
    daemon: FakeDaemon,
    tmp_path: Path,
    *,
    make: Callable[[live.Stack, FakeDaemon], None],
    form: tuple[str, ...],
) -> None:
    make(stack, daemon)
    file = tmp_path / "verify.json"
    saved = ktrace("verify", "--timeout", "0", *form, "--save", str(file))
    assert f"saved {file}" in saved.stderr
    asked, commands = len(server.requests), len(daemon.executables.calls)
    again = ktrace("verify", *form, "--from", str(file))
    assert (again.returncode, again.stdout, again.stderr) == (saved.returncode, saved.stdout, "")
    assert len(server.requests) == asked, "nothing is asked again"
    assert len(daemon.executables.calls) == commands
    document = json.loads(file.read_text())
    validate("bundle", document)
    validate("verify", document["answer"])
    assert document["exitCode"] == saved.returncode
    assert document["versions"]["kubernetes"] == "v1.36.3"
    assert document["versions"]["runtimes"] == ["containerd://2.4.2"]


def test_nothing_that_may_be_secret_is_in_it(
    ktrace: Ktrace, stack: live.Stack, daemon: FakeDaemon, tmp_path: Path
) -> None:
    """Neither what containers log, nor a login in an error's address."""
    broken(stack, daemon)
    stack.of_destinations = (
        'otelcol_exporter_queue_size{exporter="otlp_http/team"} 3e+06\n'
        'otelcol_exporter_sent_spans{exporter="otlp_http/team"} 1\n'
    )
    fields = {
        "otelcol.component.id": "otlp_http/team",
        "otelcol.component.kind": "exporter",
        "error": "Authorization: hunter2",
    }
    stack.collector.log = f"now\terror\tx.go:1\tRetrying.\t{json.dumps(fields)}\n"
    stack.collector.log += "panic: password=hunter2\n"
    stack.jaeger_status = 500
    stack.jaeger_reason = "elastic at https://me:hunter2@store:9200 does not answer"
    file = tmp_path / "verify.json"
    saved = ktrace("verify", "--timeout", "0", "--save", str(file))
    assert saved.returncode == 1
    assert "last error: panic: password=hunter2" in saved.stdout
    assert "The last error: Authorization: hunter2" in saved.stdout
    assert "elastic at https://" in file.read_text()
    assert "hunter2" not in file.read_text()


@pytest.mark.parametrize(
    ("key", "broken"),
    [
        ("components", {}),
        ("components", [{"component": 5}]),
        ("synthetic", {"ok": "yes"}),
        ("destinations", [{"name": "x"}]),
        ("at", None),
        ("toJaeger", []),
    ],
)
def test_a_broken_bundle_is_one_line(
    ktrace: Ktrace, stack: live.Stack, tmp_path: Path, key: str, broken: object
) -> None:
    file = tmp_path / "verify.json"
    ktrace("verify", "--stack", stack.node, "--save", str(file))
    broken_bundle.expect_one_line(ktrace, file, "verify", key, broken)
