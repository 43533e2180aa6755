"""A server that upgrades every connection and from then on echoes, as ``cat`` does in a pod."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
KNOWN, UNKNOWN = b"someone", b"nobody"
"""Sent together with the 101: whether the client showed a certificate."""


@dataclass(frozen=True)
class Authority:
    """A certificate that signs itself, for a server called ``name`` and for a client."""

    certificate: Path
    key: Path
    name: str

    @classmethod
    def make(cls, folder: Path, name: str = "localhost") -> Authority:
        made = cls(folder / f"{name}.crt", folder / f"{name}.key", name)
        files = ["-keyout", str(made.key), "-out", str(made.certificate)]
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
        subprocess.run(
            ["openssl", "req", "-x509", *kind, *subject, *files], check=True, capture_output=True
        )
        return made

    @property
    def server(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.certificate)
        context.load_cert_chain(self.certificate, self.key)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context


class EchoServer:
    def __init__(self, authority: Authority | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._tls = authority.server if authority else None
        port = self._listener.getsockname()[1]
        self.url = f"{'https' if authority else 'http'}://127.0.0.1:{port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
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
