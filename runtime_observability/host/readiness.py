"""Waits until a container answers over HTTP: run with ``python -m``.

Reads ``{"container", "url", "seconds"}`` on stdin and prints ``{"seconds"}``; an error has the end
of the container's log.
"""

from __future__ import annotations

import json
import sys
import time

from runtime_observability.host import runner
from runtime_observability.host.http import httpx

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
    begin = time.monotonic()
    last = "no answer"
    while (waited := time.monotonic() - begin) < seconds:
        try:
            response = httpx.get(url, timeout=2, trust_env=False)  # no proxy for 127.0.0.1
            if response.status_code == httpx.codes.OK:
                return waited
            last = f"HTTP {response.status_code}"
        except httpx.HTTPError as error:
            last = str(error) or type(error).__name__
        refuse_a_stopped_container(container)
        time.sleep(0.1)
    raise runner.CommandError(
        f"container {container} is running, but {url} did not return 200 within {seconds:g} s "
        f"(last: {last}). End of its log:\n{_log(container)}"
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
            f"End of its log:\n{_log(container)}"
        )


def _log(container: str) -> str:
    logs = runner.run(["docker", "logs", "--tail", "15", container])
    text = (logs.stdout + logs.stderr).strip()
    return f"{text}\n{_WITHOUT_TAIL_SAMPLING}" if _UNKNOWN_TAIL_SAMPLING in text else text


def main() -> int:
    request = json.load(sys.stdin)
    try:
        waited = wait(request["container"], request["url"], request["seconds"])
    except runner.CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"seconds": round(waited, 2)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
