"""Tables that are made of files: Pulumi.yaml, the Makefile and action.yml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import yaml

from lab.build.programs import CONTAINERD, KUBERNETES, KUBERNETES_VERSIONS
from runtime_observability.core.compatibility import (
    NEWEST_KNOWN_COLLECTOR,
    NEWEST_KNOWN_JAEGER,
    NEWEST_KNOWN_K3S,
    OLDEST_COLLECTOR,
    OLDEST_DOCKER,
    OLDEST_JAEGER,
    OLDEST_K3D,
    OLDEST_K3S,
    OLDEST_PULUMI,
)
from tests.configuration import PROJECT, SCHEMA

WORKFLOW = PROJECT / "examples" / "github-actions" / "traces.yml"


def configuration() -> str:
    """Every key of Pulumi.yaml; a heading for each of its groups, which are its comments there."""
    text = (PROJECT / "Pulumi.yaml").read_text()
    group, groups = "", dict[str, list[str]]()
    for line in text[text.index("\nconfig:") :].splitlines():
        if found := re.match(r"  # (.+)$", line):
            group = found[1]
        elif found := re.match(r"  (\w+):$", line):
            groups.setdefault(group, []).append(found[1])
    sections = []
    for title, keys in groups.items():
        rows = [_key(key, SCHEMA[key]) for key in keys]
        sections.append(f"## {title}\n\n{_table('key | type | default | meaning', rows)}")
    return "\n\n".join(["", *sections, ""]).strip("\n")


def _key(key: str, rule: dict[str, Any]) -> tuple[str, ...]:
    default = rule["default"]
    text = default if isinstance(default, str) else json.dumps(default)
    return f"`{key}`", rule["type"], f"`{text}`" if text else "(empty)", rule["description"]


def make() -> str:
    """Every target of the Makefile, as `make help` lists them."""
    targets = re.findall(r"^([a-z-]+):.*## (.+)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    return _table("target | what it does", [(f"`make {name}`", text) for name, text in targets])


def action() -> str:
    """Every input of action.yml."""
    inputs = yaml.safe_load((PROJECT / "action.yml").read_text())["inputs"]
    rows = [
        (f"`{name}`", f"`{rule['default']}`" if rule["default"] else "", rule["description"])
        for name, rule in inputs.items()
    ]
    return _table("input | default | meaning", rows)


def releases() -> str:
    """The releases that the version table covers."""
    rows = [
        ("k3s", f"v{OLDEST_K3S}", f"v{NEWEST_KNOWN_K3S}"),
        ("collector", str(OLDEST_COLLECTOR), str(NEWEST_KNOWN_COLLECTOR)),
        ("Jaeger", str(OLDEST_JAEGER), str(NEWEST_KNOWN_JAEGER)),
    ]
    return _table("| oldest | newest whose sources were read", rows)


def tools() -> str:
    """The oldest release of each tool."""
    rows = [
        ("Pulumi", str(OLDEST_PULUMI)),
        ("k3d", str(OLDEST_K3D)),
        ("Docker", str(OLDEST_DOCKER)),
    ]
    return _table("tool | oldest release", rows)


def built() -> str:
    """What `make test-versions` starts; the numbers of spans are those that it printed."""
    everything = ("apiserver, kubelet, containerd", "kubelet 7, containerd 31")
    every, default, upstream = ", ".join(KUBERNETES_VERSIONS), KUBERNETES, CONTAINERD
    silent = "without the tracing plugin, as in the official k3s image"
    rows = [
        (every, f"{upstream} of the image", *everything),
        (default, silent, "apiserver, kubelet", "kubelet 7"),
        (default, f"the same image, with upstream {upstream} instead", *everything),
    ]
    return _table("Kubernetes | containerd | traced | spans of a pod's start", rows)


def workflow() -> str:
    """The example of a workflow, as it is."""
    return f"```yaml\n{WORKFLOW.read_text().rstrip()}\n```"


def _table(head: str, rows: Iterable[tuple[str, ...]]) -> str:
    columns = head.count("|") + 1
    cells = [" | ".join(cell.replace("|", "&#124;") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in (head, *cells)).replace(
        f"| {head} |", f"| {head} |\n|{'---|' * columns}", 1
    )
