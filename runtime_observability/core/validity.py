"""From when until when a certificate is valid, and for which hosts, as it says itself. Pure."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL | re.ASCII
)
"""Go reads blocks of this name alone (crypto/x509 cert_pool.go AppendCertsFromPEM)."""


@dataclass(frozen=True)
class Validity:
    begins: datetime
    ends: datetime

    def at(self, moment: datetime) -> bool:
        return self.begins <= moment <= self.ends


def of(text: str) -> list[Validity]:
    """That of each certificate in ``text``, PEM, in its order; without those that are none."""
    return [found for block in CERTIFICATE.findall(text) if (found := _read(block))]


def names_hosts(text: str) -> bool | None:
    """Whether the first certificate in ``text``, PEM, has a subject alternative name; None where
    there is none that can be read."""
    found = CERTIFICATE.search(text)
    loaded = _load(found[0]) if found else None
    if loaded is None:
        return None
    return any(
        extension.oid == _x509().SubjectAlternativeName.oid for extension in loaded.extensions
    )


def shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _read(block: str) -> Validity | None:
    found = _load(block)
    return found and Validity(found.not_valid_before_utc, found.not_valid_after_utc)


def _load(block: str) -> Any:
    """None where it is no certificate."""
    try:
        return _x509().load_pem_x509_certificate(block.encode())
    except ValueError:
        return None


def _x509() -> Any:
    return importlib.import_module("cryptography.x509")  # few stacks have a certificate
