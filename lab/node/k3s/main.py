"""The command line of k3s, as far as k3d and its entrypoint use it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import NoReturn

from . import command_line, control_plane, pod_network, worker
from .certificates import make_authority
from .node import Node
from .processes import STOP_SECONDS, Components, FatalError, log


def serve(node: Node, token: str) -> None:
    """Run a server or an agent until SIGTERM arrives or a component ends."""
    Path("/run/k3s").mkdir(exist_ok=True)
    make_authority(token)
    components = Components()
    try:
        if node.is_server:
            control_plane.start(node, components)
            control_plane.announce()
        worker.start(node, components)
        threading.Thread(target=pod_network.follow_nodes, args=[node], daemon=True).start()
        components.wait_until(lambda: False)
    except FatalError:
        components.stop(grace_seconds=0)
        raise
    except SystemExit:
        components.stop(STOP_SECONDS)
        raise


def end(number: int, frame: FrameType | None) -> NoReturn:
    """Turn SIGTERM into an orderly end."""
    raise SystemExit(0)


def main() -> None:
    """Run the command; a failure ends with the last line of k3s, `level=fatal`, and exit code 1."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["kubectl"]:
        os.execvp("kubectl", arguments)  # noqa: S606
    signal.signal(signal.SIGTERM, end)
    try:
        options = command_line.parse(arguments)
        command_line.refuse_the_unknown()
        first, token = os.environ.get("K3S_URL", ""), os.environ.get("K3S_TOKEN")
        own = f"https://127.0.0.1:{control_plane.API_PORT}" if options.role == "server" else ""
        server = own or first
        if not server:
            raise FatalError("--server is required: K3S_URL is not set")
        if not token:
            raise FatalError(
                "K3S_TOKEN is not set: the nodes of a cluster recognise each other by it"
            )
        serve(Node.here(options, server, joins=first if own else ""), token)
    except FatalError as fatal:
        log("fatal", str(fatal))
        sys.exit(1)
