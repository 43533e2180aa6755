"""The forwarder ends with the command, and no request goes through unreported."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ktrace.recording import connections
from ktrace.recording.forwarder import Recorder
from ktrace.recording.requests import RecordedRequest
from tests.fakes.http import FakeServer, Reply
from tests.fakes.upgrade import KNOWN, UNKNOWN, Certificate, EchoServer
from tests.unit.ktrace.recording.forwarding import (
    connected,
    everything,
    forwarder_of,
    scripted_server,
    secret,
)

WATCH = b"HTTP/1.1 200 OK\r\nAudit-Id: w\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n"
CREATED = b'{"kind": "Pod", "metadata": {"name": "late", "uid": "u-late"}}'


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def test_a_connection_that_outlives_the_command_is_shut(server: FakeServer, tmp_path: Path) -> None:
    server.answer = lambda _: Reply(200)
    with forwarder_of(server.url, tmp_path) as (url, recorder):
        connection = connected(url)
        connection.sendall(get(f"{secret(url)}/version"))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
    assert everything(connection) == b""
    with suppress(OSError):  # reset or a broken pipe
        connection.sendall(get(f"{secret(url)}/api/v1/secrets"))
        time.sleep(0.05)
        connection.sendall(get(f"{secret(url)}/api/v1/secrets"))
    with pytest.raises(ConnectionRefusedError):
        connected(url)
    assert [request.path for request in server.requests] == ["/version"]
    assert [request.path for request in recorder.requests] == ["/version"]


def test_a_watch_ends_with_the_command_on_both_sides(tmp_path: Path) -> None:
    with scripted_server(WATCH) as (server_url, accepted):
        with forwarder_of(server_url, tmp_path) as (url, recorder):
            connection = connected(url)
            connection.sendall(get(f"{secret(url)}/api/v1/pods?watch=1"))
            assert b"200" in connection.recv(1 << 16)
        everything(connection)
        assert _has_ended(accepted[-1])
    (watch,) = recorder.requests
    assert (watch.status, watch.ended > watch.started) == (200, True)


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_tunnel_ends_with_the_command(tmp_path: Path, encrypted: bool) -> None:
    echo = EchoServer(Certificate.issue(tmp_path / "certificate") if encrypted else None)
    before = threading.active_count()
    trust = {"insecure-skip-tls-verify": True}
    with forwarder_of(echo.url, tmp_path, **trust) as (url, _):
        connection = connected(url)
        lines = (f"GET {secret(url)}/x HTTP/1.1", "Upgrade: x", "Connection: Upgrade", "", "")
        connection.sendall("\r\n".join(lines).encode())
        received = b""
        while KNOWN not in received and UNKNOWN not in received:
            received += connection.recv(1 << 16)
    assert everything(connection) == b""
    echo.stop()
    while threading.active_count() > before:
        time.sleep(0.01)


def test_the_answer_to_a_write_that_the_command_left_behind_is_recorded(tmp_path: Path) -> None:
    """It goes through, so the report has to name what was written."""
    answers = threading.Event()
    head = b"HTTP/1.1 201 Created\r\nAudit-Id: late\r\nContent-Length: %d\r\n\r\n" % len(CREATED)
    with scripted_server(head, CREATED, waits_for=answers) as (server_url, _):
        with forwarder_of(server_url, tmp_path) as (url, recorder):
            connection = connected(url)
            path = f"{secret(url)}/api/v1/namespaces/n/pods"
            connection.sendall(f"POST {path} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}".encode())
            while not recorder.requests:
                time.sleep(0.005)
            threading.Timer(0.2, answers.set).start()
        (write,) = recorder.requests
        assert (write.status, write.audit_id, write.written.uid) == (201, "late", "u-late")


def test_an_api_server_that_never_answers_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_ANSWER_SECONDS", 0.1)
    never = threading.Event()
    with scripted_server(waits_for=never) as (server_url, _):
        with forwarder_of(server_url, tmp_path) as (url, recorder):
            connection = connected(url)
            path = f"{secret(url)}/api/v1/namespaces/n/pods"
            connection.sendall(f"POST {path} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}".encode())
            while not recorder.requests:
                time.sleep(0.005)
            begin = time.monotonic()
        assert time.monotonic() - begin < 10
        (write,) = recorder.requests
        assert (write.status, write.ended > 0) == (0, True)
        never.set()


def test_a_request_that_is_not_recorded_is_not_sent(tmp_path: Path, server: FakeServer) -> None:
    server.answer = lambda _: Reply(200)
    with forwarder_of(server.url, tmp_path) as (url, recorder), connected(url) as connection:
        recorder.close()
        connection.sendall(get(f"{secret(url)}/version"))
        answer = everything(connection)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"the command of ktrace run has ended" in answer
    assert server.requests == []
    assert recorder.requests == []


def test_a_closed_recorder_takes_no_request() -> None:
    recorder = Recorder()
    assert recorder.add(RecordedRequest("GET", "/a", 0))
    recorder.close()
    assert not recorder.add(RecordedRequest("GET", "/b", 0))
    assert [request.path for request in recorder.requests] == ["/a"]


def test_a_watch_that_its_client_left_is_closed_while_the_command_runs(tmp_path: Path) -> None:
    with (
        scripted_server(WATCH) as (server_url, accepted),
        forwarder_of(server_url, tmp_path) as (url, recorder),
    ):
        for path in ("/api/v1/pods?watch=1", "/api/v1/namespaces/n/pods/p/log?follow=true"):
            with connected(url) as connection:
                connection.sendall(get(f"{secret(url)}{path}"))
                received = b""
                while b"event" not in received:
                    received += connection.recv(1 << 16)
            assert _has_ended(accepted[-1])
        assert [request.info.kind for request in recorder.requests] == ["watch", "watch"]


def test_a_client_that_waits_for_its_watch_keeps_it(tmp_path: Path) -> None:
    more = threading.Event()
    with (
        scripted_server(WATCH, waits_for=more) as (server_url, _),
        forwarder_of(server_url, tmp_path) as (url, _),
        connected(url) as connection,
    ):
        connection.sendall(get(f"{secret(url)}/api/v1/pods?watch=1"))
        time.sleep(3 * connections._LOOK_SECONDS)
        more.set()
        received = b""
        while b"event" not in received:
            part = connection.recv(1 << 16)
            assert part
            received += part


def _has_ended(behind: socket.socket) -> bool:
    """Whether the forwarder ends its connection to the server, within half a minute."""
    behind.settimeout(30)
    try:
        return behind.recv(1 << 16) == b""
    except ConnectionError:
        return True
