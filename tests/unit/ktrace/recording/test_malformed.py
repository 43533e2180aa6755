"""Malformed requests are answered with 400, and slow or endless ones come to an end."""

from __future__ import annotations

import json
import socket
import threading
import time
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace.recording import connections, malformed, request_body
from ktrace.recording.malformed import MalformedError
from tests.fakes.http import FakeServer, Reply
from tests.unit.ktrace.recording.forwarding import (
    connected,
    everything,
    forwarder_of,
    scripted,
    secret,
)

HEAD = "POST {path}/api/v1/namespaces/n/pods HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + "Transfer-Encoding: chunked\r\n"
MALFORMED = {
    "a length that is no number": HEAD + "Content-Length: abc\r\n\r\n",
    "a negative length": HEAD + "Content-Length: -1\r\n\r\n",
    "a length with a sign": HEAD + "Content-Length: +1\r\n\r\na",
    "a length with an underscore": HEAD + "Content-Length: 1_0\r\n\r\n0123456789",
    "an empty length": HEAD + "Content-Length:\r\n\r\n",
    "a length of other digits": HEAD + "Content-Length: \u00b2\r\n\r\n",
    "a huge length": HEAD + "Content-Length: 99999999999\r\n\r\n",
    "a length of many digits": HEAD + f"Content-Length: {'9' * 5000}\r\n\r\n",
    "two lengths": HEAD + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "two lengths in one header": HEAD + "Content-Length: 2, 3\r\n\r\n{}",
    "a length and chunks": CHUNKED + "Content-Length: 5\r\n\r\n0\r\n\r\n",
    "chunks and a length": HEAD
    + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another encoding": HEAD + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two encodings": CHUNKED + "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "an encoding nearly chunked": HEAD + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "no size of a chunk": CHUNKED + "\r\nxyz\r\n",
    "an empty size of a chunk": CHUNKED + "\r\n\r\n",
    "a negative size of a chunk": CHUNKED + "\r\n-5\r\n",
    "a signed size of a chunk": CHUNKED + "\r\n+5\r\nhello\r\n0\r\n\r\n",
    "a prefixed size of a chunk": CHUNKED + "\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "a huge chunk": CHUNKED + "\r\nffffffffff\r\n",
    "a chunk of many digits": CHUNKED + f"\r\n{'f' * 4000}\r\n",
    "a line without an end": CHUNKED + f"\r\n{'0' * 70000}",
    "a chunk longer than its size": CHUNKED + "\r\n2\r\nhello\r\n0\r\n\r\n",
    "endless trailers": CHUNKED + "\r\n0\r\n" + "a: b\r\n" * 500,
    "a path that is not ASCII": "GET {path}/api/v1/namespaces/\u00fc HTTP/1.1\r\n\r\n",
    "a broken percent sign": "GET {path}/api/v1/namespaces/%zz HTTP/1.1\r\n\r\n",
    "a percent sign at the end": "GET {path}/api/v1/namespaces/a% HTTP/1.1\r\n\r\n",
    "a broken percent sign in the query": "GET {path}/api?a=%4 HTTP/1.1\r\n\r\n",
    "a control character": "GET {path}/api\x07 HTTP/1.1\r\n\r\n",
    "a fragment": "GET {path}/api#x HTTP/1.1\r\n\r\n",
    "a space in the path": "GET {path}/a b HTTP/1.1\r\n\r\n",
    "a space before a colon": HEAD + "Content-Length : 5\r\n\r\nhello",
    "a folded header": HEAD + "A: b\r\n c\r\n\r\n",
    "a line that is no header": HEAD + "nonsense\r\n\r\n",
    "a header without a name": HEAD + ": x\r\n\r\n",
    "a header with a zero": HEAD + "A: b\0\r\n\r\n",
    "an old version": "GET {path}/version\r\n\r\n",
    "an unknown version": "GET {path}/version HTTP/1.2\r\n\r\n",
    "no version": "GET {path}/version HTTQ/1.1\r\n\r\n",
}


