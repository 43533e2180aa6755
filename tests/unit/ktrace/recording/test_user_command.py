"""The user's command: its exit code and its signals."""

from __future__ import annotations

import signal

import pytest

from ktrace.errors import UsageError
from ktrace.recording import user_command


def test_a_commands_code_and_signals_are_its_own() -> None:
    before = signal.getsignal(signal.SIGTERM)
    outcome = user_command.run(["sh", "-c", 'exit "$CODE"'], {"CODE": "7"})
    assert outcome == user_command.Outcome(7, terminated=False)
    assert user_command.run(["sh", "-c", "kill -KILL $$"], {}).code == 137
    waiting = "trap 'exit 9' TERM; sleep 0.1; kill -TERM $PPID; while :; do sleep 0.01; done"
    assert user_command.run(["sh", "-c", waiting], {}) == user_command.Outcome(9, terminated=True)
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(UsageError, match="nosuch cannot be run"):
        user_command.run(["nosuch"], {})
