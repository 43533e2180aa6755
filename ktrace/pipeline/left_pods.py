"""The pods that killed probes left: nothing else would ever delete them."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from runtime_observability.host import api_server
from runtime_observability.host.api_server import ApiServer

PROCESS = "runtime-observability.probe/process"
"""The annotation that tells which process watches a pod: machine and process id."""
APP = "trace-probe"
"""The label ``app`` of each of them."""


def own_process() -> str:
    return f"{socket.gethostname()} {os.getpid()}"


def remove(api: ApiServer, pods: str) -> None:
    """Deletes those below the path ``pods`` whose process on this machine is gone.

    Pods that another machine's probe made stay, and nothing is said of a failure: a user may create
    pods and not list them, and the next probe looks again.
    """
    with suppress(*api_server.FAILURES, LookupError, TypeError):
        for pod in api.get(f"{pods}?labelSelector=app%3D{APP}")["items"]:
            if is_left(pod["metadata"].get("annotations") or {}):
                api.delete(f"{pods}/{pod['metadata']['name']}", gracePeriodSeconds=0)


def is_left(annotations: Mapping[str, Any]) -> bool:
    """Whether the process that they name was one of this machine and does not run any more."""
    machine, _, process = str(annotations.get(PROCESS, "")).rpartition(" ")
    if machine != socket.gethostname() or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it is another user's, or no number of a process
        pass
    return False
