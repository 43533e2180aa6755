"""Reads which of a stack's containers ended by themselves, from Docker. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from runtime_observability.core import container_log
from runtime_observability.core.crashes import COLLECTOR, JAEGER, OPEN_SEARCH, Crashes
from runtime_observability.core.naming import ClusterNames
from runtime_observability.host import lives as lives_of
from runtime_observability.host import runner
from runtime_observability.host.lives import Life

_LAST_WORDS = timedelta(seconds=5)
"""How long before its end what a container logs tells of it."""
_TAIL = "5000"
"""Lines: Go ends with hundreds for its threads, after the one that says why."""


def parts(names: ClusterNames) -> dict[str, str]:
    """The containers of a stack that keep or pass on traces: what runs in each, by name."""
    return {names.jaeger: JAEGER, names.open_search: OPEN_SEARCH, names.collector: COLLECTOR}


def read(names: ClusterNames) -> tuple[Crashes, ...]:
    """Those of a stack's containers that Docker has started again.

    A container that does not exist has none. Raises CommandError where Docker cannot be asked.
    """
    return among(lives_of.read(*parts(names)), names)


def among(lives: Mapping[str, Life], names: ClusterNames) -> tuple[Crashes, ...]:
    """As ``read``, of containers whose ``lives`` are known, by name."""
    return tuple(
        _crashes(life, of)
        for name, of in parts(names).items()
        if (life := lives.get(name)) and life.restarts
    )


def why_down(jaeger: str) -> str:
    """Why the Jaeger of that name does not keep running; empty if it has not ended by itself, or
    that is not known."""
    try:
        life = lives_of.read(jaeger).get(jaeger)
        return str(_crashes(life, JAEGER)) if life and life.restarts else ""
    except (runner.CommandError, ValueError, LookupError, TypeError):
        return ""


def _crashes(life: Life, of: str) -> Crashes:
    is_down = life.state == "restarting"
    code, out_of_memory = (life.exit_code, life.out_of_memory) if is_down else (None, False)
    for exit_code, of_memory in _ends(life.name):
        code, out_of_memory = exit_code, of_memory or (is_down and out_of_memory)
    # One that Docker has started again has ended.
    ended = life.ended or life.started
    return Crashes(
        of,
        life.name,
        life.restarts,
        life.created,
        ended,
        None if is_down else life.started,
        code,
        out_of_memory,
        _said(life.name, ended),
        in_memory=of == JAEGER and not life.store,
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
