"""A forwarder in front of an API server that notes the Audit-Id of every answer.

It listens on 127.0.0.1 only while a command runs. It holds the cluster's credentials, so that the
command needs none, and serves only below a path of 256 random bits that stands in a kubeconfig
which nobody else can read. TLS ends here: the API server's is checked as the kubeconfig says.
"""

from __future__ import annotations

import http.client
import json
import secrets
import selectors
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from kubernetes import client, config

from components.files import write_private
from ktrace.errors import UnreachableError, UsageError
from ktrace.requests import Seen, read_json

_KEPT_BYTES = 1 << 20
"""Of a JSON answer, to learn the object's name from; more is passed on and not kept."""
_CHUNK = 1 << 16
_CONNECT_SECONDS = 15
_OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "host"}
_WRITING = ("POST", "PUT", "PATCH", "DELETE")


class Recorder:
    """The requests seen so far."""

    def __init__(self) -> None:
        self._seen: list[Seen] = []
        self._lock = threading.Lock()

    def add(self, seen: Seen) -> None:
        with self._lock:
            self._seen.append(seen)

    @property
    def seen(self) -> list[Seen]:
        with self._lock:
            return sorted(self._seen, key=lambda each: each.began)


class Upstream:
    """The API server that a kubeconfig's current context names, and the right to ask it."""

    def __init__(self, kubeconfig: Path) -> None:
        self._configuration = client.Configuration(no_proxy="*")
        try:
            config.load_kube_config(str(kubeconfig), client_configuration=self._configuration)  # type: ignore[no-untyped-call]
        except config.ConfigException as error:
            raise UsageError(f"{kubeconfig} cannot be used: {error}") from None
        where = urlsplit(self._configuration.host)
        self._host, self._path = where.hostname or "", where.path.rstrip("/")
        self._port = where.port or (443 if where.scheme == "https" else 80)
        self._trust = self._context() if where.scheme == "https" else None

    def _context(self) -> ssl.SSLContext:
        given = self._configuration
        trust = ssl.create_default_context(cafile=given.ssl_ca_cert or None)
        if not given.verify_ssl:
            trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        if given.cert_file:
            trust.load_cert_chain(given.cert_file, given.key_file)
        return trust

    def connect(self) -> http.client.HTTPConnection:
        if self._trust is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=_CONNECT_SECONDS)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=_CONNECT_SECONDS, context=self._trust
        )

    def path(self, path: str) -> str:
        return self._path + path

    @property
    def headers(self) -> dict[str, str]:
        token = self._configuration.get_api_key_with_prefix("authorization")
        return {"Host": f"{self._host}:{self._port}"} | ({"Authorization": token} if token else {})


@contextmanager
def recording(kubeconfig: Path) -> Iterator[tuple[Path, Recorder]]:
    """A kubeconfig whose requests are recorded, for as long as the context lasts."""
    upstream = Upstream(kubeconfig)
    refuse_a_server_that_is_not_there(upstream, kubeconfig)
    recorder = Recorder()
    secret = f"/{secrets.token_urlsafe(32)}"
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(upstream, recorder, secret))
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}{secret}"
    try:
        with tempfile.TemporaryDirectory(prefix="ktrace-") as folder:
            own = Path(folder) / "kubeconfig"
            write_private(own, yaml.safe_dump(redirected(kubeconfig, url)))
            yield own, recorder
    finally:
        server.shutdown()
        server.server_close()


def redirected(kubeconfig: Path, url: str) -> dict[str, Any]:
    """The current context of a kubeconfig, its cluster at ``url`` and its user without credentials.

    Names stay, so that ``--context`` with the current one's works.
    """
    document = yaml.safe_load(kubeconfig.read_text())
    current = document["current-context"]
    (context,) = (each for each in document["contexts"] if each["name"] == current)
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current,
        "contexts": [context],
        "clusters": [{"name": context["context"]["cluster"], "cluster": {"server": url}}],
        "users": [{"name": context["context"].get("user", ""), "user": {}}],
    }


