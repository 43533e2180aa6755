"""The forwarder between a command and its API server."""

from __future__ import annotations

import http.client
import secrets
import socket
import stat
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from ktrace.errors import UnreachableError, UsageError
from ktrace.following.owners import PodOwners
from ktrace.recording import forwarder, handler
from ktrace.recording.api_server import ApiServer
from ktrace.recording.forwarder import recording
from ktrace.recording.handler import Handler
from runtime_observability.host.kubeapi import KubeconfigError
from tests.fakes.clock import Clock
from tests.fakes.http import FakeServer, Reply, write_kubeconfig
from tests.fakes.upgrade import KNOWN, UNKNOWN, Certificate, EchoServer
from tests.unit.ktrace.recording.forwarding import forwarded, scripted

POD = {"kind": "Pod", "metadata": {"name": "a-x1", "namespace": "n", "uid": "u1"}}
EXEC = "client.authentication.k8s.io/v1"
CREDENTIAL = f'{{"apiVersion":"{EXEC}","kind":"ExecCredential","status":{{"token":"of-plugin"}}}}'


@contextmanager
def upgraded(url: str, *more: str) -> Iterator[tuple[socket.socket, bytes]]:
    """A connection after its 101, and what the server sent with that."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port)) as connection:
        lines = (f"GET {where.path}/x HTTP/1.1", "Upgrade: x", "Connection: Upgrade", *more)
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        got = b""
        while KNOWN not in got and UNKNOWN not in got:
            part = connection.recv(1 << 16)
            assert part, got
            got += part
        yield connection, got.partition(b"\r\n\r\n")[2]


def test_every_answer_is_passed_on_and_its_audit_id_kept(
    server: FakeServer, tmp_path: Path
) -> None:
    server.answer = lambda request: Reply(
        201 if request.method == "POST" else 404, POD, {"Audit-Id": f"id-{request.method}"}
    )
    write_kubeconfig(tmp_path / "config", server.url)
    with recording(tmp_path / "config") as (environment, recorder):
        own = Path(environment["KUBECONFIG"])
        assert stat.S_IMODE(own.stat().st_mode) == 0o600
        assert Path(environment["KUBECACHEDIR"]).parent == own.parent
        document = yaml.safe_load(own.read_text())
        (cluster,) = document["clusters"]
        assert document["users"][0]["user"] == {}
        url = cluster["cluster"]["server"]
        assert urlsplit(url).hostname == "127.0.0.1"
        agent = {"User-Agent": "kubectl/v1 (linux/amd64)"}
        created = httpx.post(f"{url}/api/v1/namespaces/n/pods?x=1", json={"a": 1}, headers=agent)
        absent = httpx.get(f"{url}/api/v1/namespaces/n/pods/b")
        outsider = httpx.get(url.rpartition("/")[0] + "/api/v1/pods")
    assert (created.status_code, created.json()) == (201, POD)
    assert (absent.status_code, outsider.status_code) == (404, 403)
    assert "kubectl --raw" in outsider.json()["message"]
    assert [
        (request.method, request.audit_id, request.status) for request in recorder.requests
    ] == [
        ("POST", "id-POST", 201),
        ("GET", "id-GET", 404),
    ]
    assert [request.info.uid for request in recorder.requests] == ["u1", ""]
    assert recorder.requests[0].client == "kubectl/v1"
    (received,) = server.asked("POST", "/api/v1/namespaces/n/pods?x=1")
    assert received.body == {"a": 1}
    assert not own.parent.exists()


def test_no_request_ends_before_it_begins(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the clock is set back meanwhile."""
    clock = Clock().drive(monkeypatch, handler, forwarder)

    def answer(_: object) -> Reply:
        clock.now, clock.set_back = clock.now + 2, 3600
        return Reply()

    server.answer = answer
    write_kubeconfig(tmp_path / "config", server.url)
    with recording(tmp_path / "config") as (environment, recorder):
        document = yaml.safe_load(Path(environment["KUBECONFIG"]).read_text())
        httpx.get(f"{document['clusters'][0]['cluster']['server']}/version")
    (request,) = recorder.requests
    assert request.ended - request.started == 2


