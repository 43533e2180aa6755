"""Checks whether a port of 127.0.0.1 is free. Standard library only: the lab uses it too."""

from __future__ import annotations

import socket


def is_free(port: int) -> bool:
    """Whether no process listens on TCP ``port`` of 127.0.0.1 or of all addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            return True  # below 1024: this user may not bind it, but Docker may
        except OSError:
            return False
    return True