def refuse_a_server_that_is_not_there(upstream: Upstream, kubeconfig: Path) -> None:
    """Before the command runs: its own message would name the forwarder."""
    connection = upstream.connect()
    try:
        connection.connect()
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(f"the cluster of {kubeconfig} cannot be asked: {error}") from None
    finally:
        connection.close()


def _handler(upstream: Upstream, recorder: Recorder, secret: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            body = self._body()
            if not self.path.startswith(f"{secret}/") and self.path != secret:
                self.send_error(http.client.FORBIDDEN)
                return
            path = self.path.removeprefix(secret) or "/"
            seen = Seen(self.command, path, time.time())
            connection = upstream.connect()
            try:
                self._exchange(connection, seen, body)
            except (OSError, http.client.HTTPException) as error:
                self.close_connection = True
                if not seen.status:
                    with suppress(OSError):
                        self._refuse(error)
            finally:
                seen.ended = time.time()
                recorder.add(seen)
                connection.close()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _forward  # noqa: N815

        def _body(self) -> bytes | None:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            length = int(self.headers.get("Content-Length") or 0)
            return self.rfile.read(length) if length else None

        def _exchange(
            self, connection: http.client.HTTPConnection, seen: Seen, body: bytes | None
        ) -> None:
            connection.connect()
            # A watch may be silent for as long as it likes.
            connection.sock.settimeout(None)
            upgrade = self.headers.get("Upgrade")
            connection.putrequest(
                self.command,
                upstream.path(seen.path),
                skip_host=True,
                skip_accept_encoding=True,
            )
            for name, value in self.headers.items():
                if name.lower() not in {*_OF_ONE_CONNECTION, "content-length", "authorization"}:
                    connection.putheader(name, value)
            for name, value in upstream.headers.items():
                connection.putheader(name, value)
            if upgrade:
                connection.putheader("Connection", "Upgrade")
            if body is not None or self.command in _WRITING:
                connection.putheader("Content-Length", str(len(body or b"")))
            connection.endheaders(body)
            answer = connection.getresponse()
            seen.status = answer.status
            seen.audit_id = answer.headers.get("Audit-Id", "")
            if answer.status == http.client.SWITCHING_PROTOCOLS:
                self._tunnel(connection, answer)
                return
            self._relay(answer, seen)

        def _relay(self, answer: http.client.HTTPResponse, seen: Seen) -> None:
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in _OF_ONE_CONNECTION:
                    self.send_header(name, value)
            length = answer.headers.get("Content-Length")
            bodiless = self.command == "HEAD" or answer.status in (204, 304)
            chunked = length is None and not bodiless
            if chunked:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            kept = b""
            readable = self.command in _WRITING and "json" in answer.headers.get("Content-Type", "")
            while not bodiless and (part := answer.read1(_CHUNK)):
                if readable and len(kept) + len(part) <= _KEPT_BYTES:
                    kept += part
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
                self.wfile.flush()
            if chunked:
                self.wfile.write(b"0\r\n\r\n")
            seen.answer = read_json(kept) if readable else None

        def _tunnel(
            self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
        ) -> None:
            """exec, attach and port-forward: from here on bytes, both ways."""
            self.close_connection = True
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            _join(self.connection, connection.sock)

        def _refuse(self, error: Exception) -> None:
            document = {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "message": f"ktrace cannot reach the API server: {error}",
                "code": 502,
            }
            text = json.dumps(document).encode()
            self.send_response_only(502, "Bad Gateway")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """The command's own output stays as it is."""

    return Handler


def _join(one: socket.socket, other: socket.socket) -> None:
    """Passes bytes both ways until either side ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in selector.select():
                source, sink = key.fileobj, key.data
                assert isinstance(source, socket.socket)  # noqa: S101
                data = source.recv(_CHUNK)
                while isinstance(source, ssl.SSLSocket) and source.pending():
                    data += source.recv(_CHUNK)
                if not data:
                    return
                sink.sendall(data)
