"""Closed pipes, full disks, closed streams, Ctrl-C, colours and narrow terminals: all commands."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.configuration import PROJECT
from tests.fakes import recorded
from tests.fakes.http import FakeServer, Reply, write_kubeconfig
from tests.fakes.jaeger import served
from tests.fakes.ktrace import Ktrace

COMMANDS = ("doctor", "verify", "run", "show", "assert", "render", "open")
NOWHERE = "--jaeger http://127.0.0.1:9"
ANSWERS = {
    "--help": "--help",
    "--version": "--version",
    **{f"{command} --help": f"{command} --help" for command in COMMANDS},
    "doctor": "doctor --json",
    "render": "render --stack lab",
    "open": f"open {NOWHERE}",
    "error": f"show a {NOWHERE} --json",
    "usage": "nosuch --json",
}
"""Command lines that print to stdout, and need no cluster."""
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")


def shell(script: str) -> subprocess.CompletedProcess[str]:
    """``script`` with ``ktrace`` in it, run by bash in the project's folder."""
    ktrace = f'ktrace() {{ "{sys.executable}" -m ktrace "$@"; }}'
    return subprocess.run(
        ["bash", "-c", f"{ktrace}\n{script}"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", ANSWERS.values(), ids=ANSWERS)
def test_a_reader_that_has_left_is_1_without_a_traceback(arguments: str) -> None:
    """The reader closes its end before ktrace writes: with head it would be a race."""
    done = shell(f"{{ sleep 0.2; ktrace {arguments}; echo $? >&3; }} 3>&2 2>/dev/null | true")
    assert done.stderr == "1\n"
    done = shell(f"{{ sleep 0.2; ktrace {arguments} 2>&1; }} | true")
    assert done.stderr == ""


@full
@pytest.mark.parametrize("arguments", ANSWERS.values(), ids=ANSWERS)
def test_a_full_disk_is_told_with_the_cure(arguments: str) -> None:
    done = shell(f"ktrace {arguments} > /dev/full")
    assert done.returncode == 2
    *_, line = done.stderr.splitlines()
    assert line == (
        "ktrace: stdout cannot be written: No space left on device. Redirect it to another file"
    )
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2, "a failure is told, and that it is nowhere else"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_what_an_encoding_does_not_have_is_drawn_with_what_it_has(encoding: str) -> None:
    """A bar of question marks is no picture; ü and 容 are no drawing."""
    told = "█ ▒ ░ ▪ ├── └── │ … → ≈ “ü容”"
    script = f"from ktrace import streams; streams.prepare(); print({told!r})"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )
    shown = done.stdout.decode(encoding).strip()
    assert shown.count("?") == {"ascii": 2, "latin-1": 1, "cp437": 1}[encoding]
    if encoding == "ascii":
        assert shown == '# = . - +-- +-- | ... -> ~ "??"'


@full
def test_a_full_stderr_changes_no_exit_code() -> None:
    assert shell(f"ktrace show a {NOWHERE} 2> /dev/full").returncode == 3
    assert shell("ktrace 2> /dev/full").returncode == 2
    assert shell(f"ktrace run {NOWHERE} --kubeconfig x --json -- true 2> /dev/full").returncode == 3


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("ktrace --help >&-", 0),
        (f"ktrace open {NOWHERE} >&-", 0),
        (f"ktrace open {NOWHERE} >&- 2>&- <&-", 0),
        (f"ktrace show a {NOWHERE} 2>&-", 3),
        (f"ktrace show a {NOWHERE} --json >&-", 3),
        ("ktrace show 2>&-", 2),
    ],
)
def test_a_closed_stream_changes_no_exit_code(script: str, code: int) -> None:
    done = shell(script)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_report_that_nobody_reads_costs_no_exit_code_of_the_command(
    server: FakeServer, tmp_path: Path
) -> None:
    server.answer = lambda _: Reply(200, {"data": [], "items": []})
    write_kubeconfig(tmp_path / "config", server.url)
    target = f"--jaeger {server.url} --kubeconfig {tmp_path / 'config'} --for 0"
    for option in ("", "--json"):
        script = f"ktrace run {target} {option} -- sh -c 'exit 7' 2>&1 >&3; echo $? >&3"
        assert shell(f"{{ sleep 0.2; {script}; }} 3>&2 | true").stderr == "7\n"


