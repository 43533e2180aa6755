"""Free ports on 127.0.0.1."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

from runtime_observability.host.ports import is_free
from tests import configuration

_BELOW_EPHEMERAL = 32768  # Linux assigns ephemeral ports from here on
_reserved = ExitStack()
"""Sockets that hold the ports of this process's stacks, until it ends."""


def defaults() -> dict[str, int]:
    """The ports of Pulumi.yaml by key, as they are with portOffset 0."""
    return {key: port for key, port in configuration.defaults().items() if key.endswith("Port")}


def free_offset() -> int:
    """A portOffset whose ports are all free and that no other stack of the tests has.

    Neither one of this process nor one of another that runs tests on this machine, also while its
    stack is down.
    """
    candidates = list(range(200, _BELOW_EPHEMERAL - max(defaults().values()), 10))
    random.shuffle(candidates)
    for offset in candidates:
        wanted = [default + offset for default in defaults().values()]
        if all(map(is_free, wanted)) and _reserve(wanted):
            return offset
    raise AssertionError("no portOffset has all its ports free")


def _reserve(wanted: list[int]) -> bool:
    """Reserves all of these ports, or none.

    The name of an abstract socket (unix(7)) is one process's at a time, and leaves no file.
    """
    with ExitStack() as held:
        for port in wanted:
            mark = held.enter_context(socket.socket(socket.AF_UNIX))
            try:
                mark.bind(f"\0runtime-observability.test-port.{port}")
            except OSError:
                return False
        _reserved.push(held.pop_all())
    return True
