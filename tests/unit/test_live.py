"""What the live tiers ask of machines other than the one they are run on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live import environment


def test_what_make_test_has_decided_is_not_decided_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no make is found there
    monkeypatch.setenv("RUNTIME_OBSERVABILITY_STACK", "dev")
    monkeypatch.setenv("KUBECONFIG", "/of/some/stack")
    found = environment.of_make()
    assert (found["RUNTIME_OBSERVABILITY_STACK"], found["PATH"]) == ("dev", str(tmp_path))
    assert "KUBECONFIG" not in found
