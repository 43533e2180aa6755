"""Free ports on 127.0.0.1."""

from __future__ import annotations

import random

from runtime_observability.host.ports import is_free
from tests import configuration

_BELOW_EPHEMERAL = 32768  # Linux assigns ephemeral ports from here on
_given: set[int] = set()


def defaults() -> dict[str, int]:
    """The ports of Pulumi.yaml by key, as they are with portOffset 0."""
    return {key: port for key, port in configuration.defaults().items() if key.endswith("Port")}


def free_offset() -> int:
    """A portOffset whose ports are all free and that no other stack of this run uses."""
    candidates = list(range(200, _BELOW_EPHEMERAL - max(defaults().values()), 10))
    random.shuffle(candidates)
    for offset in candidates:
        taken = {default + offset for default in defaults().values()}
        if not taken & _given and all(map(is_free, taken)):
            _given.update(taken)
            return offset
    raise AssertionError("no portOffset has all its ports free")
