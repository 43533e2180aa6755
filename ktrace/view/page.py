"""A pod's start as one self-contained HTML page: no script, no font, no image.

``whole`` is the page of any steps; that of an ending has it, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from ktrace.brief import brief
from ktrace.components import APISERVER, CONTAINERD, KUBELET, SCHEDULER
from ktrace.podstart.model import PodStart, Step, Waiting
from ktrace.view import axis
from ktrace.view.terminal import duration, milliseconds
from ktrace.view.waterfall import (
    LEAST_TOLD_MS,
    length,
    moment,
    ready_after,
    summary,
    title,
)

STYLE = """
:root { color-scheme: light dark; --ink: #1b2733; --soft: #5d6b7a; --line: #dfe5eb; --paper: #fff;
  --card: #f5f7f9; --apiserver: #3267d6; --scheduler: #9a4fc4; --kubelet: #1f8a4c;
  --containerd: #0e8fa8; --gap: #a8b3be; --hot: #c2410c; --alarm: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #9aa7b4; --line: #2c3743;
  --paper: #12181f; --card: #1a222b; --apiserver: #7aa2ff; --scheduler: #cf94f0;
  --kubelet: #58c98a; --containerd: #4cc7de; --gap: #5b6874; --hot: #ff8a4c;
  --alarm: #ff9a8b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1200px; margin: 0 auto; padding: 32px 24px 48px; }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere; }
.answer { margin: 0 0 4px; overflow-wrap: anywhere; }
.when { color: var(--soft); margin: 0 0 20px; overflow-wrap: anywhere; }
.facts { display: flex; flex-wrap: wrap; gap: 12px; margin: 0 0 24px; }
.facts div { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 10px 16px; min-width: 150px; flex: 1; }
.facts dt { color: var(--soft); font-size: 13px; }
.facts dd { margin: 2px 0 0; font-size: 20px; font-weight: 600; overflow-wrap: anywhere; }
.facts small { display: block; font-size: 13px; font-weight: 400; color: var(--soft); }
table { width: 100%; border-collapse: collapse; table-layout: fixed; }
th { text-align: left; font-size: 13px; font-weight: 600; color: var(--soft); padding: 6px 8px;
  border-bottom: 1px solid var(--line); }
td { padding: 5px 8px; border-bottom: 1px solid var(--line); vertical-align: middle; }
.step { width: 30%; overflow-wrap: anywhere; }
.who { width: 100px; }
.number { width: 122px; text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.ticks { display: block; position: relative; height: 22px; }
.ticks span { position: absolute; bottom: 0; white-space: nowrap; font-weight: 400;
  border-left: 1px solid var(--soft); padding-left: 3px; }
.detail .step { padding-left: 28px; color: var(--soft); }
.detail td { padding-top: 2px; padding-bottom: 2px; font-size: 13px; }
.gap .step { color: var(--soft); font-style: italic; }
.critical .step, .critical .took { font-weight: 600; }
.slowest td { background: var(--card); } .slowest .took { color: var(--hot); }
.lane { position: relative; height: 18px; background: linear-gradient(90deg, var(--line) 1px,
  transparent 1px) 0 0 / var(--unit) 100%; }
.detail .lane { height: 10px; }
.bar { position: absolute; top: 0; bottom: 0; min-width: 2px; border-radius: 3px; }
.apiserver { background: var(--apiserver); } .scheduler { background: var(--scheduler); }
.kubelet { background: var(--kubelet); } .containerd { background: var(--containerd); }
.gap .bar { background: repeating-linear-gradient(45deg, var(--gap) 0 4px, transparent 4px 8px);
  border: 1px solid var(--gap); }
.detail .bar { opacity: .55; }
.critical .bar { outline: 2px solid var(--hot); outline-offset: 1px; }
.error { color: var(--alarm); font-size: 13px; font-weight: 400; }
.legend { display: flex; flex-wrap: wrap; gap: 18px; color: var(--soft); font-size: 13px;
  margin: 16px 0 0; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px;
  margin-right: 6px; vertical-align: -1px; }
.legend .mark { outline: 2px solid var(--hot); outline-offset: -2px; }
.legend .hatch { background: repeating-linear-gradient(45deg, var(--gap) 0 3px,
  transparent 3px 6px); border: 1px solid var(--gap); }
h2 { font-size: 16px; margin: 28px 0 6px; }
ul { margin: 0; padding-left: 20px; } a { color: var(--apiserver); overflow-wrap: anywhere; }
@media (max-width: 900px) { .who, .number:not(.took) { display: none; } .step { width: 40%; } }
@media (max-width: 720px) {
  main { padding: 18px 12px 32px; } h1 { font-size: 20px; }
  .facts div { min-width: 40%; padding: 8px 12px; }
  .step { width: 46%; } .number { width: 24%; white-space: normal; }
  th .ticks span:not(:first-child, :last-child) { visibility: hidden; }
}
@media print {
  .bar, .lane, .legend i { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  tr, summary, .facts div { break-inside: avoid; }
}
""".strip()
UNEXPLAINED = '<span><i class="hatch"></i>nothing is known of it</span>'
COMPONENTS = (APISERVER, SCHEDULER, KUBELET, CONTAINERD)


@dataclass(frozen=True)
class Page:
    """What a page of steps says; all of it is text, and none of it HTML."""

    title: str
    heading: str
    when: str
    facts: Sequence[tuple[str, str, str]]
    steps: Sequence[Step]
    length_ms: float
    slowest: Step | None
    of: str
    """What the steps are the steps of, in a word."""
    summary: Sequence[str]
    links: Sequence[str]


def render(start: PodStart, jaeger_url: str) -> str:
    """The whole document."""
    took = length(start)
    heading = f"Why pod {start.pod} took {took}" if took else f"The start of pod {start.pod}"
    if start.incomplete:
        told = start.so_far or not start.wanted_known
        heading = f"How far pod {start.pod} got" + (f" in {took}" if told and took else "")
    elif not start.complete and not took:
        heading = f"What is left of the start of pod {start.pod}"
    where = f", node {start.node}" if start.node else ""
    return whole(
        Page(
            title=title(start),
            heading=heading,
            when=f"namespace {start.namespace}{where}, from {moment(start.started_at)}",
            facts=_facts(start),
            steps=(*start.steps, *start.ready.steps),
            length_ms=start.length_ms,
            slowest=start.slowest,
            of="start",
            summary=summary(start),
            links=start.trace_urls(jaeger_url),
        )
    )


def whole(page: Page) -> str:
    """The document of ``page``."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(page.title)}</title>
<style>
{STYLE}
</style>
</head>
<body>
<main>
<h1>{escape(page.heading)}</h1>
<p class="answer">{escape(page.title)}</p>
<p class="when">{escape(page.when)}</p>
<dl class="facts">
{facts(page.facts)}
</dl>
{_steps(page) if page.steps else ""}<h2>In short</h2>
<ul>
{"".join(f"<li>{escape(line)}</li>" for line in page.summary)}
</ul>
<h2>Traces in Jaeger</h2>
<ul>
{_links(page.links)}
</ul>
</main>
</body>
</html>
"""


def waits(waiting: Sequence[Waiting], now: datetime | None) -> list[tuple[str, str, str]]:
    """The card of the first thing that is waited for: since when, and what it is."""
    cards = []
    for found in waiting[:1]:
        seconds = found.seconds(now)
        since = "not known how long" if seconds is None else duration(seconds)
        cards.append(("waits for", since, brief(found.what)))
    return cards


def facts(cards: Iterable[tuple[str, str, str]]) -> str:
    """Each with its name, its value, and a remark that may be empty."""
    return "\n".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}"
        f"{f'<small>{escape(remark)}</small>' if remark else ''}</dd></div>"
        for name, value, remark in cards
    )


def _steps(page: Page) -> str:
    rows = "\n".join(row(step, page.length_ms, slowest=step is page.slowest) for step in page.steps)
    legend = of_components(page.steps)
    if any(step.critical for step in page.steps):
        legend.append(f'<span><i class="mark"></i>made the length of the {page.of}</span>')
    if any(step.unexplained for step in page.steps):
        legend.append(UNEXPLAINED)
    told = "\n".join(legend)
    return f"""{table(rows, page.length_ms)}
<p class="legend">
{told}
</p>
"""


def of_components(steps: Sequence[Step]) -> list[str]:
    """The entries of a legend for the components that ``steps`` have."""
    found = {step.component for step in steps}
    return [f'<span><i class="{name}"></i>{name}</span>' for name in COMPONENTS if name in found]


def table(rows: str, total_ms: float) -> str:
    """What ``row`` made of steps, below a head with an axis of ``total_ms``."""
    return f"""<table style="{axis.grid(total_ms)}">
<thead><tr><th class="step">step</th><th class="who">component</th>
<th class="number">start</th><th class="number took">took</th>
<th>{axis.ticks(total_ms)}</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>"""


def _links(urls: Iterable[str]) -> str:
    return "\n".join(f'<li><a href="{escape(url)}">{escape(url)}</a></li>' for url in urls)


def _facts(start: PodStart) -> list[tuple[str, str, str]]:
    label = "from the beginning to the last start"
    if start.incomplete:
        label = "so far" if start.so_far else "as far as it is known"
    cards = [(label, length(start) or "not known", "")]
    cards += waits(start.waiting, start.looked_at)
    if start.measured and (slowest := start.slowest):
        cards.append(("slowest step", milliseconds(slowest.duration_ms), brief(slowest.name)))
    if ready := ready_after(start):
        cards.append(("Ready", ready, "since the request"))
    if start.unexplained_ms >= LEAST_TOLD_MS:
        cards.append(("unexplained", milliseconds(start.unexplained_ms), "nothing is known of it"))
    return cards


def row(step: Step, total_ms: float, *, slowest: bool) -> str:
    """A step as a row of a table, with its bar on an axis of ``total_ms``."""
    kinds = {
        "detail": step.depth > 0,
        "gap": step.unexplained,
        "critical": step.critical,
        "slowest": slowest,
    }
    classes = " ".join(kind for kind, applies in kinds.items() if applies)
    left = step.start_ms / total_ms * 100 if total_ms else 0
    width = step.duration_ms / total_ms * 100 if total_ms else 0
    share = f"<br>{step.share:.0%}" if step.critical else ""
    placed = " (placed)" if step.placed else ""
    error = (
        f'<br><span class="error">{escape(brief(step.error, step.name))}</span>'
        if step.error
        else ""
    )
    return (
        f'<tr class="{classes}"><td class="step">{escape(brief(step.name))}{placed}{error}</td>'
        f'<td class="who">{escape(step.component)}</td>'
        f'<td class="number">{milliseconds(step.start_ms)}</td>'
        f'<td class="number took">{milliseconds(step.duration_ms)}{share}</td>'
        f'<td><div class="lane"><div class="bar {escape(step.component)}" '
        f'style="left:{left:.2f}%;width:{width:.2f}%"></div></div></td></tr>'
    )
