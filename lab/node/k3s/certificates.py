"""Certificates and kubeconfigs of one node, all signed by a CA that is derived from the token."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from .processes import run

TLS = Path("/var/lib/rancher/k3s/tls")
CA = str(TLS / "ca.crt")


def certificate(name: str) -> str:
    """Return the path of a certificate."""
    return str(TLS / f"{name}.crt")


def key(name: str) -> str:
    """Return the path of a private key."""
    return str(TLS / f"{name}.key")


def write_private(path: str | Path, text: str) -> None:
    """Write a file that only root may read."""
    with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)


def derived_key(token: str, purpose: str) -> str:
    """Derive a P-256 private key from the token (PEM, RFC 5915 without the public part)."""
    secret = hashlib.scrypt(token.encode(), salt=purpose.encode(), n=2**14, r=8, p=1, dklen=32)
    scalar = bytes([secret[0] & 0x7F]) + secret[1:]  # always below the order of the curve
    der = bytes.fromhex("30310201010420") + scalar + bytes.fromhex("a00a06082a8648ce3d030107")
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{body}-----END EC PRIVATE KEY-----\n"


def make_authority(token: str) -> None:
    """Write the CA and the service accounts' key; the same on every node that has the token."""
    TLS.mkdir(parents=True, exist_ok=True)
    (TLS / "openssl.cnf").write_text("[req]\ndistinguished_name = dn\n[dn]\n")
    for name in ("ca", "service-account"):
        write_private(key(name), derived_key(token, f"k3s stand-in {name}"))
    extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign",
                  "subjectKeyIdentifier=hash")  # fmt: skip
    certify("ca", "/CN=k3s-stand-in-ca", extensions, signer=())


def certify(
    name: str,
    subject: str,
    extensions: Iterable[str],
    signer: Iterable[str] = ("-CA", CA, "-CAkey", key("ca")),
) -> None:
    """Write a certificate, and its key if that is missing; without a signer it is self-signed."""
    if not Path(key(name)).exists():
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-out", key(name))  # fmt: skip
    added = (word for extension in extensions for word in ("-addext", extension))
    run("openssl", "req", "-x509", "-new", "-config", str(TLS / "openssl.cnf"), "-days", "3650",
        "-key", key(name), "-subj", subject, "-out", certificate(name),
        *added, *signer)  # fmt: skip


def make_serving(
    name: str, subject: str, names: Iterable[str], *, usage: str = "serverAuth"
) -> None:
    """Write the certificate of a server that is reached under these names and addresses."""
    alternatives = (
        f"{'IP' if n.replace('.', '').isdigit() else 'DNS'}:{n}" for n in dict.fromkeys(names)
    )
    extensions = (f"subjectAltName={','.join(alternatives)}", f"extendedKeyUsage={usage}")
    certify(name, subject, extensions)


def make_kubeconfig(name: str, user: str, group: str, server: str) -> str:
    """Write a user's client certificate and a kubeconfig with it; return the kubeconfig's path."""
    certify(name, f"/O={group}/CN={user}", ("extendedKeyUsage=clientAuth",))

    def data(path: str) -> str:
        return base64.b64encode(Path(path).read_bytes()).decode()

    cluster = {"server": server, "certificate-authority-data": data(CA)}
    credentials = {"client-certificate-data": data(certificate(name)),
                   "client-key-data": data(key(name))}  # fmt: skip
    document = {
        "apiVersion": "v1", "kind": "Config", "current-context": "default",
        "clusters": [{"name": "default", "cluster": cluster}],
        "users": [{"name": "default", "user": credentials}],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
    }  # fmt: skip
    path = TLS / f"{name}.kubeconfig"
    write_private(path, json.dumps(document, indent=1))
    return str(path)
