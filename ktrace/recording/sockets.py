"""What a socket has to say, without waiting for it."""

from __future__ import annotations

import select
import socket


def is_readable(connection: socket.socket) -> bool:
    """Whether bytes have arrived, or the other side has ended the connection."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
