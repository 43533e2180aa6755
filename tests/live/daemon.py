"""The lab's private Docker daemon, killed and started again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from lab.machine.docker import daemon, start
from lab.machine.docker.files import Daemon
from lab.paths import Cache
from tests.live.waiting import until

START_SECONDS = 90.0


def is_used() -> bool:
    """Whether DOCKER_HOST names the private daemon, as it does in `make test` and `make soak`.

    No other daemon may be killed: its containers belong to others.
    """
    return os.environ.get("DOCKER_HOST") == _private().host


def kill_and_restart() -> None:
    """Kills dockerd, and with it every container of it, as a power cut does.

    Docker starts those again that have a restart policy.
    """
    os.kill(_dockerd(), signal.SIGKILL)
    until("the end of dockerd", lambda: not daemon.answers(_private()), 10, every=0.05)
    start.ensure(Cache.of_this_user())
    until("the private daemon", lambda: daemon.answers(_private()), START_SECONDS)


def _private() -> Daemon:
    return Daemon(Cache.of_this_user().docker)


def _dockerd() -> int:
    """The process id of dockerd on the host: its own pid file has the one in its namespace."""
    wanted = [b"dockerd", b"--config-file", str(_private().config_file).encode()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if words[: len(wanted)] == wanted:
            return int(process.name)
    raise AssertionError("no dockerd of the private daemon runs")