SAVING = {
    "show": "show with-init --timeout 0",
    "show --json": "show with-init --timeout 0 --json",
    "not found": "show nosuch --timeout 0",
    "assert": "assert {folder}/e.yaml --timeout 0",
    "top": "top",
}
"""What is answered, and saved."""


@pytest.fixture
def saving(server: FakeServer, tmp_path: Path) -> str:
    """The options that save an answer of a Jaeger, and the folder to save it in."""
    server.answer = served(recorded.handler("with-init"))
    (tmp_path / "e.yaml").write_text("expectations: [{name: a, select: {component: kubelet}}]")
    return f"--jaeger {server.url} --save {tmp_path}/saved.json"


@pytest.mark.parametrize("arguments", SAVING.values(), ids=SAVING)
def test_a_reader_that_has_left_costs_no_bundle(
    saving: str, tmp_path: Path, arguments: str
) -> None:
    """What is saved answers as it would have without a reader's leaving."""
    told = f"{arguments.format(folder=tmp_path)} {saving}"
    whole = shell(f"ktrace {told}")
    wanted = json.loads((tmp_path / "saved.json").read_text())
    (tmp_path / "saved.json").unlink()
    done = shell(f"{{ sleep 0.2; ktrace {told} 2>&3; echo $? >&3; }} 3>&2 | true")
    *lines, code = done.stderr.splitlines()
    assert any(line.startswith(f"ktrace: saved {tmp_path}/saved.json: ") for line in lines)
    assert code == "1"
    found = json.loads((tmp_path / "saved.json").read_text())
    assert found["exitCode"] == wanted["exitCode"] == whole.returncode
    assert found["answer"].keys() == wanted["answer"].keys()
    assert len(found["resourceSpans"]) == len(wanted["resourceSpans"])


@full
def test_a_full_stdout_costs_no_bundle(saving: str, tmp_path: Path) -> None:
    done = shell(f"ktrace show with-init --timeout 0 {saving} > /dev/full")
    assert done.returncode == 2
    saved, line = done.stderr.splitlines()
    assert saved.startswith("ktrace: saved ")
    assert "stdout cannot be written: No space left" in line
    assert json.loads((tmp_path / "saved.json").read_text())["answer"]["containersStarted"]


