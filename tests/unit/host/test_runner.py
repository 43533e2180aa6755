"""How external commands run: from argument lists, with a timeout, and with complete errors."""

from __future__ import annotations

import pytest

from runtime_observability.host import runner
from runtime_observability.host.runner import CommandError, run


def test_what_a_command_said_is_kept() -> None:
    result = run(["sh", "-c", "cat; echo trouble >&2; exit 3"], stdin="text\n")
    assert (result.code, result.stdout, result.stderr) == (3, "text\n", "trouble\n")


def test_arguments_are_no_shell_text() -> None:
    assert run(["printf", "%s", "$HOME; `id`"]).checked() == "$HOME; `id`"


def test_nothing_is_read_from_the_terminal() -> None:
    assert run(["cat"]).checked() == ""


def test_an_environment_replaces_the_processes_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INHERITED", "yes")
    assert run(["sh", "-c", "echo $INHERITED"]).checked() == "yes\n"
    environment = {"PATH": "/bin:/usr/bin", "GIVEN": "yes"}
    result = run(["sh", "-c", "echo $GIVEN $INHERITED"], environment=environment)
    assert result.checked() == "yes\n"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo out; echo why >&2; exit 3", "exited with 3: why"),
        ("echo out; exit 4", "exited with 4: out"),
        ("exit 5", "exited with 5: no output"),
    ],
)
def test_a_failure_says_which_command_and_why(script: str, error: str) -> None:
    with pytest.raises(CommandError) as failed:
        run(["sh", "-c", script]).checked()
    assert str(failed.value) == f"`sh -c '{script}'` {error}"


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandError, match="`no-such-program` is not on PATH"):
        run(["no-such-program"])


def test_a_command_that_hangs_is_ended() -> None:
    with pytest.raises(CommandError, match=r"`sleep 60` did not finish within 0\.1 s"):
        runner.run(["sleep", "60"], timeout=0.1)
