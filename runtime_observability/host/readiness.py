"""Waits until a container serves: run with ``python -m``.

Reads ``{"container", "seconds"}`` on stdin, and either ``"url"``, which answers 200 then, or
``"command"``, which then ends with 0 in the container. It prints ``{"seconds"}``; an error has what
the container's log tells. The file ``"note"``, if one is named, has the container's id then.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from runtime_observability.core import container_log, crashes
from runtime_observability.host import docker, runner
from runtime_observability.host.files import write_private
from runtime_observability.host.http import httpx

_TAIL = "2000"
"""Lines: Go ends with hundreds for its threads, after the one that says why."""
_UNKNOWN_TAIL_SAMPLING = 'unknown type: "tail_sampling"'
_WITHOUT_TAIL_SAMPLING = (
    "Its image lacks the processor tail_sampling, which every preset of `tracing` but everything "
    "needs: name an image of the contrib distribution in collectorImage, leave collectorImage out, "
    "or run `pulumi config set tracing everything`"
)


def wait(container: str, url: str, seconds: float) -> float:
    """Waits at most ``seconds`` for ``url`` to answer 200; returns the seconds that it took.

    Raises CommandError when ``container`` stops or the time is up.
    """

    def fault() -> str:
        try:
            response = httpx.get(url, timeout=2, trust_env=False)  # no proxy for 127.0.0.1
        except httpx.HTTPError as error:
            return str(error) or type(error).__name__
        return "" if response.status_code == httpx.codes.OK else f"HTTP {response.status_code}"

    return _wait(container, fault, f"{url} did not return 200", seconds)


def wait_for_command(container: str, command: Sequence[str], seconds: float) -> float:
    """Waits at most ``seconds`` for ``command`` to succeed in ``container``, which publishes no
    port; returns the seconds that it took.

    Raises CommandError when ``container`` stops or the time is up.
    """

    def fault() -> str:
        ran = runner.run(["docker", "exec", container, *command])
        said = (ran.stderr or ran.stdout).strip().splitlines()
        return (said[-1] if said else f"exit code {ran.code}") if ran.code else ""

    return _wait(container, fault, f"`{shlex.join(command)}` in it did not succeed", seconds)


def _wait(container: str, fault: Callable[[], str], what: str, seconds: float) -> float:
    """``fault`` is why it does not serve yet; empty if it does."""
    begin = time.monotonic()
    last = "no answer"
    while (waited := time.monotonic() - begin) < seconds:
        last = fault()
        if not last:
            return waited
        refuse_a_stopped_container(container)
        time.sleep(0.1)
    raise runner.CommandError(
        f"container {container} is running, but {what} within {seconds:g} s (last: {last}). Its "
        f"log:\n{_log(container)}"
    )


def refuse_a_stopped_container(container: str) -> None:
    """Raises CommandError for a container that stopped or keeps restarting.

    The restart policy ``unless-stopped`` restarts a failing container again and again.
    """
    state = runner.run(
        ["docker", "inspect", "--format", "{{.State.Status}} {{.RestartCount}}", container]
    ).checked()
    status, restarts = state.split()
    if status not in ("running", "created") or int(restarts) > 1:
        raise runner.CommandError(
            f"container {container} does not keep running ({status}, restarted {restarts} times). "
            f"Its log:\n{_log(container)}"
        )


def _log(container: str) -> str:
    logs = runner.run(["docker", "logs", "--tail", _TAIL, container])
    text = container_log.telling(logs.stdout + logs.stderr)
    if crashes.lacks_room(text):
        return f"{text}\nIt could not write a file, as where a disk is full. {crashes.MAKE_ROOM}"
    return f"{text}\n{_WITHOUT_TAIL_SAMPLING}" if _UNKNOWN_TAIL_SAMPLING in text else text


def _id(container: str) -> str:
    return next((found.id for found in docker.containers() if found.name == container), "")


def main() -> int:
    request = json.load(sys.stdin)
    try:
        if "command" in request:
            waited = wait_for_command(request["container"], request["command"], request["seconds"])
        else:
            waited = wait(request["container"], request["url"], request["seconds"])
        if "note" in request:
            write_private(Path(request["note"]), f"{_id(request['container'])}\n")
    except (runner.CommandError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"seconds": round(waited, 2)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
