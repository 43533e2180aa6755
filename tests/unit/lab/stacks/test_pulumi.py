"""Pulumi's commands: their arguments, their end, and what a Ctrl-C does."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab.paths import PROJECT
from lab.stacks import pulumi


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes ``pulumi`` a script that writes its folder and arguments here, then runs ``SCRIPT``."""
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    written = tmp_path / "called"
    program.write_text(f'#!/bin/sh\necho "$PWD $*" >{written}\neval "$SCRIPT"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("SCRIPT", "true")
    return written


def end_of_run(*arguments: str) -> int | str:
    """The exit code; a KeyboardInterrupt would end the whole test session."""
    try:
        return pulumi.run(list(arguments), "dev")
    except KeyboardInterrupt:
        return "interrupted"


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["up", "--yes"], "up --yes --stack dev"),
        (["stack", "select", "dev"], "stack select dev"),
    ],
)
def test_a_command_is_about_the_stack(called: Path, arguments: list[str], command: str) -> None:
    assert end_of_run(*arguments) == 0
    assert called.read_text() == f"{PROJECT} {command}\n"


@pytest.mark.usefixtures("called")
def test_a_known_error_is_explained_and_its_code_returned(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCRIPT", "echo 'error: incorrect passphrase' >&2; exit 255")
    assert end_of_run("up") == 255
    shown = capfd.readouterr().err
    assert shown.startswith("error: incorrect passphrase\n")
    assert "Pulumi.dev.yaml" in shown


@pytest.mark.usefixtures("called")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_pulumi_as_a_ctrl_c_and_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    before = [signal.getsignal(known) for known in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    interrupted = f"kill -{int(number)} $PPID; while :; do sleep 0.01; done"
    monkeypatch.setenv("SCRIPT", f"trap 'exit 1' INT; {interrupted}")
    assert end_of_run("up") == "interrupted"
    monkeypatch.setenv("SCRIPT", f"trap 'exit 0' INT; {interrupted}")
    assert end_of_run("up") == 0, "Pulumi ended well all the same"
    after = [signal.getsignal(known) for known in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert after == before


@pytest.mark.usefixtures("called")
def test_a_signal_that_comes_while_pulumi_starts_reaches_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = subprocess.Popen.__init__

    def started(process: subprocess.Popen[bytes], *arguments: Any, **options: Any) -> None:
        start(process, *arguments, **options)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(subprocess.Popen, "__init__", started)
    monkeypatch.setenv("SCRIPT", "exec sleep 1000")
    assert end_of_run("up") == "interrupted"


@pytest.mark.usefixtures("called")
def test_a_ctrl_c_that_pulumis_display_reads_as_a_key_ends_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCRIPT", f"exit {pulumi.CANCELLED}")
    assert end_of_run("up") == "interrupted"


@pytest.mark.usefixtures("called")
@pytest.mark.parametrize(
    ("exported", "expected"),
    [
        ('{"deployment": {"pending_operations": [{"type": "creating"}]}}', True),
        ('{"deployment": {"pending_operations": [{"type": "deleting"}]}}', False),
        ('{"deployment": {"resources": []}}', False),
        ('{"deployment": null}', False),
    ],
)
def test_creates_of_a_killed_run_are_seen_in_the_state(
    monkeypatch: pytest.MonkeyPatch, exported: str, expected: bool
) -> None:
    monkeypatch.setenv("SCRIPT", f"echo '{exported}'")
    assert pulumi.has_interrupted_creates("dev") is expected
    monkeypatch.setenv("SCRIPT", f"echo '{exported}'; exit 1")
    assert not pulumi.has_interrupted_creates("dev")
