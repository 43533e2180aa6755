"""Stack configurations as Pulumi passes them to the program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from runtime_observability.core import cluster_spec, documents
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.settings.parse import parse
from runtime_observability.host import node_image

PROJECT = Path(__file__).resolve().parent.parent
SCHEMA: dict[str, dict[str, Any]] = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]


def defaults() -> dict[str, Any]:
    """Pulumi.yaml's own defaults: the CLI fills them in, mocks do not."""
    return {key: rule["default"] for key, rule in SCHEMA.items() if "default" in rule}


def of_stack_file(stack: str) -> dict[str, Any]:
    """The keys that Pulumi.<stack>.yaml sets, without the project's name."""
    document = yaml.safe_load((PROJECT / f"Pulumi.{stack}.yaml").read_text())
    config = document.get("config") or {}
    return {key.partition(":")[2]: value for key, value in config.items()}


def parsed(**changes: Any) -> Settings:
    """The default settings with ``changes``, by their keys in Pulumi.yaml."""
    return parse(defaults() | changes)


def spec_of(names: Names, chosen: Settings, *, cgroup_v1: bool = False) -> ClusterSpec:
    """The spec of the cluster that the program creates on an amd64 Docker host."""
    upstream = node_image.node_image(chosen, "amd64")
    image = upstream.tag if upstream else chosen.images.nodes
    files = documents.node_files(chosen, cgroup_v1=cgroup_v1)
    return cluster_spec.cluster_spec(chosen, names, files, image)
