"""Checks whether a port of 127.0.0.1 is free. Standard library only: the lab uses it too."""

from __future__ import annotations

import socket

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
