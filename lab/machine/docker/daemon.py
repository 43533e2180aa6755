"""A private Docker daemon that runs, or that ran: asked whether it answers, and stopped.

It works on the system's Python and a full disk, because `make clean` needs it.
"""

from __future__ import annotations

import http.client
import json
import socket
from urllib.parse import urlencode

from lab.errors import LabError
from lab.locks import exclusive
from lab.machine.docker import cgroups, kernel_settings, older, processes
from lab.machine.docker.files import Daemon

STOP_SECONDS = 30  # dockerd gives its containers 15


class NoDaemonError(LabError):
    """No Docker daemon can run on this machine, or this user cannot run one."""


def answers(daemon: Daemon) -> bool:
    """Whether the daemon's API answers a ping."""
    return _get(daemon, "/_ping") is not None


def labels(daemon: Daemon, name: str) -> list[str]:
    """Return the values that a label has on the daemon's containers; none if it does not run.

    Raises LabError if it runs and does not answer.
    """
    filters = urlencode({"all": 1, "filters": json.dumps({"label": [name]})})
    answer = _get(daemon, f"/containers/json?{filters}")
    if answer is None:
        if processes.running_pid(daemon.pid_file, daemon.config_file):
            raise LabError(
                "the private Docker daemon runs and does not answer. Run the same command again; "
                "if that does not help, run `make lab-stop` first"
            )
        return []
    return sorted({container["Labels"][name] for container in json.loads(answer)})


def _get(daemon: Daemon, path: str) -> bytes | None:
    """Return the body of an answer with code 200; it works where there is no docker command."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(5)
    try:
        connection.sock.connect(str(daemon.socket))
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read() if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def stop(daemon: Daemon) -> bool:
    """Stop the daemon with its containers; False if it was not running.

    Images, containers, volumes and networks stay in the data folder for the next start. What a
    killed daemon has left is removed too.
    """
    if not daemon.folder.exists():
        return False
    with exclusive(daemon.lock, "the private Docker daemon"):
        return end(daemon)


def end(daemon: Daemon) -> bool:
    """Do the work of `stop`, for a caller that holds the daemon's lock."""
    pid = processes.running_pid(daemon.pid_file, daemon.config_file)
    if pid:
        processes.end(pid, STOP_SECONDS)
    older.restore(daemon)
    kernel_settings.restore(daemon)
    for path in (daemon.pid_file, daemon.socket):
        path.unlink(missing_ok=True)
    cgroups.remove(daemon.cgroup)
    return pid is not None
