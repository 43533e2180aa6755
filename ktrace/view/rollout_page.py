"""Rollouts as one self-contained HTML page: a row for each pod, with its steps on one time axis.

Its script only filters and opens rows. Without it the page is whole: nothing is loaded.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from html import escape

from ktrace.brief import brief
from ktrace.podstart.model import PodStart, Step
from ktrace.rollout import verdict as verdicts
from ktrace.rollout.model import OtherPod, Part, RolledPod, Rollout, State
from ktrace.view import axis, page
from ktrace.view import rollout as view
from ktrace.view.rollout_assets import SCRIPT, STYLE
from ktrace.view.terminal import counted

_MS = timedelta(milliseconds=1)
_FEW = 8
"""Rows that need no filter."""
_WIDEST = {"name": 36, "state": 16, "node": 30, "took": 16, "held": 26}
"""Characters in one line of each text of a row: longer ones take two."""
_MARK = 4
"""Characters in the place of the mark that opens a row."""
_UNDONE = (State.NOT_READY, State.STARTING, State.FAILED)


def render(rollouts: Sequence[Rollout], jaeger_url: str) -> str:
    """The whole document."""
    first = rollouts[0]
    alone = len(rollouts) == 1
    heading = view.title(first) if alone else _of_all(rollouts)
    rows = sum(len(found.pods) + len(found.others) for found in rollouts)
    tools, level = _TOOLS if rows > _FEW else "", "h2" if alone else "h3"
    sections = "\n".join(
        f"<section>{'' if alone else f'<h2>{escape(view.title(found))}</h2>'}"
        f"\n{_Section(found, jaeger_url, number, level).html(tools if alone else '')}</section>"
        for number, found in enumerate(rollouts)
    )
    digest = base64.b64encode(hashlib.sha256(f"\n{SCRIPT}\n".encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    looked = f"read {first.looked_at:%Y-%m-%d %H:%M:%S} UTC" if first.looked_at else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(heading)}</title>
<style>
{page.STYLE}
{STYLE}
</style>
</head>
<body>
<main>
<h1>{escape(heading)}</h1>
<p class="when">{escape(looked)}</p>
{"" if alone else tools}
{sections}
</main>
<script>
{SCRIPT}
</script>
</body>
</html>
"""


_TOOLS = """<p class="tools" hidden><label>Filter rows <input type="search"
placeholder="name, node, state, step"></label>
<button type="button">Open all</button><output aria-live="polite"></output></p>"""


def _of_all(rollouts: Sequence[Rollout]) -> str:
    done = sum(verdicts.of(found).ok for found in rollouts)
    return f"{done} of {counted(len(rollouts), 'rollout')} done"


