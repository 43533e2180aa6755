"""A forwarder in front of a server that a test scripts, reached through plain sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from ktrace.recording.forwarder import Recorder, recording
from tests.fakes.http import write_kubeconfig


@contextmanager
def forwarded(kubeconfig: Path) -> Iterator[tuple[str, Recorder]]:
    """The forwarder's URL, which is in the command's kubeconfig."""
    with recording(kubeconfig) as (environment, recorder):
        document = yaml.safe_load(Path(environment["KUBECONFIG"]).read_text())
        yield document["clusters"][0]["cluster"]["server"], recorder


@contextmanager
def scripted(*pieces: bytes, ends: bool = False) -> Iterator[str]:
    """A server that answers with ``pieces``, and ends the connection then or never."""
    with scripted_server(*pieces, ends=ends) as (url, _):
        yield url


@contextmanager
def scripted_server(
    *pieces: bytes, ends: bool = False, waits_for: threading.Event | None = None
) -> Iterator[tuple[str, list[socket.socket]]]:
    """The same with the connections that it accepted; it answers after ``waits_for``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept: list[socket.socket] = []

        def answer(accepted: socket.socket) -> None:
            if accepted.recv(1 << 16):
                if waits_for:
                    waits_for.wait(60)
                for piece in pieces:
                    accepted.sendall(piece)
            if ends:
                accepted.close()

        def serve() -> None:
            while True:
                try:
                    accepted, _ = listener.accept()
                except OSError:
                    return
                kept.append(accepted)
                threading.Thread(target=answer, args=(accepted,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield url, kept
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=10)  # else it would accept from the next socket of that number
        for accepted in kept:
            accepted.close()


@contextmanager
def forwarder_of(server_url: str, folder: Path, **cluster: Any) -> Iterator[tuple[str, Recorder]]:
    """``cluster``: what the kubeconfig says of the server's certificate."""
    write_kubeconfig(folder / "config", server_url, **cluster)
    with forwarded(folder / "config") as (url, recorder):
        yield url, recorder


def connected(url: str) -> socket.socket:
    where = urlsplit(url)
    return socket.create_connection((where.hostname, where.port), timeout=30)


def secret(url: str) -> str:
    return urlsplit(url).path


def everything(connection: socket.socket) -> bytes:
    """All that comes until the other side ends the connection."""
    received = b""
    while part := connection.recv(1 << 16):
        received += part
    return received
