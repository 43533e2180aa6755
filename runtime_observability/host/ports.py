"""Checks whether a port of 127.0.0.1 is free. Standard library only: the lab uses it too."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path

_PROCESSES = Path("/proc")
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def is_free(port: int, protocol: str = "tcp") -> bool:
    """Whether no process has ``port`` of 127.0.0.1 or of all addresses; tcp or udp."""
    with socket.socket(socket.AF_INET, _KINDS[protocol]) as probe:
        if protocol == "tcp":  # with it, UDP sockets could share the port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            return True  # below 1024: this user may not bind it, but Docker may
        except OSError:
            return False
    return True


def is_published_by_docker(port: int, protocol: str = "tcp") -> bool:
    """Whether a process of Docker's has ``port``: its docker-proxy, on this machine's Linux.

    A dockerd that is killed while it starts a container can leave one to the next dockerd (seen
    with 20.10.24), although no container publishes the port any more.
    """
    wanted = {"-proto": protocol, "-host-port": str(port)}
    for process in _PROCESSES.glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has ended
            continue
        options = dict(itertools.pairwise(words))
        if all(options.get(name) == value for name, value in wanted.items()):
            return True
    return False