@dataclass(frozen=True)
class _Section:
    """One rollout, whose parts have headings of the element ``heading``."""

    rollout: Rollout
    url: str
    number: int
    heading: str

    @cached_property
    def axis(self) -> tuple[datetime, datetime] | None:
        """Of a selection of pods each has an axis of its own."""
        return view.ends(self.rollout) if self.rollout.workload else None

    @cached_property
    def total_ms(self) -> float:
        """Of the axis."""
        if self.axis:
            return (self.axis[1] - self.axis[0]) / _MS
        return max((pod.took_ms or 0.0 for pod in self.rollout.pods), default=0.0)

    def html(self, tools: str) -> str:
        rollout = self.rollout
        parts = [f'<dl class="facts">\n{_facts(rollout)}\n</dl>', tools]
        if rollout.pods:
            parts.append(self._pods())
        if rollout.others:
            parts.append(self._others())
        if rollout.pods or rollout.others:
            parts.append(_legend(rollout))
        parts += self._list("In short", map(escape, view.summary(rollout)))
        links = view.trace_urls(rollout, self.url)
        parts += self._list("Traces in Jaeger", (_link(link, link) for link in links))
        return "\n".join(parts)

    def _list(self, name: str, items: Iterable[str]) -> Iterator[str]:
        if lines := [f"<li>{item}</li>" for item in items]:
            yield self._head(name)
            yield "\n".join(("<ul>", *lines, "</ul>"))

    def _head(self, text: str, key: str = "") -> str:
        own = f' id="{key}"' if key else ""
        return f"<{self.heading}{own}>{escape(text)}</{self.heading}>"

    def _rows(self, key: str, head: str, heads: tuple[str, str, str], rows: Iterable[str]) -> str:
        name = f"{key}-{self.number}"
        return "\n".join(
            (
                self._head(head, name),
                f'<div class="rows {key}" style="{axis.grid(self.total_ms)};{self._columns}">',
                _axis(*heads, self.total_ms),
                f'<ol class="pods" aria-labelledby="{name}">',
                *rows,
                "</ol></div>",
            )
        )

    @cached_property
    def _columns(self) -> str:
        """The properties that are the columns' widths: the lanes of all rows begin at one place."""
        rows = [
            ("pod", "state", "node", "took", "slowest step"),
            *map(self._texts_of_pod, self.rollout.pods),
            *map(_texts_of_other, self.rollout.others),
        ]
        longest = [max(map(len, column)) + 1 for column in zip(*rows, strict=True)]
        longest[0] += _MARK
        return ";".join(
            f"--{name}:{min(length, widest)}ch"
            for (name, widest), length in zip(_WIDEST.items(), longest, strict=True)
        )

    def _texts_of_pod(self, pod: RolledPod) -> _Texts:
        later = ", later" if pod.part is Part.LATER else ""
        name, state = view.name_of(self.rollout, pod), f"{pod.state}{later}"
        return name, state, pod.node, view.took(pod), view.slowest(pod)

    def _pods(self) -> str:
        pods = self.rollout.pods
        slowest = max((pod.took_ms or 0.0 for pod in pods), default=0.0)
        order = "those that are not done first, then the slowest"
        if not self.axis:
            order += "; each on an axis of its own"
        return self._rows(
            "each",
            f"{counted(len(pods), 'pod')}, {order}",
            ("pod", "took", "slowest step"),
            (self._pod(pod, longest=bool(slowest) and pod.took_ms == slowest) for pod in pods),
        )

    def _others(self) -> str:
        others = self.rollout.others
        return self._rows(
            "old",
            counted(len(others), "old pod"),
            ("pod", "ended in", "how"),
            map(self._other, others),
        )

    def _pod(self, pod: RolledPod, *, longest: bool) -> str:
        texts = self._texts_of_pod(pod)
        cells = _cells(texts, self._bars(pod), undone=pod.state in _UNDONE)
        return (
            f'<li data-text="{_searched(texts)}"'
            f"{' class=longest' if longest else ''}><details><summary>{cells}</summary>"
            f"{_more(pod, self.url)}</details></li>"
        )

    def _bars(self, pod: RolledPod) -> str:
        """The whole start, its steps on that, and a mark below the slowest of these."""
        rollout, total_ms = self.rollout, self.total_ms
        until = pod.ready or (rollout.looked_at if pod.state in _UNDONE else None)
        if pod.created is None or until is None or pod.part is not Part.NEW or total_ms <= 0:
            return ""
        begin_ms = (pod.created - self.axis[0]) / _MS if self.axis else 0.0
        length_ms = (until - pod.created) / _MS
        bars = [_bar(begin_ms, length_ms, total_ms, "whole" if pod.ready else "whole open")]
        for step, kind in _segments(pod.start) if pod.start else ():
            at = begin_ms + min(step.start_ms, length_ms)
            width = min(step.duration_ms, max(0.0, length_ms - step.start_ms))
            bars.append(_bar(at, width, total_ms, kind))
            if pod.held and step.name == pod.held.step:
                bars.append(_bar(at, width, total_ms, "mark"))
        return "".join(bars)

    def _other(self, other: OtherPod) -> str:
        ending, texts, bar = other.ending, _texts_of_other(other), ""
        if self.axis and ending.begun:
            end = ending.ended or self.axis[1]
            begin_ms = (ending.begun - self.axis[0]) / _MS
            length_ms = (end - ending.begun) / _MS
            bar = _bar(begin_ms, length_ms, self.total_ms, "termination")
        cells = _cells(texts, bar)
        return (
            f'<li data-text="{_searched(texts)}"><details><summary>{cells}</summary>'
            f"{_more_of_end(other, self.url)}</details></li>"
        )


_Texts = tuple[str, str, str, str, str]
"""Of a row: name, state, node, how long it took, and what held it up."""


def _texts_of_other(other: OtherPod) -> _Texts:
    return other.name, str(other.state), other.node, view.ended_in(other), view.ending(other)


def _cells(texts: _Texts, bars: str, *, undone: bool = False) -> str:
    name, state, node, took, held = map(escape, texts)
    return (
        f'<span class="name">{name}</span>'
        f'<span class="state{" undone" if undone else ""}">{state}</span>'
        f'<span class="node">{node}</span>'
        f'<span class="took">{took or "-"}</span>'
        f'<span class="held">{held}</span>'
        f'<span class="lane" aria-hidden="true">{bars}</span>'
    )


def _searched(texts: _Texts) -> str:
    """What the filter looks into."""
    name, state, node, _, held = texts
    return escape(f"{name} {state} {node} {held}".lower())


