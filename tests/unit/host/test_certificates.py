"""Certificates and keys of exporters: files below the project's folder, or their texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from runtime_observability.core.problem import ProblemsError
from runtime_observability.host import certificates
from tests.configuration import parsed

AUTHORITY = trustme.CA()
TEXT = AUTHORITY.cert_pem.bytes().decode()
ISSUED = AUTHORITY.issue_cert("me.example")
CERTIFICATE = ISSUED.cert_chain_pems[0].bytes().decode()
KEY = ISSUED.private_key_pem.bytes().decode()
BROKEN = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"


def of(**tls: str) -> list[dict[str, object]]:
    return [{"endpoint": "collector.example:4317", "tls": tls}]


def refused(folder: Path, **tls: str) -> str:
    with pytest.raises(ProblemsError) as error:
        certificates.with_texts(parsed(exporters=of(**tls)), folder)
    (problem,) = error.value.problems
    return str(problem)


@pytest.mark.parametrize("written", ["ca.pem", "{folder}/ca.pem", TEXT])
def test_a_file_and_its_text_are_the_same(tmp_path: Path, written: str) -> None:
    (tmp_path / "ca.pem").write_text(TEXT)
    settings = parsed(exporters=of(caFile=written.format(folder=tmp_path)))
    (exporter,) = certificates.with_texts(settings, tmp_path).exporters
    assert exporter.tls.ca_file == TEXT
    assert settings.exporters[0].tls.ca_file != TEXT or written == TEXT


def test_every_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("no certificate")
    (tmp_path / "binary").write_bytes(b"\xff")
    exporters = [*of(caFile="absent.pem"), *of(clientCert="other", clientKey="binary")]
    exporters[1]["endpoint"] = "another.example:4317"
    with pytest.raises(ProblemsError) as error:
        certificates.with_texts(parsed(exporters=exporters), tmp_path)
    absent, other, binary = map(str, error.value.problems)
    cure = "Name a PEM file that you may read, or write its text"
    assert absent == (
        "exporters.0.tls.caFile: absent.pem cannot be used: No such file or directory. " + cure
    )
    assert other == (
        "exporters.1.tls.clientCert: other cannot be used: the file has no certificate or key in "
        f"PEM. {cure}"
    )
    assert binary == (
        "exporters.1.tls.clientKey: binary cannot be used: the file is no text. If it is DER, "
        "`openssl x509 -inform der` makes PEM of it"
    )


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "caFile: . cannot be used: Is a directory" in refused(tmp_path, caFile=".")


def test_a_key_without_its_first_line_is_not_repeated(tmp_path: Path) -> None:
    pasted = "hush\n" * 4
    assert "hush" not in refused(tmp_path, clientCert=CERTIFICATE, clientKey=pasted)


def encrypted() -> str:
    key = serialization.load_pem_private_key(KEY.encode(), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hush"),
    ).decode()


@pytest.mark.parametrize(
    ("tls", "told"),
    [
        ({"caFile": "broken"}, "caFile: broken cannot be used: it has no certificate that can be"),
        ({"caFile": BROKEN}, "caFile: its text cannot be used: it has no certificate that can be"),
        # Nothing else keeps a key in a file of certificates out of Pulumi's state.
        ({"caFile": "key"}, "caFile: key cannot be used: it has a private key. Name certificates"),
        (
            {"clientCert": "both", "clientKey": "both"},
            "clientCert: both cannot be used: it has a private key. Name certificates alone",
        ),
        (
            {"clientCert": CERTIFICATE, "clientKey": "certificate"},
            "clientKey: certificate cannot be used: it has no private key",
        ),
        ({"clientCert": CERTIFICATE, "clientKey": "encrypted"}, "the key has a passphrase"),
        (
            {"clientCert": CERTIFICATE, "clientKey": "another"},
            "clientKey: its text cannot be used: it is not the key of clientCert",
        ),
        (
            {"clientCert": CERTIFICATE, "clientKey": "-----BEGIN PRIVATE KEY-----\nhush\n"},
            "clientKey: its text cannot be used: it is no key that can be read",
        ),
    ],
)
def test_what_a_collector_would_stop_at_is_refused_before_the_old_one_goes(
    tmp_path: Path, tls: dict[str, str], told: str
) -> None:
    another = AUTHORITY.issue_cert("you.example").private_key_pem.bytes().decode()
    for name, text in {
        "broken": BROKEN,
        "key": KEY,
        "both": CERTIFICATE + KEY,
        "certificate": CERTIFICATE,
        "encrypted": encrypted(),
        "another": another,
    }.items():
        (tmp_path / name).write_text(text)
    said = refused(tmp_path, **tls)
    assert told in said
    assert "hush" not in said


def test_a_pair_and_a_bundle_with_words_of_any_language_are_taken(tmp_path: Path) -> None:
    (tmp_path / "bundle.pem").write_text(f"# Főtanúsítvány\n{BROKEN}{TEXT}", encoding="utf-8")
    exporters = of(caFile="bundle.pem", clientCert=CERTIFICATE, clientKey=KEY)
    (exporter,) = certificates.with_texts(parsed(exporters=exporters), tmp_path).exporters
    assert exporter.tls.client_key == KEY
    assert "Főtanúsítvány" in exporter.tls.ca_file


def test_the_file_of_a_store_is_read_in_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(KEY)
    store = {"traceStore": "opensearch", "openSearchUrls": ["https://search.example:9200"]}
    with pytest.raises(ProblemsError) as error:
        certificates.with_texts(parsed(**store, traceStoreCaFile="key.pem"), tmp_path)
    (problem,) = error.value.problems
    assert str(problem).startswith("traceStoreCaFile: key.pem cannot be used: it has a private key")


NOW = datetime.now(UTC)


def issued(begins: timedelta, ends: timedelta) -> tuple[str, str]:
    """A certificate that is valid between these two from now on, with that of its authority, and
    its key."""
    own = AUTHORITY.issue_cert("me.example", not_before=NOW + begins, not_after=NOW + ends)
    return own.cert_chain_pems[0].bytes().decode() + TEXT, own.private_key_pem.bytes().decode()


DAY = timedelta(days=1)
EXPIRED, LATER, SOON, LONG = (
    issued(-9 * DAY, -DAY),
    issued(DAY, 99 * DAY),
    issued(-DAY, 6 * DAY),
    issued(-DAY, 8 * DAY),
)


def day(of: timedelta) -> str:
    return f"{NOW + of:%Y-%m-%d %H:%M} UTC"


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        (
            EXPIRED,
            f"its certificate expired at {day(-DAY)}: a destination that asks for it refuses it. "
            "Name a new one, and its key in clientKey",
        ),
        (
            LATER,
            f"its certificate is valid from {day(DAY)} on: a destination that asks for it refuses "
            "it. Set this machine's clock if that is past, or name another",
        ),
        (SOON, ""),
        (LONG, ""),
    ],
)
def test_a_client_certificate_that_is_not_valid_is_refused(
    pair: tuple[str, str], told: str
) -> None:
    settings = parsed(exporters=of(clientCert=pair[0], clientKey=pair[1]))
    found = [str(problem) for problem in certificates.refuse_invalid_today(settings)]
    assert found == ([f"exporters.0.tls.clientCert: {told}"] if told else [])


def test_a_client_certificate_that_expires_soon_is_told() -> None:
    def warned(pair: tuple[str, str]) -> list[str]:
        return certificates.warnings(parsed(exporters=of(clientCert=pair[0], clientKey=pair[1])))

    assert warned(SOON) == [
        f"exporters.0.tls.clientCert: its certificate expires at {day(6 * DAY)}: a destination "
        "that asks for it refuses it then"
    ]
    assert warned(LONG) == []


def trusted(*pairs: tuple[str, str]) -> list[str]:
    """What is told of these certificates, each without its authority."""
    text = "".join(pair[0].removesuffix(TEXT) for pair in pairs)
    return certificates.warnings(parsed(exporters=of(caFile=text)))


def test_certificates_to_trust_that_are_not_valid_are_told() -> None:
    assert certificates.warnings(parsed(exporters=of(caFile=TEXT + EXPIRED[0]))) == []
    key = "exporters.0.tls.caFile"
    refused = "what it has signed is refused"
    assert trusted(EXPIRED) == [f"{key}: its certificate expired at {day(-DAY)}: {refused}"]
    assert trusted(LATER) == [f"{key}: its certificate is valid from {day(DAY)} on: {refused}"]
    assert trusted(EXPIRED, SOON) == [
        f"{key}: its certificate expires at {day(6 * DAY)}: {refused} then"
    ]
    assert trusted(LATER, EXPIRED, SOON, LONG) == [], "one of them will do"
    assert certificates.warnings(parsed(exporters=of(caFile="ca.pem"))) == []
    store = {"traceStore": "opensearch", "openSearchUrls": ["https://search.example:9200"]}
    (told,) = certificates.warnings(parsed(**store, traceStoreCaFile=EXPIRED[0][: -len(TEXT)]))
    assert told.startswith("traceStoreCaFile: its certificate expired at ")
