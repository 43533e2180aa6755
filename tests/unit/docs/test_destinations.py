"""Every example of docs/destinations.md is accepted, sends where it says, and is valid."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests import collector
from tests.docs.destinations import examples, rendered

EXAMPLES = examples()


def test_every_destination_of_the_page_has_an_example() -> None:
    assert list(EXAMPLES) == ["central", "lgtm", "grafana-cloud", "honeycomb", "signoz", "elastic"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_is_sent_where_the_example_says(name: str) -> None:
    (written,) = EXAMPLES[name]["exporters"]
    document = yaml.safe_load(rendered(EXAMPLES[name]))
    kind = "otlp_http" if written.get("protocol") == "http" else "otlp_grpc"
    options = document["exporters"][f"{kind}/{name}"]
    assert options["endpoint"] == written["endpoint"]
    assert options.get("headers", {}).keys() == written.get("headers", {}).keys()
    pipelines = {
        signal.partition("/")[0]
        for signal, pipeline in document["service"]["pipelines"].items()
        if f"{kind}/{name}" in pipeline["exporters"]
    }
    assert pipelines == set(written.get("signals", ["traces"]))
    for values in written.get("headers", {}).values():
        assert values not in rendered(EXAMPLES[name])


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_collector_finds_it_valid(name: str, tmp_path: Path) -> None:
    program = collector.program()
    if program is None:
        pytest.skip("no collector is built or on PATH")
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
