"""A rollout in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rich.table import Table
from rich.text import Text

from ktrace.brief import brief, clause
from ktrace.rollout import verdict as verdicts
from ktrace.rollout.kinds import DEPLOYMENT, JOB
from ktrace.rollout.model import Held, Link, OtherPod, Part, RolledPod, Rollout, State, Write
from ktrace.rollout.verdict import Verdict
from ktrace.view.lines import Cell
from ktrace.view.terminal import counted, duration, milliseconds
from ktrace.view.waterfall import bar_width

MOST = 20
"""Pods that a terminal shows; a pipe gets all."""
_LONGEST, _SHORTEST = 3, timedelta(seconds=30)
"""Of the axis, if something goes on: so many times as long as all that has ended, but not less."""
_NARROW = 80
"""Columns below which a length may take two lines."""
_GAP, _STEP, _SHORTEST_BARS = 2, 24, 12
"""Columns between two of a table, for the slowest step at least, and for bars at least."""
_STYLES = {State.READY: "green", State.SUCCEEDED: "green", State.FAILED: "red"}
_UNDONE = (State.NOT_READY, State.STARTING, State.FAILED)


def title(rollout: Rollout) -> str:
    """Whether it is done, how long it took, and which pod held it up."""
    found = verdicts.of(rollout)
    return f"{rollout.what}: {_state(rollout, found)}"


def _state(rollout: Rollout, found: Verdict) -> str:
    workload = rollout.workload
    if workload and workload.kind is JOB and workload.has("Complete"):
        done = f"complete, {counted(found.done, 'pod')} succeeded"
    elif found.wanted is None:
        done = f"{counted(len(rollout.pods), 'pod')} seen"
    elif not found.wanted and not found.done:
        done = "no pod wanted"
    else:
        done = f"{found.done} of {counted(found.wanted, 'pod')} {found.word}"
    parts = [done]
    if found.took is not None:
        before = any(pod.part is not Part.NEW for pod in rollout.pods)
        new = sum(pod.part is Part.NEW for pod in rollout.pods)
        which = f", {new} of them new," if before else ""
        parts[0] += f"{which} in {length(found.took, exact=found.exact)}"
    if found.held:
        parts.append(f"held up {_held_up(rollout, found.held)}")
    elif found.ok and (slowest := verdicts.slowest(rollout)):
        pod, held = slowest
        step = f" ({_step(held)})" if held else ""
        parts.append(f"the slowest start: {name_of(rollout, pod)}, {took(pod)}{step}")
    if found.obstacle:
        parts.append(clause(found.obstacle))
    if found.waits and not found.ok:
        first = found.waits[0]
        why = first.held.step if first.held and first.held.goes_on else first.why
        told = f" ({clause(why)})" if why else ""
        parts.append(f"waits for {name_of(rollout, first)}{told}")
    return "; ".join(parts)


def _held_up(rollout: Rollout, link: Link) -> str:
    """What took most of the time from the write to the last Ready pod."""
    parts = sum(bool(other.pod) for other in rollout.chain)
    more = f", the longest of {parts} parts one after another" if parts > 1 else ""
    why = held_up_by(rollout, link)
    if not link.pod:
        return f"{why}{more}"
    old = "the end of old pod " if link.ending else ""
    return f"by {old}{link.pod}" + (f" ({why})" if why else "") + more


def held_up_by(rollout: Rollout, link: Link) -> str:
    """What filled the time of ``link``: of a start, its slowest step."""
    if not link.pod:
        return f"{_time(link.ms, exact=link.exact)} {brief(link.what)}"
    if link.ending:
        return f"{brief(link.what)} {_time(link.ms, exact=link.exact)}"
    held = next((pod.held for pod in rollout.pods if pod.name == link.pod), None)
    return _step(held) if held else ""


def _step(held: Held) -> str:
    step = clause(held.step)
    if held.goes_on:
        return f"{step}, for {duration(held.ms / 1000)}"
    return f"{step} {_time(held.ms, exact=held.exact)}"


def length(time: timedelta, *, exact: bool) -> str:
    seconds = time.total_seconds()
    if exact:
        return milliseconds(seconds * 1000)
    return f"{duration(seconds)}, to the second" if seconds >= 1 else "about a second"


def took(pod: RolledPod) -> str:
    """From its creation to Ready, with ≈ if only to the second; empty where it is not known."""
    return "" if pod.took_ms is None else _time(pod.took_ms, exact=pod.took_exact)


def _time(ms: float, *, exact: bool) -> str:
    if exact:
        return milliseconds(ms)
    return f"≈{duration(ms / 1000)}" if ms >= 500 else "<1 s"


def name_of(rollout: Rollout, pod: RolledPod) -> str:
    """With its namespace where it is not that of all."""
    several = len({other.namespace for other in rollout.pods}) > 1
    return f"{pod.namespace}/{pod.name}" if several else pod.name


def summary(rollout: Rollout) -> list[str]:
    """The write, the revision, notes and what is not known; one line for each."""
    lines = []
    if rollout.write:
        lines.append(written(rollout.write))
    elif rollout.begun:
        lines.append(f"began: {rollout.begun:%Y-%m-%d %H:%M:%S} UTC, to the second")
    if rollout.revision:
        lines.append(_revision(rollout))
    lines += chain(rollout)
    lines += map(brief, rollout.notes)
    if rollout.missing:
        lines.append(f"without {'; without '.join(rollout.missing)}")
    return lines


def written(write: Write) -> str:
    at = write.at.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", " UTC")
    audit = f", Audit-Id {write.audit_id}" if write.audit_id else ""
    return f"written: {at} by {write.client} ({write.verb}, {milliseconds(write.took_ms)}){audit}"


def _revision(rollout: Rollout) -> str:
    of_deployment = rollout.workload is not None and rollout.workload.kind is DEPLOYMENT
    what = "ReplicaSet" if of_deployment else "revision"
    number = f" (revision {rollout.revision_number})" if rollout.revision_number else ""
    created = rollout.revision_created
    when = f", created {created:%Y-%m-%d %H:%M:%S} UTC" if created else ""
    return f"{what}: {rollout.revision}{number}{when}"


def chain(rollout: Rollout) -> list[str]:
    """What came one after another until the last pod was Ready, if that is more than one start."""
    if len([link for link in rollout.chain if link.pod]) < 2:
        return []
    told = [
        f"{link.pod or 'pause'}{' ended' if link.ending else ''} {_time(link.ms, exact=link.exact)}"
        for link in rollout.chain
    ]
    return [f"one after another: {' → '.join(told)}"]


def ends(rollout: Rollout) -> tuple[datetime, datetime] | None:
    """From when to when the bars go; None where nothing has a time.

    What goes on for much longer than all else took is cut: its bar goes on too.
    """
    moments = [rollout.begun] if rollout.begun and rollout.workload else []
    new = [pod for pod in rollout.pods if pod.part is Part.NEW]
    for pod in new:
        moments += filter(None, (pod.created, pod.ready))
    for other in rollout.others:
        moments += filter(None, (other.ending.begun, other.ending.ended))
    known = [moment for moment in moments if moment]
    if known and rollout.looked_at and any(pod.state in _UNDONE for pod in new):
        most = min(known) + _LONGEST * (max(known) - min(known))
        known.append(min(rollout.looked_at, max(most, min(known) + _SHORTEST)))
    return (min(known), max(known)) if known and max(known) > min(known) else None


def table(rollout: Rollout, columns: int, most: int | None = MOST) -> Table:
    """One line for each pod, those that are not Ready first, then the slowest.

    Bars, then when a pod was created, then its node have a column where there is room for it
    beside whole names.
    """
    made = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    shown = rollout.pods if most is None else rollout.pods[:most]
    # Pods of a selection have nothing to do with each other: their starts have no common axis.
    axis = ends(rollout) if rollout.workload else None
    room = columns - _needed(
        ["pod", *(name_of(rollout, pod) for pod in shown)],
        ["state", *map(_told, shown)],
        ["took", *map(took, shown)],
        ["x" * _STEP],
    )
    node = _fits(["node", *(pod.node for pod in shown)], room)
    room -= node
    created = _fits(["created", *(str(_after(rollout, pod)) for pod in shown)], room)
    bars = min(bar_width(columns), room - created - _GAP) if axis else 0
    bars = bars if bars >= _SHORTEST_BARS else 0
    made.add_column("pod", overflow="fold", min_width=12)
    made.add_column("state", no_wrap=True)
    if node:
        made.add_column("node", no_wrap=True)
    if created:
        made.add_column("created", justify="right", no_wrap=True)
    made.add_column("took", justify="right", no_wrap=columns >= _NARROW)
    if bars:
        made.add_column("", no_wrap=True, width=bars)
    made.add_column("slowest step", overflow="fold")
    for pod in shown:
        made.add_row(
            Cell(name_of(rollout, pod)),
            Text(_told(pod), _STYLES.get(pod.state, "yellow")),
            *([Text(pod.node)] if node else []),
            *([_after(rollout, pod)] if created else []),
            Text(took(pod)),
            *([Text(_bar(pod, axis, bars, rollout.looked_at), _style(pod))] if bars else []),
            Cell(slowest(pod)),
        )
    return made


def _needed(*cells: Sequence[str]) -> int:
    """Of a terminal's columns, for those of a table with ``cells``, each with a gap behind it."""
    return sum(max(map(len, column)) + _GAP for column in cells)


