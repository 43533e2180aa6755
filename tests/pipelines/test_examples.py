"""The collector finds every example of docs/destinations.md valid; no stack is needed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import trustme

from tests import collector
from tests.configuration import PROJECT
from tests.docs.destinations import examples, rendered

EXAMPLES = examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_collector_finds_it_valid(name: str, tmp_path: Path) -> None:
    program = collector.needed()
    file = tmp_path / "config.yaml"
    text = rendered(EXAMPLES[name]).replace("/etc/otelcol", str(tmp_path))
    file.write_text(text)
    for header in EXAMPLES[name]["exporters"][0].get("headers", {}):
        (tmp_path / f"{name}-{header}.header").write_text("a value: #1")
    valid = subprocess.run(
        [program, "validate", f"--config={file}"], capture_output=True, text=True, check=False
    )
    assert (valid.returncode, valid.stderr) == (0, "")
    file.write_text(text.replace("queue_size", "queue_sizes"))
    broken = subprocess.run(
        [program, "validate", f"--config={file}"], capture_output=True, text=True, check=False
    )
    assert broken.returncode != 0, "the collector accepts anything"


def test_the_central_collector_is_valid(tmp_path: Path) -> None:
    program = collector.needed()
    authority = trustme.CA()
    certificate = authority.issue_cert("otel.example.com")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "certificate")
    certificate.private_key_pem.write_to_path(tmp_path / "key")
    (tmp_path / "token").write_text("TOKEN")
    text = (PROJECT / "examples/central/collector.yaml").read_text()
    file = tmp_path / "config.yaml"
    file.write_text(text.replace("/run/secrets", str(tmp_path)))
    command = [program, "validate", f"--config={file}"]
    valid = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (valid.returncode, valid.stderr) == (0, "")
