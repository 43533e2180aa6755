"""Pulumi.<stack>.yaml: written for a developer's own stack, and read for the images it needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.build import images
from lab.build.images import Image
from lab.errors import LabError
from lab.paths import PROJECT
from runtime_observability.core import naming
from runtime_observability.host.ports import is_free

OFFSET_STEP = 100
GREATEST_OFFSET = 40000
_OF_STORES = {"opensearch": images.OF_OPENSEARCH, "elasticsearch": (images.CURL,)}


def ensure(stack: str, template: str) -> None:
    """Write a stack's file, unless it exists: the settings of `template` on ports of its own."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", stack):
        raise LabError(f"STACK={stack}: a stack's name is 1 to 100 letters, digits, '-', '_', '.'")
    file = PROJECT / f"Pulumi.{stack}.yaml"
    if file.exists():
        return
    offset = first_free_offset(_default_ports(), _offsets_in_use())
    file.write_text(contents(template, offset), encoding="utf-8")
    print(f"wrote {file.name}: the settings of {template}, with portOffset {offset}")


def contents(template: str, offset: int) -> str:
    """Return a committed stack's settings with another portOffset and without its salt."""
    config = _document(PROJECT / f"Pulumi.{template}.yaml").get("config") or {}
    settings = {"config": {f"{naming.PROJECT}:portOffset": offset, **config}}
    title = f"# Settings of Pulumi.{template}.yaml on ports of its own.\n"
    return title + yaml.safe_dump(settings, sort_keys=False)


def first_free_offset(defaults: Iterable[int], taken: set[int]) -> int:
    """Return the first portOffset that is not taken and on whose ports nobody listens."""
    ports = list(defaults)
    for offset in range(OFFSET_STEP, GREATEST_OFFSET + 1, OFFSET_STEP):
        if offset not in taken and all(is_free(port + offset) for port in ports):
            return offset
    raise LabError(
        f"no portOffset up to {GREATEST_OFFSET} has only free ports; remove a stack and its file"
    )


def more_images(stack: str) -> list[Image]:
    """Return the lab's images that a stack's file names beside those of the default stack.

    Raises LabError for a k3s release that the lab does not build.
    """
    file = PROJECT / f"Pulumi.{stack}.yaml"
    settings = _settings(file) if file.exists() else {}
    return [*_node(settings, file.name), *_of_store(settings)]


def _node(settings: Mapping[str, Any], file: str) -> list[Image]:
    release = re.match(r"v?(\d+\.\d+\.\d+)", str(settings.get("k3sVersion", "")))
    image = str(settings.get("k3sImage", ""))
    if release is None or image != f"{images.PREFIX}/k3s:v{{version}}":
        return []
    if release[1] not in images.NODES:
        raise LabError(
            f"{file} sets k3sVersion to {release[1]}, which the lab does not build; "
            f"set one of {', '.join(images.NODES)}"
        )
    return [images.NODES[release[1]]]


def _of_store(settings: Mapping[str, Any]) -> list[Image]:
    named = {str(value) for value in settings.values()}
    needed = _OF_STORES.get(str(settings.get("traceStore")), ())
    return [image for image in needed if image.reference in named]


def mirror(stack: str) -> str:
    """Return the registry mirror that a stack's file names; nothing if it names none."""
    return str(_settings(PROJECT / f"Pulumi.{stack}.yaml").get("registryMirror", ""))


def _default_ports() -> list[int]:
    schema = _document(PROJECT / "Pulumi.yaml")["config"]
    return [key["default"] for name, key in schema.items() if name.endswith("Port")]


def _offsets_in_use() -> set[int]:
    """Return the portOffset of every stack file; 0 is that of the committed stacks."""
    stacks = map(_settings, PROJECT.glob("Pulumi.*.yaml"))
    return {0, *(int(stack["portOffset"]) for stack in stacks if "portOffset" in stack)}


def _settings(file: Path) -> dict[str, Any]:
    """Return the project's keys of a stack file, without the project's name before each."""
    config = _document(file).get("config") or {}
    return {str(key).partition(":")[2]: value for key, value in config.items()}


def _document(file: Path) -> dict[str, Any]:
    """Return the content of a YAML file; raise LabError if it is none."""
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        why = " ".join(str(error).split())
        raise LabError(f"{file} is not YAML: {why}. Correct it, or delete it") from error
    return document if isinstance(document, dict) else {}
