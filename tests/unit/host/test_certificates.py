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
    exporters[1]["name"] = "second"
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


def warned(text: str) -> list[str]:
    return certificates.warnings(parsed(exporters=of(caFile=text)))


def test_an_authority_that_has_expired_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert warned(TEXT) == []
    monkeypatch.setattr("time.time", (datetime.now(UTC) + timedelta(366_000)).timestamp)
    (told,) = warned(TEXT)
    assert told.startswith("exporters.0.tls.caFile: its certificate expired at ")
    assert warned(TEXT + CERTIFICATE) == [], "of what is no authority nothing is known"
    assert warned("ca.pem") == []
