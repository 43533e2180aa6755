"""One run at a time changes a stack's cluster."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime_observability.core.naming import Names
from runtime_observability.host import runner
from runtime_observability.host.progress import log

_SECONDS = 300
_NAME = "cluster.lock"


class LockError(runner.CommandError):
    """This run may not change the cluster: nothing is known to be wrong with that."""


@contextmanager
def locked(names: Names) -> Iterator[int]:
    """Holds the cluster's lock; yields its file descriptor.

    k3d inherits the descriptor, so the lock is held as long as k3d runs, even if its run is killed.
    A killed run leaves ``cluster.busy``, which the delete scripts read: they cannot read a lock.
    Raises LockError when another run holds the lock for too long, and when the stack was
    destroyed meanwhile.
    """
    names.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    busy = names.directory / "cluster.busy"
    descriptor = os.open(_path(names), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + _SECONDS
        announced = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LockError(
                        f"another run has held the lock of cluster {names.cluster} for more than "
                        f"{_SECONDS} s: stop it (`pgrep -af k3d` lists it), then run again"
                    ) from None
                if not announced:
                    log(f"waiting for another run on cluster {names.cluster} to finish")
                announced = True
                time.sleep(0.5)
        if not _is_current(names, descriptor):
            raise LockError(
                f"the stack of cluster {names.cluster} was destroyed while this run waited"
            )
        busy.touch(mode=0o600)
        try:
            yield descriptor
        finally:
            if not is_superseded(names, descriptor):
                busy.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def is_held(directory: Path) -> bool:
    """Whether a run holds the lock of the cluster of the stack's own folder ``directory``."""
    try:
        descriptor = os.open(directory / _NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def is_superseded(names: Names, lock: int) -> bool:
    """Whether a later run has a lock of its own: a destroy has removed this one's file meanwhile.

    A cluster of that name may then be the later run's.
    """
    return _path(names).exists() and not _is_current(names, lock)


def _is_current(names: Names, lock: int) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), _path(names).stat())
    except FileNotFoundError:
        return False


def _path(names: Names) -> Path:
    return names.directory / _NAME