def _fits(cells: Sequence[str], room: int) -> int:
    """What a column with ``cells`` takes of ``room``; 0 if that is too little."""
    needed = _needed(cells)
    return needed if needed <= room else 0


def hidden(rollout: Rollout, most: int | None = MOST) -> str:
    """How many pods ``table`` leaves out; empty if none."""
    if most is None or len(rollout.pods) <= most:
        return ""
    rest = rollout.pods[most:]
    known = [pod for pod in rest if pod.took_ms is not None]
    longest = max(known, key=lambda pod: pod.took_ms or 0.0, default=None)
    all_known = longest is not None and len(known) == len(rest)
    quicker = f", none slower than {took(longest)}" if longest and all_known else ""
    return f"… {counted(len(rest), 'more pod')}{quicker}: see --html or --json"


def slowest(pod: RolledPod) -> str:
    """The step that held a pod up, or why it is not Ready."""
    if pod.part is Part.BEFORE:
        return "there before the last write"
    if pod.held:
        told = pod.held.ms or not pod.held.goes_on
        return _step(pod.held) if told else brief(pod.held.step)
    return brief(pod.why)


def others(rollout: Rollout, columns: int, most: int | None = MOST) -> Table | None:
    """Pods of older revisions, and those that ended since the rollout began."""
    if not rollout.others:
        return None
    made = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    shown = rollout.others if most is None else rollout.others[:most]
    room = columns - _needed(
        ["old pod", *(other.name for other in shown)],
        ["state", *(str(other.state) for other in shown)],
        ["ended in", *map(ended_in, shown)],
        ["x" * _STEP],
    )
    node = _fits(["node", *(other.node for other in shown)], room)
    made.add_column("old pod", overflow="fold", min_width=12)
    made.add_column("state", no_wrap=True)
    if node:
        made.add_column("node", no_wrap=True)
    made.add_column("ended in", justify="right")
    made.add_column("how", overflow="fold")
    for other in shown:
        made.add_row(
            Cell(other.name),
            Text(str(other.state)),
            *([Text(other.node)] if node else []),
            Text(ended_in(other)),
            Cell(ending(other)),
        )
    return made


