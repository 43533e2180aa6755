"""Reads which of a stack's containers ended by themselves, from Docker. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from runtime_observability.core import container_log, naming
from runtime_observability.core.crashes import COLLECTOR, JAEGER, OPEN_SEARCH, Crashes
from runtime_observability.core.naming import ClusterNames
from runtime_observability.host import runner

_FORMAT = (
    '{"name":{{json .Name}},"created":{{json .Created}},"restarts":{{.RestartCount}},'
    '"state":{{json .State.Status}},"code":{{.State.ExitCode}},"oom":{{.State.OOMKilled}},'
    '"started":{{json .State.StartedAt}},"ended":{{json .State.FinishedAt}},'
    f'"store":{{{{json (index .Config.Labels "{naming.STORE_LABEL}")}}}}}}'
)
_LAST_WORDS = timedelta(seconds=5)
"""How long before its end what a container logs tells of it."""
_TAIL = "5000"
"""Lines: Go ends with hundreds for its threads, after the one that says why."""


def read(names: ClusterNames) -> tuple[Crashes, ...]:
    """Those of a stack's containers that Docker has started again.

    A container that does not exist has none. Raises CommandError where Docker cannot be asked.
    """
    return _of({names.jaeger: JAEGER, names.open_search: OPEN_SEARCH, names.collector: COLLECTOR})


def why_down(jaeger: str) -> str:
    """Why the Jaeger of that name does not keep running; empty if it has not ended by itself, or
    that is not known."""
    try:
        return "".join(map(str, _of({jaeger: JAEGER})))
    except (runner.CommandError, ValueError, LookupError, TypeError):
        return ""


def _of(of: Mapping[str, str]) -> tuple[Crashes, ...]:
    """Of containers, by what runs in each."""
    shown = runner.run(["docker", "inspect", "--format", _FORMAT, *of])
    lives = [json.loads(line) for line in shown.stdout.splitlines() if line.startswith("{")]
    return tuple(
        _crashes(life, of[name])
        for life in lives
        if life["restarts"] and (name := life["name"].lstrip("/")) in of
    )


def _crashes(life: dict[str, str | int | bool], of: str) -> Crashes:
    name = str(life["name"]).lstrip("/")
    created, started, ended = (
        datetime.fromisoformat(str(life[key])) for key in ("created", "started", "ended")
    )
    is_down = life["state"] == "restarting"
    code, out_of_memory = (int(life["code"]), bool(life["oom"])) if is_down else (None, False)
    for exit_code, of_memory in _ends(name):
        code, out_of_memory = exit_code, of_memory or (is_down and out_of_memory)
    return Crashes(
        of,
        name,
        int(life["restarts"]),
        created,
        ended,
        None if is_down else started,
        code,
        out_of_memory,
        _said(name, ended),
        in_memory=of == JAEGER and not life["store"],
    )


def _ends(name: str) -> Iterator[tuple[int, bool]]:
    """The exit code of each end that Docker remembers, and whether its memory limit was reached.

    It remembers its last 256 events (moby daemon/events/events.go).
    """
    events = ["docker", "events", "--since", "24h", "--until", "0s"]
    wanted = ["--filter", f"container={name}", "--filter", "event=die", "--filter", "event=oom"]
    shown = ["--format", "{{.Action}} {{.Actor.Attributes.exitCode}}"]
    of_memory = False
    for line in runner.run([*events, *wanted, *shown]).stdout.splitlines():
        action, _, code = line.partition(" ")
        if action == "die" and code.isdecimal():
            yield int(code), of_memory
            of_memory = False
        elif action == "oom":
            of_memory = True


def _said(name: str, ended: datetime) -> str:
    since, until = ended - _LAST_WORDS, ended + timedelta(milliseconds=200)
    period = ["--since", since.isoformat(), "--until", until.isoformat()]
    logs = runner.run(["docker", "logs", "--tail", _TAIL, *period, name])
    return container_log.last_fault(logs.stdout + logs.stderr)
