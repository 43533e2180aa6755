"""Certificates and keys of exporters: files below the project's folder, or their texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime_observability.core.problem import ProblemsError
from runtime_observability.host import certificates
from tests.configuration import parsed

TEXT = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"


def of(**tls: str) -> list[dict[str, object]]:
    return [{"endpoint": "collector.example:4317", "tls": tls}]


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
    with pytest.raises(ProblemsError) as refused:
        certificates.with_texts(parsed(exporters=exporters), tmp_path)
    absent, other, binary = map(str, refused.value.problems)
    cure = "Name a PEM file that you may read, or write its text"
    assert absent == (
        "exporters.0.tls.caFile: absent.pem cannot be used: No such file or directory. " + cure
    )
    assert other == (
        "exporters.1.tls.clientCert: other cannot be used: the file has no certificate or key in "
        f"PEM. {cure}"
    )
    assert binary.startswith("exporters.1.tls.clientKey: binary cannot be used: ")


def test_a_key_without_its_first_line_is_not_repeated(tmp_path: Path) -> None:
    pasted = "hush\n" * 4
    with pytest.raises(ProblemsError) as refused:
        certificates.with_texts(parsed(exporters=of(clientCert=TEXT, clientKey=pasted)), tmp_path)
    assert "hush" not in str(refused.value)
