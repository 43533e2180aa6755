"""When certificates are valid: what is read here is what cryptography reads."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime

import pytest
import trustme
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from runtime_observability.core import validity

AUTHORITY = trustme.CA()
TEXT = AUTHORITY.cert_pem.bytes().decode()
TIMES = st.datetimes(datetime(1951, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))


@given(st.lists(st.tuples(TIMES, TIMES).map(sorted), min_size=1, max_size=3))
def test_each_certificate_of_a_text_tells_its_times(times: list[list[datetime]]) -> None:
    issued = [
        AUTHORITY.issue_cert("me.example", not_before=begins, not_after=ends)
        for begins, ends in times
    ]
    text = "".join(one.cert_chain_pems[0].bytes().decode() for one in issued)
    read = x509.load_pem_x509_certificates(text.encode())
    assert validity.of(text) == [
        validity.Validity(one.not_valid_before_utc, one.not_valid_after_utc) for one in read
    ]


def test_the_first_certificate_of_a_text_tells_whether_it_names_hosts() -> None:
    named = AUTHORITY.issue_cert("me.example").cert_chain_pems[0].bytes().decode()
    assert validity.names_hosts(f"Subject:CN = me\n{named}{TEXT}") is True
    assert validity.names_hosts(TEXT + named) is False
    for unknown in ("", "Subject:CN = me", pem(b"none")):
        assert validity.names_hosts(unknown) is None


DER = ssl.PEM_cert_to_DER_cert(TEXT)


def pem(der: bytes) -> str:
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("length", range(0, 140, 7))
def test_what_is_cut_off_is_passed_over(length: int) -> None:
    (whole,) = validity.of(TEXT)
    assert validity.of(f"{pem(DER[:length])}# words\n{TEXT}")[-1] == whole
    assert len(validity.of(pem(DER[:40]))) == 0


@given(st.binary(max_size=60))
def test_anything_else_has_no_times(der: bytes) -> None:
    assert validity.of(pem(der)) == []
    assert validity.of(der.hex()) == []
