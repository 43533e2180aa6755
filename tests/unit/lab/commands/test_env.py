"""What `make env` prints for a shell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.commands import env
from lab.machine import ready
from lab.paths import Cache
from lab.stacks import pulumi


@pytest.mark.parametrize(
    ("wanted", "printed"),
    [
        ("alice", "export PATH=/tools\nexport PULUMI_STACK=alice\n"),
        (None, "export PATH=/tools\n"),
    ],
)
def test_a_shell_of_a_named_stack_is_about_that_one_alone(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    wanted: str | None,
    printed: str,
) -> None:
    """Without a name, `pulumi stack select` still chooses."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(env, "needs_of", lambda *_: (None, ()))
    monkeypatch.setattr(ready, "variables", lambda _: {"PATH": "/tools"})
    monkeypatch.setattr(pulumi, "selected_stack", lambda: None)
    assert env.run(Cache(tmp_path), wanted) == 0
    assert capsys.readouterr().out == printed