@pytest.mark.parametrize("address", ["{secret}x/version", "/x{secret}/version", "/version"])
def test_only_the_secret_path_is_forwarded(
    server: FakeServer, tmp_path: Path, address: str
) -> None:
    server.answer = lambda _: Reply(200)
    write_kubeconfig(tmp_path / "config", server.url)
    with forwarded(tmp_path / "config") as (url, recorder):
        parts = urlsplit(url)
        assert len(parts.path) == 44, "256 random bits"
        outside = httpx.get(f"http://{parts.netloc}{address.format(secret=parts.path)}")
        assert outside.status_code == 403
        assert server.requests == []
        assert recorder.requests == []
        assert httpx.get(url).status_code == 200
    assert [request.path for request in server.requests] == ["/"]


def test_no_other_address_of_this_machine_reaches_the_forwarder(
    server: FakeServer, tmp_path: Path
) -> None:
    """It holds the cluster's credentials."""
    write_kubeconfig(tmp_path / "config", server.url)
    with forwarded(tmp_path / "config") as (url, _):
        port = urlsplit(url).port
        with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), timeout=5):  # noqa: PT011  refused, or no such address
            pytest.fail("it listens on more than 127.0.0.1")


def test_a_cluster_that_is_not_there_is_said_before_the_command_runs(tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "config", "http://127.0.0.1:9")
    with (
        pytest.raises(UnreachableError, match=r"cannot be reached: .*refused"),
        recording(tmp_path / "config"),
    ):
        pytest.fail("the command must not run")


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({"token": "abc"}, "Bearer abc"),
        ({"tokenFile": "token"}, "Bearer of-file"),
        (
            {"exec": {"apiVersion": EXEC, "command": "echo", "args": [CREDENTIAL]}},
            "Bearer of-plugin",
        ),
        ({"username": "a", "password": "b"}, "Basic YTpi"),
    ],
)
def test_the_command_and_the_list_of_pods_have_the_users_credentials(
    server: FakeServer, tmp_path: Path, user: dict[str, Any], header: str
) -> None:
    server.answer = lambda _: Reply(200, {"items": []})
    (tmp_path / "token").write_text("of-file")
    write_kubeconfig(tmp_path / "config", server.url, user=user)
    with forwarded(tmp_path / "config") as (url, _):
        httpx.get(f"{url}/version")
    PodOwners(tmp_path / "config").refresh()
    sent = [request.headers.get("authorization") for request in server.requests]
    assert sent == [header, header]


def test_the_commands_own_user_stays_its_own(server: FakeServer, tmp_path: Path) -> None:
    impersonated = {"as": "jane", "as-groups": ["g"]}
    write_kubeconfig(tmp_path / "config", server.url, user={"token": "abc", **impersonated})
    with recording(tmp_path / "config") as (environment, _):
        document = yaml.safe_load(Path(environment["KUBECONFIG"]).read_text())
        assert document["users"][0]["user"] == impersonated
        url = document["clusters"][0]["cluster"]["server"]
        httpx.get(f"{url}/version", headers={"Authorization": "Bearer own"})
        httpx.get(f"{url}/version", headers={"Impersonate-User": "jane"})
    own, impersonating = server.requests
    assert own.headers["authorization"] == "Bearer own"
    assert impersonating.headers["authorization"] == "Bearer abc"
    assert impersonating.headers["impersonate-user"] == "jane"