def ended_in(other: OtherPod) -> str:
    """Like ``took``, from the request for its deletion until it was gone."""
    ms = other.ending.took_ms
    return "" if ms is None else _time(ms, exact=other.ending.exact)


def others_hidden(rollout: Rollout, most: int | None = MOST) -> str:
    if most is None or len(rollout.others) <= most:
        return ""
    return f"… {counted(len(rollout.others) - most, 'more old pod')}: see --html or --json"


def ending(other: OtherPod) -> str:
    """How it ended, or why it is still there."""
    if other.kept:
        return "stays as it is"
    if other.serves:
        return "of an older revision, still there"
    grace = "" if other.ending.grace is None else f" of {other.ending.grace} s"
    if other.ending.killed:
        names = ", ".join(other.ending.killed)
        return f"{names} killed: not ended within the grace period{grace}"
    return other.ending.slowest


def parts(rollout: Rollout, columns: int, most: int | None = MOST) -> Iterator[Table | str]:
    """Everything below the title."""
    if rollout.pods:
        yield table(rollout, columns, most)
        if line := hidden(rollout, most):
            yield line
    if (found := others(rollout, columns, most)) is not None:
        yield found
        if line := others_hidden(rollout, most):
            yield line
    yield from summary(rollout)


def trace_urls(rollout: Rollout, jaeger_url: str) -> list[str]:
    """Of the write, and of the pod that held it up or is the slowest."""
    found = verdicts.of(rollout)
    name = found.held.pod if found.held else found.waits[0].name if found.waits else ""
    pods = [pod for pod in rollout.pods if pod.name == name] or list(rollout.pods[:1])
    ids = [rollout.write.trace_id] if rollout.write else []
    ids += [trace for pod in pods if pod.start for trace in pod.start.trace_ids]
    return [f"{jaeger_url}/trace/{trace}" for trace in dict.fromkeys(ids)]


def _told(pod: RolledPod) -> str:
    return str(pod.state) if pod.part is not Part.LATER else f"{pod.state}, later"


def _after(rollout: Rollout, pod: RolledPod) -> Text:
    """When it was created, since the beginning of the rollout."""
    if rollout.begun is None or pod.created is None or pod.part is Part.BEFORE:
        return Text("")
    ms = max(0.0, (pod.created - rollout.begun).total_seconds() * 1000)
    exact = rollout.begun_exact and pod.exact
    return Text(f"+{milliseconds(ms)}" if exact else f"+{duration(ms / 1000)}")


def _style(pod: RolledPod) -> str:
    return "green" if pod.ready else "yellow"


def _bar(
    pod: RolledPod,
    axis: tuple[datetime, datetime] | None,
    width: int,
    now: datetime | None,
) -> str:
    """From its creation to Ready, or to now with another mark."""
    if axis is None or pod.created is None or pod.part is not Part.NEW:
        return ""
    until = pod.ready or now
    if until is None:
        return ""
    begin, end = (_column(moment, axis, width) for moment in (pod.created, until))
    begin = min(begin, width - 1)
    return " " * begin + ("█" if pod.ready else "▒") * max(1, end - begin)


def _column(moment: datetime, axis: Sequence[datetime], width: int) -> int:
    share = (moment - axis[0]) / (axis[1] - axis[0])
    return round(min(1.0, max(0.0, share)) * width)