def _facts(rollout: Rollout) -> str:
    found = verdicts.of(rollout)
    cards = [(found.word, f"{found.done} of {_known(found.wanted)}", found.reason)]
    if found.took is not None:
        since = "from the write to the last pod" if rollout.write else "to the last pod"
        cards.append(("took", view.length(found.took, exact=found.exact), since))
    if found.held:
        name = found.held.pod or "a pause"
        cards.append(("held up by", name, view.held_up_by(rollout, found.held)))
    elif (slowest := verdicts.slowest(rollout)) and not found.waits:
        cards.append(("slowest start", view.took(slowest[0]), view.name_of(rollout, slowest[0])))
    if found.waits:
        names = [view.name_of(rollout, pod) for pod in found.waits]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        cards.append(("waits for", f"{names[0]}{more}", view.slowest(found.waits[0])))
    if rollout.pods:
        nodes = {pod.node for pod in rollout.pods if pod.node}
        cards.append(("nodes", str(len(nodes)) if nodes else "not known", ""))
    return page.facts(cards)


def _known(number: int | None) -> str:
    return "not known" if number is None else str(number)


def _axis(pod: str, took: str, held: str, total_ms: float) -> str:
    return (
        f'<div class="axis" aria-hidden="true"><span>{pod}</span><span>state</span>'
        f"<span>node</span><span class=took>{took}</span><span>{held}</span>"
        f"{axis.ticks(total_ms)}</div>"
    )


def _segments(start: PodStart) -> Iterator[tuple[Step, str]]:
    for step in start.steps:
        if step.depth == 0:
            yield step, "unexplained" if step.unexplained else step.component
    for step in start.ready.steps:
        if step.depth == 0:
            yield step, "ready"


def _bar(begin_ms: float, length_ms: float, total_ms: float, kind: str) -> str:
    left = min(100.0, max(0.0, begin_ms / total_ms * 100))
    width = min(100.0 - left, max(0.0, length_ms / total_ms * 100))
    return f'<i class="bar {escape(kind)}" style="left:{left:.2f}%;width:{width:.2f}%"></i>'


def _more(pod: RolledPod, url: str) -> str:
    """What a row shows when it is opened."""
    parts = []
    facts = [f"uid {pod.uid}"] if pod.uid else []
    facts += [f"made by {pod.owner}"] if pod.owner else []
    if pod.created:
        facts.append(f"created {_at(pod.created, exact=pod.exact)}")
    if pod.ready:
        facts.append(f"Ready {_at(pod.ready, exact=pod.ready_exact)}")
    if facts:
        parts.append(f"<p>{escape(', '.join(facts))}</p>")
    if pod.why:
        parts.append(f"<p>{escape(brief(pod.why))}</p>")
    if pod.start:
        parts += _steps((*pod.start.steps, *pod.start.ready.steps), pod.start.length_ms)
        parts += _rest(pod.start.missing, pod.start.trace_urls(url))
    return f'<div class="more">{"".join(parts) or "<p>Nothing is known of its start.</p>"}</div>'


def _more_of_end(other: OtherPod, url: str) -> str:
    ending, parts = other.ending, []
    facts = [f"uid {other.uid}"] if other.uid else []
    facts += [f"of {other.revision}"] if other.revision else []
    facts += [f"asked for {_at(ending.begun, exact=ending.exact)}"] if ending.begun else []
    facts += [f"gone {_at(ending.ended, exact=True)}"] if ending.ended else []
    if facts:
        parts.append(f"<p>{escape(', '.join(facts))}</p>")
    if ending.detail:
        parts += _steps(ending.detail.steps, ending.detail.length_ms)
        parts += _rest(ending.detail.missing, ending.detail.trace_urls(url))
    return f'<div class="more">{"".join(parts) or "<p>Nothing is known of its end.</p>"}</div>'


def _steps(steps: Sequence[Step], length_ms: float) -> Iterator[str]:
    slowest = max((s for s in steps if s.depth == 0), key=lambda s: s.duration_ms, default=None)
    if rows := "\n".join(page.row(step, length_ms, slowest=step is slowest) for step in steps):
        yield page.table(rows, length_ms)


def _rest(missing: Sequence[str], urls: Sequence[str]) -> Iterator[str]:
    if missing:
        yield f"<p>without {escape('; without '.join(missing))}</p>"
    if links := ", ".join(_link(link, f"trace {at}") for at, link in enumerate(urls, start=1)):
        yield f"<p>In Jaeger: {links}</p>"


def _at(moment: datetime, *, exact: bool) -> str:
    return f"{moment:%H:%M:%S.%f}"[:-3] if exact else f"{moment:%H:%M:%S}, to the second"


def _legend(rollout: Rollout) -> str:
    starts = [pod.start for pod in rollout.pods if pod.start]
    parts = page.of_components([step for start in starts for step in start.steps])
    if any(start.ready.steps for start in starts):
        parts.append('<span><i class="waits"></i>all containers run, not Ready yet</span>')
    if any(step.unexplained for start in starts for step in start.steps):
        parts.append(page.UNEXPLAINED)
    if rollout.others:
        parts.append('<span><i class="ends"></i>an old pod ends</span>')
    return f'<p class="legend">{"".join(parts)}</p>'


def _link(url: str, text: str) -> str:
    return f'<a href="{escape(url)}">{escape(text)}</a>'