@pytest.mark.parametrize("request_text", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_is_answered_with_400_and_not_forwarded(
    server: FakeServer, tmp_path: Path, capfd: pytest.CaptureFixture[str], request_text: str
) -> None:
    server.answer = lambda _: Reply(200)
    with forwarder_of(server.url, tmp_path) as (url, recorder), connected(url) as connection:
        connection.sendall(request_text.replace("{path}", secret(url)).encode("latin-1"))
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    document = json.loads(body)
    assert (document["kind"], document["code"]) == ("Status", 400)
    assert document["message"].isascii()
    assert document["message"].isprintable()
    assert server.requests == []
    assert recorder.requests == []
    assert recorder.problem == ""
    assert capfd.readouterr() == ("", "")


WELL_FORMED = {
    "no body": (HEAD + "\r\n", b""),
    "the same length twice": (HEAD + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
    "chunks": (CHUNKED + "\r\n1;x=y\r\n{\r\n1\r\n}\r\n0\r\nA: b\r\n\r\n", b"{}"),
    "Chunked": (HEAD + "Transfer-Encoding: Chunked\r\n\r\n002\r\n{}\r\n0\r\n\r\n", b"{}"),
    "an escaped path": ('GET {path}/a%2Fb?c=%C3%BC&d=[e]|"f HTTP/1.1\r\nA: \u00fc\r\n\r\n', b""),
}


@pytest.mark.parametrize(("text", "body"), WELL_FORMED.values(), ids=WELL_FORMED.keys())
def test_a_well_formed_request_is_forwarded(
    server: FakeServer, tmp_path: Path, text: str, body: bytes
) -> None:
    server.answer = lambda _: Reply(200)
    with forwarder_of(server.url, tmp_path) as (url, recorder), connected(url) as connection:
        connection.sendall(text.replace("{path}", secret(url)).encode("latin-1"))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        (received,) = server.requests
        assert received.body == (json.loads(body) if body else None)
        assert [request.path for request in recorder.requests] == [received.path]


def test_whoever_waits_to_send_a_body_is_refused_before_it(
    server: FakeServer, tmp_path: Path
) -> None:
    server.answer = lambda _: Reply(201, {})
    expects = HEAD + "Expect: 100-continue\r\n"
    with forwarder_of(server.url, tmp_path) as (url, _):
        with connected(url) as connection:
            text = expects + "Content-Length: 99999999999\r\n\r\n"
            connection.sendall(text.replace("{path}", secret(url)).encode())
            assert everything(connection).startswith(b"HTTP/1.1 400")
        with connected(url) as connection:
            text = expects + "Content-Length: 2\r\n\r\n"
            connection.sendall(text.replace("{path}", secret(url)).encode())
            assert connection.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(b"{}")
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 201")


def test_a_refusal_reaches_a_client_that_still_sends(server: FakeServer, tmp_path: Path) -> None:
    with forwarder_of(server.url, tmp_path) as (url, _), connected(url) as connection:
        text = HEAD.replace("{path}", secret(url)) + "Content-Length: 99999999999\r\n\r\n"
        connection.sendall(text.encode() + b"x" * (1 << 20))
        time.sleep(0.1)
        assert everything(connection).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ("", b""),
        (HEAD, b"HTTP/1.1 400"),
        (HEAD + "Content-Length: 5\r\n\r\nab", b"HTTP/1.1 400"),
        (CHUNKED + "\r\n5\r\nab", b"HTTP/1.1 400"),
    ],
)
def test_a_client_that_sends_no_more_is_not_waited_for(
    server: FakeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sent: str,
    answer: bytes,
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.05)
    before = threading.active_count()
    with forwarder_of(server.url, tmp_path) as (url, _), connected(url) as connection:
        connection.sendall(sent.replace("{path}", secret(url)).encode())
        assert everything(connection)[:12] == answer
        connection.close()
        while threading.active_count() > before + 1:
            time.sleep(0.01)
    assert server.requests == []


def test_an_answer_may_take_longer_than_a_request(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.05)

    def late(_: object) -> Reply:
        time.sleep(0.5)
        return Reply(200)

    server.answer = late
    with forwarder_of(server.url, tmp_path) as (url, _), connected(url) as connection:
        connection.sendall(f"GET {secret(url)}/version HTTP/1.1\r\n\r\n".encode())
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_more_connections_than_a_process_can_hold_are_refused(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST", 2)
    server.answer = lambda _: Reply(200)
    with forwarder_of(server.url, tmp_path) as (url, _):
        text = f"GET {secret(url)}/version HTTP/1.1\r\n\r\n".encode()
        held = [connected(url) for _ in range(2)]
        for connection in held:
            connection.sendall(text)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        with connected(url) as connection:
            connection.sendall(text)
            answer = everything(connection)
            assert answer.startswith(b"HTTP/1.1 429")
            assert b"2 connections at once" in answer
        held.pop().close()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with connected(url) as connection:
                connection.sendall(text)
                if connection.recv(1 << 16).startswith(b"HTTP/1.1 200"):
                    break
        else:
            pytest.fail("a connection that has ended still counts")
        held.pop().close()


def test_a_client_of_http_1_0_receives_no_chunks(tmp_path: Path) -> None:

    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with (
        scripted(head, b"5\r\nevent\r\n0\r\n\r\n") as server_url,
        forwarder_of(server_url, tmp_path) as (url, _),
        connected(url) as connection,
    ):
        connection.sendall(f"GET {secret(url)}/a HTTP/1.0\r\n\r\n".encode())
        head, _, body = everything(connection).partition(b"\r\n\r\n")
        assert (b"Transfer-Encoding" in head, body) == (False, b"event")


def test_a_defect_of_the_forwarder_is_told_in_the_report(
    server: FakeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def broken(_: str) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(malformed, "check_path", broken)
    with forwarder_of(server.url, tmp_path) as (url, recorder), connected(url) as connection:
        connection.sendall(f"GET {secret(url)}/a HTTP/1.1\r\n\r\n".encode())
        assert everything(connection) == b""
    assert "unforeseen" in recorder.problem
    assert capfd.readouterr() == ("", "")


@given(st.text(st.characters(max_codepoint=255), max_size=20))
def test_no_path_but_a_visible_one_passes(text: str) -> None:
    try:
        malformed.check_path(f"/{text}")
    except MalformedError:
        return
    assert text.isascii()
    assert text.isprintable()
    assert " " not in text


@given(st.binary(max_size=60))
def test_any_bytes_are_answered_or_left(data: bytes) -> None:
    """Through the parser alone: a socket for each would take minutes."""

    headers = __import__("email.message").message.Message()
    headers["Transfer-Encoding"] = "chunked"
    try:
        body = request_body.read(headers, BytesIO(data))
    except MalformedError:
        return
    assert body is not None
    assert len(body) <= len(data)


def test_sockets_of_ended_connections_are_left_alone() -> None:
    """Their numbers may be those of other files by then."""

    class Api:
        def shut(self) -> None:
            pytest.fail("it is not its own any more")

    client, other = socket.socketpair()
    connection = connections.Connection(client, Api())  # type: ignore[arg-type]
    connection.reads(0)
    connection.end()
    connection.look()
    connection.stop(with_writes=True)
    other.sendall(b"x")
    assert client.recv(1) == b"x"
    client.close()
    other.close()
