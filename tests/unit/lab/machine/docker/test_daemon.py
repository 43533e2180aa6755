"""A private daemon that runs or not: asked, and stopped."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from lab.errors import LabError
from lab.machine.docker import cgroups, daemon, processes
from lab.machine.docker.files import Daemon

CONTAINERS = [{"Labels": {"stack": "lab"}}, {"Labels": {"stack": "dev", "x": "y"}}]


class Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: json.loads(values[0]) for key, values in parse_qs(parts.query).items()}
        known = {("/_ping", None): "OK", ("/containers/json", "stack"): json.dumps(CONTAINERS)}
        (label,) = query.get("filters", {"label": [None]})["label"]
        body = known.get((parts.path, label), "[]").encode()
        assert parts.path == "/_ping" or query["all"] == 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        pass


class UnixServer(HTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)


@pytest.fixture
def private() -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory() as folder:  # short enough for a socket
        yield Daemon(Path(folder))


@pytest.fixture
def answering(private: Daemon) -> Iterator[Daemon]:
    server = UnixServer(str(private.socket), Api)  # type: ignore[arg-type]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield private
    server.shutdown()
    server.server_close()


@pytest.fixture
def running(private: Daemon) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is taken for the daemon's first one."""
    pipe, waits = subprocess.PIPE, "print(flush=True); input()"
    command = [sys.executable, "-c", waits, str(private.config_file)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()  # before it runs, it has no command line yet
        private.pid_file.write_text(f"{process.pid}\n")
        yield process
        process.kill()


def test_a_daemon_answers_or_not(answering: Daemon, tmp_path: Path) -> None:
    assert daemon.answers(answering)
    assert not daemon.answers(Daemon(tmp_path))


def test_the_labels_of_its_containers_are_read_without_a_docker_command(
    answering: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert daemon.labels(answering, "stack") == ["dev", "lab"]
    assert daemon.labels(answering, "another") == []
    assert daemon.labels(Daemon(tmp_path), "stack") == []


def test_a_daemon_that_runs_and_is_silent_is_not_taken_for_one_without_containers(
    private: Daemon, running: object
) -> None:
    with pytest.raises(LabError, match="runs and does not answer"):
        daemon.labels(private, "stack")


def test_a_pid_file_counts_only_while_its_process_is_ours(
    private: Daemon, running: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    pid_file, mark = private.pid_file, private.config_file
    assert processes.running_pid(pid_file, mark) == running.pid
    assert processes.running_pid(pid_file, tmp_path / "another.json") is None
    running.communicate(b"\n")
    assert processes.running_pid(pid_file, mark) is None
    pid_file.write_text(str(os.getpid()))
    assert processes.running_pid(pid_file, mark) is None
    pid_file.unlink()
    assert processes.running_pid(pid_file, mark) is None


def test_stop_ends_the_daemon_and_removes_its_cgroups_but_not_its_data(
    private: Daemon, running: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[str] = []
    monkeypatch.setattr(cgroups, "remove", removed.append)
    private.data.mkdir()
    assert daemon.stop(private)
    assert running.poll() is not None
    assert removed == [private.cgroup]
    assert private.data.exists()
    assert not private.pid_file.exists()
    assert not daemon.stop(private)


def test_nothing_is_made_where_no_daemon_ever_was(tmp_path: Path) -> None:
    assert not daemon.stop(Daemon(tmp_path / "docker"))
    assert not (tmp_path / "docker").exists()