@full
def test_a_bundle_that_cannot_be_written_either_is_told(saving: str, tmp_path: Path) -> None:
    told = saving.replace(f"{tmp_path}/saved.json", "/dev/full")
    done = shell(f"{{ sleep 0.2; ktrace show with-init --timeout 0 {told} 2>&3; }} 3>&2 | true")
    assert "/dev/full cannot be written: No space left on device" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        "show a --timeout 60 --jaeger {url}",
        "assert pod-start --set POD=a/b --timeout 60 --jaeger {url} --json",
        "verify --timeout 60 --jaeger {url} --kubeconfig {kubeconfig}",
    ],
)
def test_ctrl_c_is_130_without_a_traceback(
    server: FakeServer, tmp_path: Path, arguments: str
) -> None:
    server.answer = lambda _: Reply(200, {"data": [], "items": [{"metadata": {"name": "n"}}]})
    write_kubeconfig(tmp_path / "config", server.url)
    words = arguments.format(url=server.url, kubeconfig=tmp_path / "config").split()
    waiting = subprocess.Popen(
        [sys.executable, "-m", "ktrace", *words],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not server.requests and waiting.poll() is None:
        pass
    waiting.send_signal(signal.SIGINT)
    assert waiting.communicate(timeout=20) == ("", "")
    assert waiting.returncode == 130


# --- colours and widths ---------------------------------------------------------------------------


@pytest.fixture
def all_commands(
    server: FakeServer, tmp_path: Path, ktrace: Ktrace, monkeypatch: pytest.MonkeyPatch
) -> dict[str, tuple[str, ...]]:
    """A command line of each command, that prints its answer."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    jaeger = served(recorded.handler("with-init"))
    nodes = {"items": [{"metadata": {"name": f"node-{'x' * 60}", "labels": {}}}]}
    server.answer = lambda request: (
        Reply(200, nodes) if request.path.startswith("/api/v1/nodes") else jaeger(request)
    )
    write_kubeconfig(tmp_path / "config", server.url)
    (tmp_path / "e.yaml").write_text(
        "expectations: [{name: a long name of an expectation that is met by nothing at all, "
        "select: {component: kubelet, operation: nosuch}}]"
    )
    jaeger_option = ("--jaeger", server.url)
    cluster = ("--kubeconfig", str(tmp_path / "config"))
    at_once = ("--timeout", "0")
    return {
        "doctor": ("doctor",),
        "verify": ("verify", *jaeger_option, *cluster, *at_once),
        "run": ("run", "--for", "0", *jaeger_option, *cluster, "--", "true"),
        "show": ("show", "with-init", *jaeger_option, *at_once),
        "assert": ("assert", str(tmp_path / "e.yaml"), *jaeger_option, *at_once),
        "render": ("render", "--stack", "lab"),
        "open": ("open", *jaeger_option),
    }


COLOURED = {"doctor", "verify", "show", "assert"}
"""The commands that have something to colour; help and errors have nothing."""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": ""}, False),
    ],
)
def test_a_pipe_has_colours_only_where_they_are_wanted(  # noqa: PLR0917  a fixture each
    ktrace: Ktrace,
    all_commands: dict[str, tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    variables: dict[str, str],
    coloured: bool,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = ktrace(*all_commands[command])
    printed = done.stdout + done.stderr
    assert "Traceback" not in printed
    assert ("\x1b[" in printed) == (coloured and command in COLOURED)
    assert "\x1b" not in ktrace(command, "--help").stdout
    assert "\x1b" not in ktrace(command, "--nosuch").stderr
    if command != "run":
        as_json = ktrace(*all_commands[command], "--json").stdout
        assert json.loads(as_json)
        assert "\\u001b" not in as_json


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_is_as_wide_as_a_line(
    ktrace: Ktrace,
    all_commands: dict[str, tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    """COLUMNS is the terminal's, and not that of what reads the output."""
    wide = ktrace(*all_commands[command])
    monkeypatch.setenv("COLUMNS", "60")
    narrow = ktrace(*all_commands[command])
    varying = r"\d+(\.\d+)?|/tmp/\S+"
    assert re.sub(varying, "", narrow.stdout) == re.sub(varying, "", wide.stdout)
    assert len(narrow.stderr.splitlines()) == len(wide.stderr.splitlines())


@pytest.mark.parametrize("columns", ["60", "80", "200"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_whole_at_any_width(
    ktrace: Ktrace, monkeypatch: pytest.MonkeyPatch, command: str, columns: str
) -> None:
    """The same words, however they are broken into lines; … is that of a docstring's author."""
    monkeypatch.setenv("COLUMNS", "300")
    whole = ktrace(command, "--help").stdout.split()
    monkeypatch.setenv("COLUMNS", columns)
    shown = ktrace(command, "--help")
    assert "".join(shown.stdout.split()) == "".join(whole)
    options = shown.stdout[shown.stdout.index("Options:") :]
    assert max(map(len, options.splitlines())) <= int(columns)
    assert "…" not in options
    assert not re.search(r"\w\.\.\.$", options, re.MULTILINE)
