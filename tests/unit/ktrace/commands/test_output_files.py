"""Files that commands write: what cannot be written is told before the work, where it is known."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import schemas
from tests.fakes import recorded
from tests.fakes.http import FakeServer, write_kubeconfig
from tests.fakes.jaeger import served
from tests.fakes.ktrace import Done, Ktrace

Write = Callable[..., Done]
"""Runs a command that writes the file; more options may follow."""
RAN = "it ran"
EXPECTATIONS = "expectations: [{name: x, select: {component: kubelet}}]"


@pytest.fixture(params=["show", "assert", "run"])
def write(
    request: pytest.FixtureRequest, ktrace: Ktrace, server: FakeServer, tmp_path: Path
) -> Write:
    server.answer = served(recorded.handler("with-init"))
    write_kubeconfig(tmp_path / "config", server.url)
    (tmp_path / "e.yaml").write_text(EXPECTATIONS)
    commands: dict[str, tuple[list[str], str, list[str]]] = {
        "show": (["with-init", "--timeout", "0"], "--html", []),
        "assert": ([str(tmp_path / "e.yaml"), "--timeout", "0"], "--junit", []),
        "run": (
            ["--for", "0", "--kubeconfig", str(tmp_path / "config")],
            "--report",
            ["--", sys.executable, "-c", f"print({RAN!r})"],
        ),
    }
    before, option, after = commands[request.param]

    def run(file: str, *options: str) -> Done:
        return ktrace(
            request.param, *before, "--jaeger", server.url, *options, option, file, *after
        )

    return run


def of_absent_folder(folder: Path) -> str:
    return f"{folder}/absent/file"


def of_a_folder(folder: Path) -> str:
    return str(folder)


def of_a_file_as_folder(folder: Path) -> str:
    return f"{folder}/e.yaml/file"


def of_a_read_only_file(folder: Path) -> str:
    (folder / "old").write_text("old")
    (folder / "old").chmod(0o400)
    return f"{folder}/old"


def of_a_read_only_folder(folder: Path) -> str:
    (folder / "closed").mkdir(mode=0o500)
    return f"{folder}/closed/file"


OBSTACLES = [
    (of_absent_folder, "/absent: create it, or name another file"),
    (of_a_folder, "it is a folder: name a file"),
    (of_a_file_as_folder, "is not a folder: name another file"),
    (of_a_read_only_file, "it is read-only: make it writable, or name another file"),
    (of_a_read_only_folder, "/closed: make it writable, or name another file"),
]


@pytest.fixture
def _access_without_privileges(monkeypatch: pytest.MonkeyPatch) -> None:
    """os.access as for a user who is not root, whom no mode of a file stops."""
    if os.geteuid() == 0:

        def access(file: Path, mode: int) -> bool:
            owners = mode << 6
            return Path(file).stat().st_mode & owners == owners

        monkeypatch.setattr(os, "access", access)


@pytest.mark.usefixtures("_access_without_privileges")
@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("file", "told"), OBSTACLES)
def test_a_file_that_cannot_be_written_is_told_before_the_work(  # noqa: PLR0917  a fixture each
    write: Write,
    server: FakeServer,
    tmp_path: Path,
    file: Callable[[Path], str],
    told: str,
    as_json: bool,
) -> None:
    path = file(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = write(path, *["--json"] * as_json)
    assert done.returncode == 2
    assert server.requests == []
    assert sorted(tmp_path.rglob("*")) == before
    assert RAN not in done.stdout
    if not as_json:
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"ktrace: {path} cannot be written: ")
        assert line.endswith(told)
        return
    document = json.loads(done.stdout or done.stderr)
    schemas.validate("error", document)
    assert document["error"]["exitCode"] == 2
    assert document["error"]["message"].endswith(told)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
@pytest.mark.parametrize("as_json", [False, True])
def test_a_full_disk_is_one_line_once_it_is_known(write: Write, as_json: bool) -> None:
    done = write("/dev/full", *["--json"] * as_json)
    assert "Traceback" not in done.stderr
    assert "cannot be written: No space left on device" in done.stderr
    assert "name another file" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.returncode in (1, 2)  # 1 of run, for its command sends no request


def test_a_full_disk_costs_no_document_of_an_error(ktrace: Ktrace, tmp_path: Path) -> None:
    done = ktrace(
        *("run", "--json", "--report", "/dev/full", "--jaeger", "http://127.0.0.1:9"),
        *("--kubeconfig", str(tmp_path / "absent"), "--", "true"),
    )
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("ktrace: Jaeger at http://127.0.0.1:9 cannot be reached: ")
    assert line.endswith(
        "; the report cannot be written: No space left on device: name another file"
    )


@pytest.mark.parametrize(
    ("options", "command", "code", "told"),
    [
        (["--jaeger", "http://127.0.0.1:9"], "true", 3, "cannot be reached"),
        (["--jaeger", "nowhere"], "true", 2, "is not http://HOST:PORT"),
        (["--kubeconfig", "absent"], "true", 2, "no Jaeger is known: give its address with"),
        ([], "/no/such/command", 2, "/no/such/command cannot be run: No such file or directory"),
        ([], "/", 2, "/ cannot be run: Permission denied"),
    ],
)
def test_what_stops_a_run_is_in_the_reports_file(  # noqa: PLR0917  a fixture each
    ktrace: Ktrace,
    server: FakeServer,
    tmp_path: Path,
    options: list[str],
    command: str,
    code: int,
    told: str,
) -> None:
    server.answer = served(recorded.handler("with-init"))
    write_kubeconfig(tmp_path / "config", server.url)
    report = tmp_path / "report.json"
    own = ["--kubeconfig", str(tmp_path / "config"), *(options or ["--jaeger", server.url])]
    done = ktrace("run", "--for", "0", *own, "--json", "--report", str(report), "--", command)
    assert (done.returncode, done.stdout) == (code, "")
    document = json.loads(report.read_text())
    schemas.validate("error", document)
    assert document["error"]["exitCode"] == code
    assert told in document["error"]["message"]
    assert done.stderr == f"ktrace: {document['error']['message']}\n"


@pytest.mark.parametrize("name", ["e.yaml", "e.yaml/inner"])
def test_a_folder_that_is_a_file_stops_a_rendering(
    ktrace: Ktrace, tmp_path: Path, name: str
) -> None:
    (tmp_path / "e.yaml").write_text(EXPECTATIONS)
    done = ktrace("render", "--stack", "lab", "-o", str(tmp_path / name))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "cannot be written: " in line
    assert "name another" in line
