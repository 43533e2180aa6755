"""From when until when a certificate is valid, as it says itself. Pure.

Python tells it of an authority's alone (ssl.SSLContext.get_ca_certs).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL | re.ASCII
)
"""Go reads blocks of this name alone (crypto/x509 cert_pool.go AppendCertsFromPEM)."""
_VERSION = 0xA0
"""The tag of the field that a certificate may begin with (RFC 5280 section 4.1)."""
_PLACE = 3
"""Of the validity, behind the serial number, the algorithm and the issuer."""
_UTC_TIME = 0x17
"""The tag of a time whose year has two digits: from 1950 to 2049 (section 4.1.2.5.1)."""


@dataclass(frozen=True)
class Validity:
    begins: datetime
    ends: datetime

    def at(self, moment: datetime) -> bool:
        return self.begins <= moment <= self.ends


def of(text: str) -> list[Validity]:
    """That of each certificate in ``text``, PEM, in its order; without those that are none."""
    return [found for block in CERTIFICATE.findall(text) if (found := _read(block))]


def shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _read(block: str) -> Validity | None:
    try:
        ((_, certificate),) = _parts(ssl.PEM_cert_to_DER_cert(block))
        _, to_be_signed = next(_parts(certificate))
        fields = [content for tag, content in _parts(to_be_signed) if tag != _VERSION]
        begins, ends = (_time(tag, content) for tag, content in _parts(fields[_PLACE]))
    except (ValueError, IndexError, StopIteration):
        return None
    return Validity(begins, ends)


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Each element's tag and content. A length over 127 has its own length before it."""
    at = 0
    while at < len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length > 127:
            size = length - 128
            length = int.from_bytes(der[at : at + size], "big")
            at += size
        yield tag, der[at : at + length]
        at += length


def _time(tag: int, content: bytes) -> datetime:
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        text = ("20" if text < "50" else "19") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
