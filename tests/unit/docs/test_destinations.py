"""Every example of docs/destinations.md is accepted, and sends where it says."""

from __future__ import annotations

import pytest
import yaml

from tests.docs.destinations import examples, rendered

EXAMPLES = examples()


def test_every_destination_of_the_page_has_an_example() -> None:
    assert list(EXAMPLES) == [
        "elsewhere", "central", "lgtm", "grafana-cloud", "honeycomb", "signoz", "elastic",
    ]  # fmt: skip


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
