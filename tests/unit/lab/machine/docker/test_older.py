"""What a daemon of an older lab did to the host is undone once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.machine.docker import older
from lab.machine.docker.files import Daemon

IPTABLES = """#!/bin/sh
echo "iptables $*" >> {calls}
"""
SAVE = """#!/bin/sh
echo '-A FORWARD -o br-0123456789ab -j DOCKER'
echo '-A FORWARD -o docker0 -j DOCKER'
echo '-A INPUT -p tcp --dport 22 -j ACCEPT'
"""
RESTORE = """#!/bin/sh
cat >> {calls}
"""


@pytest.fixture
def private(tmp_path: Path) -> Daemon:
    store = tmp_path / "docker/data/network/files/local-kv.db"
    store.parent.mkdir(parents=True)
    store.write_bytes(b"\0 0123456789ab \0")
    return Daemon(tmp_path / "docker")


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    calls, forwarding = tmp_path / "calls", tmp_path / "ip_forward"
    calls.touch()
    forwarding.write_text("1")
    for name, script in (
        ("iptables", IPTABLES),
        ("iptables-save", SAVE),
        ("iptables-restore", RESTORE),
        ("ip", IPTABLES.replace("iptables ", "ip ")),
    ):
        (tmp_path / name).write_text(script.format(calls=calls))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("lab.machine.docker.processes.PATH", os.environ["PATH"])
    monkeypatch.setattr(older, "IP_FORWARD", forwarding)
    monkeypatch.setattr(older, "devices", lambda: {"lo", "br-0123456789ab", "br-fedcba987654"})
    monkeypatch.setattr(older, "another_dockerd_runs", lambda: False)
    return calls


def test_a_daemon_of_this_lab_has_nothing_to_restore(private: Daemon, calls: Path) -> None:
    older.restore(private)
    assert calls.read_text() == ""


@pytest.mark.parametrize(("shared", "forwarding"), [(False, "0"), (True, "1")])
def test_its_bridges_and_rules_are_removed_and_nobody_elses(
    private: Daemon,
    calls: Path,
    monkeypatch: pytest.MonkeyPatch,
    shared: bool,
    forwarding: str,
) -> None:
    monkeypatch.setattr(older, "another_dockerd_runs", lambda: shared)
    recorded = private.folder / "host-before.json"
    recorded.write_text('{"ip_forward": "0", "forward_policy": "ACCEPT"}')
    older.restore(private)
    policy = [] if shared else ["iptables -P FORWARD ACCEPT"]
    assert calls.read_text().splitlines() == [
        "ip link delete br-0123456789ab",
        "-A FORWARD -o docker0 -j DOCKER",
        "-A INPUT -p tcp --dport 22 -j ACCEPT",
        *policy,
    ]
    assert older.IP_FORWARD.read_text() == forwarding
    assert not recorded.exists()
