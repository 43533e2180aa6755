"""The lines of a node's log that tell of its boot: those that every k3s writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from ktrace.boot.model import LOG, Mark

SERVES = "API server serves"
_API_SERVER, _CONTROLLERS, _SCHEDULER = (6443, 6444), (10257,), (10259,)
_SERVING = re.compile(r"Serving securely on \S*:(\d+)\s*$")
"""k8s.io/apiserver's line, of every component that serves; k3s' API server is on 6444 behind its
own server on 6443."""
_LINES = (
    (re.compile(r'msg="Running kube-apiserver '), "API server begins"),
    (re.compile(r'msg="Running kube-controller-manager '), "controllers begin"),
    (re.compile(r'msg="Running kube-scheduler '), "scheduler begins"),
    (re.compile(r'msg="k3s is up and running"'), "k3s is up and running"),
    (re.compile(r'msg="Running containerd '), "containerd begins"),
    (re.compile(r'msg="[Cc]ontainerd is now running"'), "containerd answers"),
    (re.compile(r'msg="Running kubelet '), "kubelet begins"),
    (re.compile(r'"Successfully registered node"'), "kubelet has registered its node"),
)
"""k3s' own lines and one of the kubelet's: seen with v1.27.1+k3s1 and v1.34.3+k3s1 and in reports
about others. What other distributions write is not known."""
_PORTS = {
    **dict.fromkeys(_API_SERVER, SERVES),
    **dict.fromkeys(_CONTROLLERS, "controllers serve"),
    **dict.fromkeys(_SCHEDULER, "scheduler serves"),
}


def marks_of(text: str, node: str) -> list[Mark]:
    """The first line of each kind; ``text`` is what ``docker logs --timestamps`` prints."""
    found: dict[str, Mark] = {}
    for line in text.splitlines():
        at, what = _read(line)
        if at and what and (what not in found or at < found[what].at):
            found[what] = Mark(at, what, LOG, node)
    return sorted(found.values(), key=lambda mark: mark.at)


def _read(line: str) -> tuple[datetime | None, str]:
    stamp, _, said = line.partition(" ")
    what = next(_kinds(said), "")
    if not what:
        return None, ""
    try:
        return datetime.fromisoformat(stamp), what
    except ValueError:
        return None, ""


def _kinds(said: str) -> Iterator[str]:
    if served := _SERVING.search(said):
        yield from filter(None, [_PORTS.get(int(served[1]))])
    yield from (what for pattern, what in _LINES if pattern.search(said))
