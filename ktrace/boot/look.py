"""Reads what Docker, the nodes' logs, the cluster, Jaeger and Pulumi know of a stack's boot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from ktrace.api import Api
from ktrace.boot import containers, node_log, objects, traces
from ktrace.boot.build import build
from ktrace.boot.model import DOCKER, PULUMI, READY, Boot, Mark, NodeStart
from ktrace.jaeger import Jaeger, JaegerError
from ktrace.jaeger.api import OR_ANOTHER
from ktrace.podstart import cluster
from ktrace.target import stack as stacks
from ktrace.text import clean, cleaned
from runtime_observability.host import api_server, lives
from runtime_observability.host.lives import Life
from runtime_observability.host.runner import CommandError

_REGISTERED, _OBJECT = "kubelet has registered its node", "node object created"
_SECOND = timedelta(seconds=1)
_SAME_CLOCK = 2.0
"""Seconds between two clocks that count as one: Pulumi knows times to the second."""


_Update = tuple[datetime, datetime | None]
"""When one of Pulumi's began, and when it ended, to the second."""


@dataclass
class _Found:
    marks: list[Mark] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def look(
    cluster_name: str, stack: str | None, kubeconfig: Path | None, jaeger: Jaeger | str
) -> Boot:
    """The last boot of the stack's cluster; ``jaeger`` is one, or why there is none.

    What cannot be read is named in it. Raises CommandError if Docker cannot be reached.
    """
    found = _Found()
    names = containers.nodes_of(cluster_name)
    known = lives.read(*names) if names else {}
    nodes = [known[name] for name in names if name in known]
    starts = [NodeStart(n.name, n.created, n.started, n.again) for n in nodes if n.runs]
    if not starts:
        why = "no node runs" if nodes else "Docker has none of its nodes"
        return build(cluster_name, (), (), ready=None, missing=(f"cluster {cluster_name}: {why}",))
    found.missing += [f"node {node.name}: it does not run" for node in nodes if not node.runs]
    again = [start.started for start in starts if start.again]
    begin = min(again or [start.started for start in starts])
    differs = _clock_differs()
    created = min(again or [start.created for start in starts])
    update = None if differs else stacks.update_around(stack, created)
    until = _end(update, begin)
    starts = [
        replace(start, in_boot=begin <= start.started <= until and _was_there(start, again))
        for start in starts
    ]
    of_boot = {start.name for start in starts if start.in_boot}
    if not again:
        _read_stack(found, cluster_name, [start for start in starts if start.in_boot], update)
    if differs:
        found.missing.append(differs)
    else:
        _read_pulumi(found, update, again=bool(again))
    for node in nodes:
        if node.name in of_boot:
            _read_node(found, node, again=bool(again))
    with cluster.connected(kubeconfig) as api:
        ready = _read_objects(found, api, starts, until)
    _read_spans(found, jaeger, begin)
    for start in starts:
        if not start.in_boot:
            found.notes.append(
                f"node {start.name} is no part of this boot: it was started at "
                f"{start.started:%Y-%m-%d %H:%M:%S} UTC"
            )
        elif start.again:
            found.notes.append(
                f"node {start.name} was created at {start.created:%Y-%m-%d %H:%M:%S} UTC and has "
                "been started again since: this is the boot of its last start"
            )
    return build(
        cluster_name, starts, found.marks, ready=ready, missing=found.missing, notes=found.notes
    )


def _clock_differs() -> str:
    """Why Pulumi's times are not those of the other sources; empty where they are.

    Pulumi runs here, and Docker may be on another machine, or in one that has slept.
    """
    ahead = containers.clock_ahead().total_seconds()
    if abs(ahead) < _SAME_CLOCK:
        return ""
    how = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'}"
    return f"the times of Pulumi: the clock of Docker's machine is {how} this machine's"


def _end(update: _Update | None, begin: datetime) -> datetime:
    """Until when a node's start is a part of the boot that began so: an `up` waits for its end."""
    if update is None:
        return begin + containers.LONGEST
    _, ended = update
    return ended + _SECOND if ended else datetime.max.replace(tzinfo=UTC)


def _was_there(node: NodeStart, again: Sequence[datetime]) -> bool:
    """Whether it can be a part of a boot: that of a restart has the nodes that were there."""
    return not again or node.created < min(again)


