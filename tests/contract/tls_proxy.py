"""TLS and a login in front of an HTTP server, as clusters of companies and providers have them."""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from tests.contract.login_server import Server

USER, PASSWORD = "traces", 'p$ss"w\\örd'


@dataclass
class Proxy:
    """``passed`` and ``refused`` count the requests with the right login and the others."""

    server: Server
    certificates: str
    """PEM of the authority that signed its certificate."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.server_address[1]}"

    @property
    def passed(self) -> int:
        return self.server.passed

    @property
    def refused(self) -> int:
        return self.server.refused


def login(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def usual(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("127.0.0.1")


def nameless(authority: trustme.CA) -> trustme.LeafCert:
    """A certificate with the host as its common name alone."""
    signer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    signing = load_pem_private_key(authority.private_key_pem.bytes(), None)
    assert isinstance(signing, EllipticCurvePrivateKey)
    key = generate_private_key(SECP256R1())
    made = (
        x509.CertificateBuilder(signer.subject)
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(signer.not_valid_before_utc)
        .not_valid_after(signer.not_valid_after_utc)
        .sign(signing, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return trustme.LeafCert(private, made.public_bytes(Encoding.PEM), [])


@contextmanager
def in_front_of(
    url: str, issue: Callable[[trustme.CA], trustme.LeafCert] = usual
) -> Iterator[Proxy]:
    """A proxy on 127.0.0.1, which passes on what has the login of USER; ended at the end."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issue(authority).configure_cert(context)
    upstream = url.removeprefix("http://")
    server = Server(("127.0.0.1", 0), context, upstream, login(USER, PASSWORD))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Proxy(server, authority.cert_pem.bytes().decode())
    finally:
        server.shutdown()
        server.server_close()
