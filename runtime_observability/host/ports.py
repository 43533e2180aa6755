"""Whether a port of 127.0.0.1 can be had. Standard library alone: the lab asks too."""

from __future__ import annotations

import socket


def is_free(port: int) -> bool:
    """Whether nobody listens on TCP ``port`` of 127.0.0.1, or of all addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            return True  # a port below 1024, which Docker may bind and this user may not
        except OSError:
            return False
    return True
