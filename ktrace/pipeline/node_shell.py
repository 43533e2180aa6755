"""Tries the network from inside a node, with ``docker exec``."""

from __future__ import annotations

from dataclasses import dataclass

from ktrace.text import clean
from runtime_observability.host import runner

CONNECT_SECONDS = 4
_EXEC_SECONDS = 15
_NO_TOOL = 99
_RESOLVE = f"""
if command -v getent >/dev/null; then getent hosts "$1"
elif command -v nslookup >/dev/null; then nslookup "$1"
elif command -v ping >/dev/null; then ping -c 1 -W 3 "$1"
else exit {_NO_TOOL}; fi
"""
_CONNECT = f"""
if command -v bash >/dev/null
then timeout {CONNECT_SECONDS} bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash "$1" "$2"
elif command -v nc >/dev/null; then nc -z -w {CONNECT_SECONDS} "$1" "$2" </dev/null
else exit {_NO_TOOL}; fi
"""
"""k3s' own images have busybox, others have bash: the scripts use the tools that are there."""


@dataclass(frozen=True)
class Failure:
    reason: str
    """The last line that was printed; may be empty."""
    of_node: bool
    """Whether nothing could be run in the node at all."""


def resolve(node: str, name: str) -> Failure | None:
    """Why ``node`` cannot resolve ``name``; None when it can, or has no tool to try it."""
    return _run(node, _RESOLVE, name)


def connect(node: str, name: str, port: int) -> Failure | None:
    """Why ``node`` cannot open a TCP connection; None when it can, or has no tool to try it."""
    return _run(node, _CONNECT, name, str(port))


def _run(node: str, script: str, *arguments: str) -> Failure | None:
    command = ["docker", "exec", node, "sh", "-c", script, "sh", *arguments]
    try:
        result = runner.run(command, timeout=_EXEC_SECONDS)
    except runner.CommandError:
        return Failure(f"node {node} does not answer within {_EXEC_SECONDS} s", of_node=True)
    if result.code in (0, _NO_TOOL):
        return None
    # Docker's own errors begin with Error, the scripts' tools' do not.
    *_, reason = ["", *result.stderr.splitlines()]
    return Failure(clean(reason), of_node=result.stderr.startswith("Error"))
