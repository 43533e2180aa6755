"""Ports on 127.0.0.1 that nobody holds."""

from __future__ import annotations

import random

import yaml

from components.ports import is_free
from tests.live.environment import PROJECT

_BELOW_EPHEMERAL = 32768  # Linux hands out ports from here on by itself
_given: set[int] = set()


def defaults() -> dict[str, int]:
    """The ports of Pulumi.yaml by key, as they are with portOffset 0."""
    schema = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]
    return {key: entry["default"] for key, entry in schema.items() if key.endswith("Port")}


def free_offset() -> int:
    """A portOffset whose ports are all free now and that no other stack of this run was given."""
    candidates = list(range(200, _BELOW_EPHEMERAL - max(defaults().values()), 10))
    random.shuffle(candidates)
    for offset in candidates:
        taken = {default + offset for default in defaults().values()}
        if not taken & _given and all(map(is_free, taken)):
            _given.update(taken)
            return offset
    raise AssertionError("no portOffset has all its ports free")
