"""How external commands run: from argument lists, with a timeout, and with complete errors."""

from __future__ import annotations

import time
from pathlib import Path

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


def test_docker_takes_images_of_the_platform_that_they_are_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`docker create` found none for an agent, with the variable that k3d does not know."""
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    assert run(["sh", "-c", "echo $DOCKER_DEFAULT_PLATFORM"]).checked() == "\n"


def test_docker_wants_signed_images_only_where_it_pulls_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`docker create` asked a notary for an image that was there, and the old Jaeger was gone."""
    monkeypatch.setenv("DOCKER_CONTENT_TRUST", "1")
    asked = ["sh", "-c", "echo $DOCKER_CONTENT_TRUST"]
    assert run(asked).checked() == "\n"
    assert run(asked, environment=runner.surroundings_of_a_pull()).checked() == "1\n"


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


def test_a_script_that_failed_is_told_by_its_name_and_not_by_its_text() -> None:
    with pytest.raises(CommandError) as failed:
        run(["sh", "-c", "set -eu\nexit 3", "sweep.sh"]).checked()
    assert str(failed.value) == "`sh -c … sweep.sh` exited with 3: no output"
    with pytest.raises(CommandError) as failed:
        run(["sh", "-c", "set -eu\nsleep 5", "sweep.sh"], timeout=0.1)
    assert str(failed.value) == "`sh -c … sweep.sh` did not finish within 0.1 s"


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandError, match="`no-such-program` is not on PATH"):
        run(["no-such-program"])


def test_a_command_that_hangs_is_ended() -> None:
    with pytest.raises(CommandError, match=r"`sleep 60` did not finish within 0\.1 s"):
        runner.run(["sleep", "60"], timeout=0.1)


# --- programs that cannot be run, and output that cannot be read ----------------------------------


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        (0o755, "Exec format error. It is damaged or for another machine: install the one for"),
        (0o644, "Permission denied. Make it executable, or install it again"),
    ],
)
def test_a_program_that_cannot_be_run_is_told_with_the_cure(
    tmp_path: Path, mode: int, error: str
) -> None:
    """A k3d of another architecture is one: no shell is asked, so that it is no script."""
    program = tmp_path / "k3d"
    program.write_bytes(b"\x7fELF\x02of another machine")
    program.chmod(mode)
    for start in (runner.run, lambda argv: runner.follow(argv, print, stdin=b"", timeout=5)):
        with pytest.raises(CommandError) as failed:
            start([str(program), "version"])
        assert str(failed.value).startswith(f"`{program}` cannot be run: {error}")


def test_output_that_is_not_utf_8_is_read_nevertheless() -> None:
    """A node's log has whatever its programs wrote."""
    result = run(["sh", "-c", r"printf 'a\377b'; printf 'c\376' >&2"])
    assert (result.stdout, result.stderr) == ("a\ufffdb", "c\ufffd")


# --- a command that is followed -------------------------------------------------------------------


def follow(script: str, stdin: bytes = b"", timeout: float = 10) -> tuple[runner.Result, list[str]]:
    lines: list[str] = []
    result = runner.follow(["sh", "-c", script], lines.append, stdin=stdin, timeout=timeout)
    return result, lines


def test_each_line_is_reported_and_kept() -> None:
    result, lines = follow(r"cat; echo why >&2; printf 'n\377'; exit 3", stdin=b"in\n")
    assert lines == ["in", "why", "n\ufffd"]
    assert (result.code, result.stdout) == (3, "in\nwhy\nn\ufffd")
    with pytest.raises(CommandError, match="exited with 3: in\nwhy"):
        result.checked()


def test_a_line_is_reported_before_the_command_ends(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = f"echo first; while ! [ -e {seen} ]; do sleep 0.01; done"
    runner.follow(["sh", "-c", script], lambda _: seen.touch(), stdin=b"", timeout=10).checked()


def test_a_command_may_leave_its_input_unread() -> None:
    result, _ = follow("exit 0", stdin=b"x" * (1 << 20))
    assert result.code == 0


def test_a_followed_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_LAST_OUTPUT_SECONDS", 0.1)
    begin = time.monotonic()
    with pytest.raises(CommandError, match=r"did not finish within 0\.1 s"):
        follow("sleep 10; true", timeout=0.1)
    assert time.monotonic() - begin < 8


# --- the delete scripts ---------------------------------------------------------------------------


def test_a_script_with_the_line_ends_of_windows_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git for Windows writes them into a checkout, and sh takes a CR for a part of the word."""
    (tmp_path / "say.sh").write_bytes(b'set -eu\r\n[ -n "$WORD" ] || exit 0\r\necho "$WORD"\r\n')
    (tmp_path / runner.FUNCTIONS).write_bytes(b"unused() {\r\n  true\r\n}\r\n")
    monkeypatch.setattr(runner, "SCRIPTS", tmp_path)
    assert "\r" not in runner.script("say.sh")
    result = runner.run_script("say.sh", {"WORD": "said"})
    assert (result.code, result.stdout, result.stderr) == (0, "said\n", "")


def test_a_variable_of_the_users_shell_is_no_value_of_a_script(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a DIGEST of some image in it, a cluster that was never complete was "older"."""
    (tmp_path / runner.FUNCTIONS).touch()
    (tmp_path / "a.sh").write_text('echo "${DIGEST:-} ${GIVEN:-} ${OTHER-}"\n')
    monkeypatch.setattr(runner, "SCRIPTS", tmp_path)
    for name in ("DIGEST", "GIVEN"):
        monkeypatch.setenv(name, "the user's")
    assert runner.run_script("a.sh", {"GIVEN": "ours"}).checked() == " ours \n"
