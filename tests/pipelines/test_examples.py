"""The collector finds every example of docs/destinations.md valid; no stack is needed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import collector
from tests.configuration import PROJECT
from tests.contract import jaeger_process
from tests.docs.destinations import examples, rendered

EXAMPLES = examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_collector_finds_it_valid(name: str, tmp_path: Path) -> None:
    program = collector.needed()
    file = tmp_path / "config.yaml"
    text = rendered(EXAMPLES[name]).replace("/etc/otelcol", str(tmp_path))
    file.write_text(text)
    for header in EXAMPLES[name]["exporters"][0].get("headers", {}):
        (tmp_path / f"{name}.{header.lower()}.header").write_text("a value: #1")
    assert _problems(program, file) == (0, "")
    file.write_text(text.replace("queue_size", "queue_sizes"))
    assert _problems(program, file)[0] != 0, "the collector accepts anything"


def test_the_central_jaeger_is_valid(tmp_path: Path) -> None:
    program = jaeger_process.needed()
    file = PROJECT / "examples/central/jaeger.yaml"
    code, told = _problems(program, file)
    assert code == 0, told
    broken = tmp_path / "jaeger.yaml"
    broken.write_text(file.read_text().replace("max_span_age", "max_age_of_spans"))
    assert _problems(program, broken)[0] != 0, "Jaeger accepts anything"


def _problems(program: Path, file: Path) -> tuple[int, str]:
    valid = subprocess.run(
        [program, "validate", f"--config={file}"], capture_output=True, text=True, check=False
    )
    return valid.returncode, valid.stderr
