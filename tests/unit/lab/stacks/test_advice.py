"""Pulumi's errors, explained."""

from __future__ import annotations

import os
import socket
import subprocess

from lab.stacks.advice import explain


def test_a_lock_is_explained_by_whether_its_run_still_lives() -> None:
    def lock(pid: int) -> str:
        return f"locked\n  file:///x.json: created by me@{socket.gethostname()} (pid {pid}) at now"

    gone = subprocess.Popen(["true"])
    gone.wait()
    assert "pulumi cancel --yes --stack dev" in (explain(lock(gone.pid), "dev") or "")
    assert "wait" in (explain(lock(os.getpid()), "dev") or "")


def test_another_passphrase_is_explained_and_other_errors_are_left_alone() -> None:
    said = explain("error: get stack secrets manager: incorrect passphrase", "dev") or ""
    assert "Pulumi.dev.yaml" in said
    assert explain("error: something else", "dev") is None