@pytest.mark.parametrize(
    ("user", "cluster", "message"),
    [
        ({"client-certificate": "absent.crt", "client-key": "absent.key"}, {}, "absent.crt"),
        ({}, {"certificate-authority-data": "bm8gUEVN"}, "cannot be used"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_one_error(
    tmp_path: Path, user: dict[str, Any], cluster: dict[str, Any], message: str
) -> None:
    write_kubeconfig(tmp_path / "config", "https://127.0.0.1:9", user=user, **cluster)
    with pytest.raises(KubeconfigError, match=message), recording(tmp_path / "config"):
        pytest.fail("the command must not run")


@pytest.mark.parametrize(
    ("user", "cluster", "message"),
    [
        ({}, {"proxy-url": "http://127.0.0.1:8"}, "sets proxy-url"),
        (
            {"exec": {"apiVersion": EXEC, "command": "false"}},
            {},
            "plugin false returned no credential",
        ),
    ],
)
def test_what_kubectl_would_ask_otherwise_is_refused(
    server: FakeServer, tmp_path: Path, user: dict[str, Any], cluster: dict[str, Any], message: str
) -> None:
    write_kubeconfig(tmp_path / "config", server.url, user=user, **cluster)
    with pytest.raises(UsageError, match=message), recording(tmp_path / "config"):
        pytest.fail("the command must not run")


def test_requests_are_not_held_up_and_share_a_connection(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Nagle's algorithm each would wait 40 ms for an acknowledgement of the one before."""
    sends_at_once: list[bool] = []

    def look_at(connection: socket.socket) -> None:
        option = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        sends_at_once.append(bool(option))

    finish, connect = Handler.finish, ApiServer.connect

    def finished(handler: Handler) -> None:
        look_at(handler.connection)
        finish(handler)

    def connected(api_server: ApiServer, **arguments: Any) -> http.client.HTTPConnection:
        connection = connect(api_server, **arguments)
        look_at(connection.sock)
        return connection

    monkeypatch.setattr(Handler, "finish", finished)
    monkeypatch.setattr(ApiServer, "connect", connected)
    server.answer = lambda _: Reply(200, POD)
    write_kubeconfig(tmp_path / "config", server.url)
    with forwarded(tmp_path / "config") as (url, _), httpx.Client() as client:
        for method in ["GET", "POST"] * 10:
            client.request(method, f"{url}/api/v1/namespaces/n/pods", json=POD)
        with ThreadPoolExecutor(50) as pool:
            get = partial(httpx.get, f"{url}/version", timeout=None)
            answers = pool.map(lambda _: get(), range(50))
            assert {answer.status_code for answer in answers} == {200}
    assert len(sends_at_once) > 50
    assert all(sends_at_once)
    assert len({request.port for request in server.requests[:20]}) == 1


def test_a_server_that_ended_its_connection_is_asked_anew(tmp_path: Path) -> None:
    with (
        scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ends=True) as server_url,
        httpx.Client() as client,
    ):
        write_kubeconfig(tmp_path / "config", server_url)
        with forwarded(tmp_path / "config") as (url, _):
            for _ in range(3):
                assert client.get(f"{url}/version").text == "ok"
                time.sleep(0.02)


def test_an_answer_that_ends_early_ends_early_for_the_client(tmp_path: Path) -> None:
    with scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", ends=True) as server_url:
        write_kubeconfig(tmp_path / "config", server_url)
        with forwarded(tmp_path / "config") as (url, _), pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{url}/version", timeout=60)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate.issue(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def shown(certificate: Certificate) -> dict[str, str]:
    """A kubeconfig's user, who shows the certificate."""
    return {"client-certificate": str(certificate.own), "client-key": str(certificate.own)}


@pytest.fixture
def trusted(certificate: Certificate) -> dict[str, str]:
    """What a kubeconfig's cluster says of the server's certificate."""
    return {"certificate-authority": str(certificate.authority)}


@pytest.fixture(params=[False, True], ids=["http", "https"])
def echo(request: pytest.FixtureRequest, certificate: Certificate) -> Iterator[EchoServer]:
    served = EchoServer(certificate if request.param else None)
    yield served
    served.stop()


def test_an_upgraded_connection_loses_no_byte(
    echo: EchoServer, shown: dict[str, str], trusted: dict[str, str], tmp_path: Path
) -> None:
    """More both ways at once than any buffer holds, and the first with the 101."""
    named = trusted | {"tls-server-name": Certificate.NAME}
    write_kubeconfig(tmp_path / "config", echo.url, user=shown, **named)
    sent = secrets.token_bytes(1 << 20) * 8
    with forwarded(tmp_path / "config") as (url, recorder), upgraded(url) as (connection, first):
        assert first == (KNOWN if echo.url.startswith("https") else UNKNOWN)
        threading.Thread(target=connection.sendall, args=(sent,), daemon=True).start()
        got = bytearray()
        while len(got) < len(sent):
            part = connection.recv(1 << 20)
            assert part
            got += part
        assert got == sent
        (recorded,) = recorder.requests
        assert recorded.status == 101
        assert recorded.ended > recorded.started


@pytest.mark.parametrize("echo", [True], indirect=True)
def test_a_certificate_hides_no_user_that_the_command_names(
    echo: EchoServer, shown: dict[str, str], tmp_path: Path
) -> None:
    write_kubeconfig(
        tmp_path / "config", echo.url, user=shown, **{"insecure-skip-tls-verify": True}
    )
    with (
        forwarded(tmp_path / "config") as (url, _),
        upgraded(url, "Authorization: Bearer own") as (_, first),
    ):
        assert first == UNKNOWN


@pytest.mark.parametrize("echo", [True], indirect=True)
def test_a_servers_name_is_checked(
    echo: EchoServer, shown: dict[str, str], trusted: dict[str, str], tmp_path: Path
) -> None:
    write_kubeconfig(tmp_path / "config", echo.url, user=shown, **trusted)
    with (
        pytest.raises(UnreachableError, match="certificate is not valid for"),
        recording(tmp_path / "config"),
    ):
        pytest.fail("the command must not run")


@pytest.mark.parametrize("echo", [True], indirect=True)
def test_a_servers_authority_is_checked(
    echo: EchoServer, shown: dict[str, str], tmp_path: Path
) -> None:
    other = Certificate.issue(tmp_path / "other")
    trusted = {"certificate-authority": str(other.authority), "tls-server-name": Certificate.NAME}
    write_kubeconfig(tmp_path / "config", echo.url, user=shown, **trusted)
    with (
        pytest.raises(UnreachableError, match="certificate verify failed"),
        recording(tmp_path / "config"),
    ):
        pytest.fail("the command must not run")


def test_a_watch_that_is_still_open_is_in_the_report(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nAudit-Id: w\r\nTransfer-Encoding: chunked\r\n\r\n"
    with scripted(head, b"5\r\nevent\r\n") as url:
        write_kubeconfig(tmp_path / "config", url)
        with (
            forwarded(tmp_path / "config") as (own, recorder),
            httpx.stream("GET", f"{own}/api/v1/pods?watch=1") as answer,
        ):
            assert next(answer.iter_raw()) == b"event"
            (recorded,) = recorder.requests
    assert (recorded.status, recorded.audit_id, recorded.info.verb) == (200, "w", "watch")
    assert recorded.ended > recorded.started


def test_a_client_that_goes_away_leaves_no_trace_on_the_terminal(
    server: FakeServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda _: Reply(200, "x" * (1 << 20))
    write_kubeconfig(tmp_path / "config", server.url)
    reset_on_close = struct.pack("ii", 1, 0)
    requests = (
        "GET {path}/version HTTP/1.1\r\n\r\n",
        "POST {path}/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "POST {path}/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        "POST {path}/a HTTP/1.1\r\nContent-Length: 9\r\n\r\nab",
        "POST /elsewhere HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    )
    before = threading.active_count()
    with forwarded(tmp_path / "config") as (url, recorder):
        where = urlsplit(url)
        for request in requests:
            with socket.create_connection((where.hostname, where.port)) as connection:
                connection.sendall(request.format(path=where.path).encode())
                if request.startswith("GET"):
                    connection.recv(1)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
        while threading.active_count() > before + 1:
            time.sleep(0.01)
        assert [request.method for request in recorder.requests] == ["GET"]
    assert capfd.readouterr() == ("", "")


def test_a_chunked_body_arrives_whole(server: FakeServer, tmp_path: Path) -> None:
    server.answer = lambda _: Reply(201, POD)
    write_kubeconfig(tmp_path / "config", server.url)
    with forwarded(tmp_path / "config") as (url, _):
        done = httpx.post(f"{url}/api/v1/namespaces/n/pods", content=iter([b'{"a"', b": 1}"]))
    assert done.status_code == 201
    assert server.requests[0].body == {"a": 1}
