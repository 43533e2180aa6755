"""Waits until a container serves, or says why it does not: a program for ``python -m``."""

from __future__ import annotations

import json
import sys
import time

import httpx

from runtime_observability.host import runner


def wait(container: str, url: str, seconds: float) -> float:
    """Seconds until ``url`` answered 200; CommandError when ``container`` stops or time is up."""
    begin = time.monotonic()
    seen = "no answer"
    while (waited := time.monotonic() - begin) < seconds:
        try:
            answer = httpx.get(url, timeout=2, trust_env=False)  # no proxy for 127.0.0.1
            if answer.status_code == httpx.codes.OK:
                return waited
            seen = f"HTTP {answer.status_code}"
        except httpx.HTTPError as error:
            seen = str(error) or type(error).__name__
        refuse_a_stopped_container(container)
        time.sleep(0.1)
    raise runner.CommandError(
        f"container {container} runs, but {url} did not answer 200 within {seconds:g} s ({seen}). "
        f"Its log says:\n{_log(container)}"
    )


def refuse_a_stopped_container(container: str) -> None:
    """``unless-stopped`` starts a failing container again and again: that is a failure too."""
    state = runner.run(
        ["docker", "inspect", "--format", "{{.State.Status}} {{.RestartCount}}", container]
    ).checked()
    status, restarts = state.split()
    if status not in ("running", "created") or int(restarts) > 1:
        raise runner.CommandError(
            f"container {container} does not stay up ({status}, started again {restarts} times). "
            f"Its log says:\n{_log(container)}"
        )


def _log(container: str) -> str:
    logs = runner.run(["docker", "logs", "--tail", "15", container])
    return (logs.stdout + logs.stderr).strip()


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
