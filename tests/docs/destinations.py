"""The examples of docs/destinations.md: read from the page, and rendered for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from runtime_observability.core import documents
from tests.configuration import PROJECT, parsed

PAGE = PROJECT / "docs" / "destinations.md"
_BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


def examples() -> dict[str, dict[str, Any]]:
    """The configuration of each example, by the name of its exporter."""
    before, _, _ = PAGE.read_text().partition("<!-- begin:")
    found = [yaml.safe_load(block) for block in _BLOCK.findall(before)]
    return {example["exporters"][0]["name"]: example for example in found}


def rendered(example: Mapping[str, Any]) -> str:
    """The collector's whole configuration."""
    settings = parsed(**example)
    return documents.collector(
        settings.collector_version,
        settings.collector_sampling_per_million,
        settings.collector_memory_mib,
        exporters=settings.exporters,
        allowed_origins=settings.allowed_origins,
        to_jaeger=settings.has_jaeger,
    )


def central() -> str:
    """What the example ``central`` adds to the configuration, as a block of the page."""
    document, without = (
        yaml.safe_load(rendered(example)) for example in (examples()["central"], {})
    )
    added = {
        "processors": _added(document["processors"], without["processors"]),
        "exporters": _added(document["exporters"], without["exporters"]),
        "service": {
            "pipelines": _added(document["service"]["pipelines"], without["service"]["pipelines"])
        },
    }
    return f"```yaml\n{documents.dump(added)}```"


def _added(document: dict[str, Any], without: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in without}
