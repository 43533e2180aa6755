"""A server that upgrades every connection and then echoes its data, like ``cat`` in a pod."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import trustme

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
KNOWN, UNKNOWN = b"someone", b"nobody"
"""Sent together with the 101: whether the client presented a certificate."""


@dataclass(frozen=True)
class Certificate:
    """One certificate for a server called ``NAME`` and a client.

    ``own`` is a file with the certificate and its key, ``authority`` one with the certificate of
    its authority.
    """

    authority: Path
    own: Path

    NAME = "localhost"

    @classmethod
    def issue(cls, folder: Path) -> Certificate:
        folder.mkdir(parents=True, exist_ok=True)
        certificate = cls(folder / "authority.pem", folder / "own.pem")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(certificate.authority))
        issued = authority.issue_cert(cls.NAME)
        issued.private_key_and_cert_chain_pem.write_to_path(str(certificate.own))
        return certificate


class EchoServer:
    """The server; it uses TLS if there is a ``certificate``."""

    def __init__(self, certificate: Certificate | None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._tls = _tls(certificate) if certificate else None
        port = self._listener.getsockname()[1]
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends ``accept`` before the close: it would go on with the number's next socket."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=10)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        try:
            if self._tls:
                accepted = self._tls.wrap_socket(accepted, server_side=True)
            with accepted:
                if not accepted.recv(1 << 16):
                    return
                known = isinstance(accepted, ssl.SSLSocket) and accepted.getpeercert()
                accepted.sendall(SWITCHING + (KNOWN if known else UNKNOWN))
                while data := accepted.recv(1 << 16):
                    accepted.sendall(data)
        except OSError:
            return


def _tls(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate.authority)
    context.load_cert_chain(certificate.own)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context
