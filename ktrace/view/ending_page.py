"""A pod's ending as one self-contained HTML page, which looks like that of a start."""

from __future__ import annotations

from collections.abc import Iterator

from ktrace.brief import brief
from ktrace.podend.model import REQUEST, PodEnding
from ktrace.view import ending as view
from ktrace.view import page, waterfall
from ktrace.view.terminal import milliseconds


def render(ending: PodEnding, jaeger_url: str) -> str:
    """The whole document."""
    where = f", node {ending.node}" if ending.node else ""
    since = f", from {waterfall.moment(ending.begun)}" if ending.begun else ""
    return page.whole(
        page.Page(
            title=view.title(ending),
            heading=_heading(ending),
            when=f"namespace {ending.namespace}{where}{since}",
            facts=list(_facts(ending)),
            steps=ending.steps,
            length_ms=ending.length_ms,
            slowest=ending.slowest,
            of="end",
            summary=view.summary(ending),
            links=ending.trace_urls(jaeger_url),
        )
    )


def _heading(ending: PodEnding) -> str:
    took = view.length(ending)
    if ending.ended and took and ending.deleted is not False:
        return f"Why pod {ending.pod} took {took} to end"
    if ending.goes_on:
        return f"How far the end of pod {ending.pod} got" + (f" in {took}" if took else "")
    return f"The end of pod {ending.pod}"


def _facts(ending: PodEnding) -> Iterator[tuple[str, str, str]]:
    begin = "from the request" if ending.begun_by == REQUEST else "from its beginning"
    first = ending.asked[0] if ending.asked else None
    yield (
        "so far" if ending.goes_on else f"{begin} to the end",
        view.length(ending) or "not known",
        f"{first.how} by {first.by}" if first else "",
    )
    yield from page.waits(ending.waiting, ending.looked_at)
    if ending.ended and (slowest := ending.slowest):
        yield "slowest step", milliseconds(slowest.duration_ms), brief(slowest.name)
    if ending.killed:
        yield "had to be killed", ", ".join(ending.killed), "at the end of the grace period"
    if ending.grace_seconds:
        yield "grace period", f"{ending.grace_seconds} s", ""