def _read_stack(
    found: _Found, cluster_name: str, nodes: Sequence[NodeStart], update: _Update | None
) -> None:
    """The network, Jaeger and the collector: those of the nodes' first start.

    What an earlier `up` made is no part of the boot: the cluster was made again later.
    """
    last = max(node.started for node in nodes)
    first = update[0] if update else min(node.created for node in nodes) - containers.LONGEST
    created = containers.network_created(cluster_name)
    if created and created >= first:
        found.marks.append(Mark(created, "network created", DOCKER))
    earlier = ["the network"] if created and created < first else []
    backends = {f"{cluster_name}-{name}": name for name in ("jaeger", "collector")}
    for life in lives.read(*backends).values():
        name = backends[life.name]
        if life.created < first:
            earlier.append(name)
            continue
        if life.created > last:
            found.missing.append(f"the first {name} of the stack: another took its place later")
            continue
        found.marks += _of_life(life, name)
        if life.again:
            found.missing.append(f"the first start of {name}: it has been started again since")
    if earlier:
        found.notes.append(f"there before this boot: {', '.join(earlier)}")


def _of_life(life: Life, name: str, node: str = "") -> Iterator[Mark]:
    yield Mark(life.created, f"{name} created", DOCKER, node)
    if life.runs and not life.again:
        yield Mark(life.started, f"{name} started", DOCKER, node)


def _read_pulumi(found: _Found, update: _Update | None, *, again: bool) -> None:
    """The update within which it was; a restart needs none."""
    if update is None:
        if not again:
            found.missing.append("the `pulumi up` that made the cluster: Pulumi's history has none")
        return
    began, ended = update
    found.marks.append(Mark(began, "pulumi up begins", PULUMI))
    if ended:
        found.marks.append(Mark(ended, "pulumi up has ended", PULUMI))


def _read_node(found: _Found, node: Life, *, again: bool) -> None:
    if not node.runs:
        return
    if not again:
        found.marks += _of_life(node, "node", node.name)
    else:
        found.marks.append(Mark(node.started, "node started", DOCKER, node.name))
    try:
        marks = node_log.marks_of(containers.log_of(node), node.name)
    except CommandError as error:
        found.missing.append(f"the log of {node.name}: {clean(str(error))}")
        return
    found.marks += marks
    if not marks:
        found.missing.append(f"the lines of {node.name}'s log: none that is known is in it")


def _read_objects(
    found: _Found, api: Api | str, nodes: Sequence[NodeStart], until: datetime
) -> bool | None:
    """Whether every node is Ready. What was after ``until`` is no part of the boot."""
    if isinstance(api, str):
        found.missing.append("the nodes' objects: no kubeconfig is known")
        return None
    states: list[bool | None] = []
    registered = {mark.node for mark in found.marks if mark.what == _REGISTERED}
    for node in nodes:
        try:
            document = cleaned(api.get(f"/api/v1/nodes/{quote(node.name, safe='')}"))
        except api_server.FAILURES as error:
            found.missing.append(f"object of {node.name}: {clean(api_server.reason(error))}")
            states.append(None)
            continue
        marks, ready = objects.marks_of(document, node.name)
        states.append(ready)
        if not node.in_boot:
            continue
        found.marks += [
            mark
            for mark in marks
            if mark.at <= until and (mark.what != _OBJECT or node.name not in registered)
        ]
        since = next((mark.at for mark in marks if mark.what == READY), None)
        if ready and since and since > until:
            found.notes.append(
                f"when {node.name} was Ready first is not known: its condition is of "
                f"{since:%Y-%m-%d %H:%M:%S} UTC"
            )
        if ready and since and since + _SECOND <= node.started:
            found.notes.append(
                f"when {node.name} was Ready again is not known: its condition is that of before"
            )
    return None if None in states else all(states)


def _read_spans(found: _Found, jaeger: Jaeger | str, begin: datetime) -> None:
    if isinstance(jaeger, str):
        found.missing.append(f"spans of the boot: {jaeger}")
        return
    try:
        marks = list(traces.marks_since(jaeger, begin))
    except JaegerError as error:
        found.missing.append(f"spans of the boot: {clean(str(error)).removesuffix(OR_ANOTHER)}")
        return
    serves = min((mark.at for mark in found.marks if mark.what == node_log.SERVES), default=None)
    first = min((mark.at for mark in marks), default=None)
    if first is None:
        found.missing.append("spans of the boot: Jaeger has none of its first ten minutes")
    elif serves is None:
        found.missing.append("spans of the boot: no log tells whether Jaeger still has the first")
    elif first > serves:  # the API server traces from before it serves
        found.missing.append(
            "spans of the boot: Jaeger has none from before the API server served, so the first "
            "may be gone"
        )
    else:
        found.marks += marks
