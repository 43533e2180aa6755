"""Boxes and arrows as SVG: readable on a light and on a dark page, without a script or a font."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]
CHARACTER = 7.3
"""Width of a character of the small text, in pixels, generously."""
_STYLE = """
    text { font: 12px ui-monospace, "SF Mono", Menlo, Consolas, monospace; fill: #1f2328 }
    .name { font-weight: 600; font-size: 13px }
    .small { fill: #59636e }
    .page { fill: #ffffff; stroke: #d1d9e0 }
    .group { fill: #f6f8fa; stroke: #d1d9e0; stroke-dasharray: 4 3 }
    .box { fill: #ddf4ff; stroke: #0969da }
    .outside { fill: #fff8c5; stroke: #9a6700 }
    .arrow { fill: none; stroke: #59636e; stroke-width: 1.5 }
    .head { fill: #59636e }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .small { fill: #9198a1 }
      .page { fill: #0d1117; stroke: #3d444d }
      .group { fill: #151b23; stroke: #3d444d }
      .box { fill: #121d2f; stroke: #4493f8 }
      .outside { fill: #272115; stroke: #d29922 }
      .arrow { stroke: #9198a1 }
      .head { fill: #9198a1 }
    }
"""


@dataclass(frozen=True)
class Box:
    """A rectangle with a name and small lines below it; positions are in pixels."""

    x: float
    y: float
    width: float
    height: float
    name: str
    lines: tuple[str, ...] = ()
    kind: str = "box"
    """Its class in the style: box, outside or group."""

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def right(self) -> float:
        return self.x + self.width

    def fits(self) -> bool:
        """Whether its texts are inside it."""
        longest = max(map(len, (self.name, *self.lines)))
        return longest * CHARACTER * 1.1 <= self.width and 26 + 17 * len(self.lines) <= self.height

    def draw(self) -> list[str]:
        rectangle = (
            f'<rect class="{self.kind}" x="{self.x:g}" y="{self.y:g}" width="{self.width:g}" '
            f'height="{self.height:g}" rx="6"/>'
        )
        top = self.y + 19
        texts = [_text(self.middle, top, self.name, "name")]
        for number, line in enumerate(self.lines, start=1):
            texts.append(_text(self.middle, top + 17 * number, line, "small"))
        return [rectangle, *texts]


def arrow(
    start: Point, end: Point, text: str = "", at: Point | None = None, by: Sequence[Point] = ()
) -> list[str]:
    """An arrow, through the points ``by``, and a text that begins at ``at``."""
    way = " L".join(f"{x:g} {y:g}" for x, y in (start, *by, end))
    drawn = [f'<path class="arrow" marker-end="url(#head)" d="M{way}"/>']
    return [*drawn, *label(at, text)] if at else drawn


def label(at: Point, text: str) -> list[str]:
    """Small text that begins at ``at``."""
    return [_text(*at, text, "small", "start")]


def page(title: str, size: tuple[float, float], parts: Iterable[Sequence[str]]) -> str:
    """A whole drawing; ``title`` is what a screen reader says."""
    width, height = size
    body = "\n  ".join(line for part in parts for line in part)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" aria-labelledby="title">
  <title id="title">{escape(title)}</title>
  <style>{_STYLE}  </style>
  <defs>
    <marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
      <path class="head" d="M0 0 L8 4 L0 8 z"/>
    </marker>
  </defs>
  <rect class="page" x="0.5" y="0.5" width="{width - 1:g}" height="{height - 1:g}" rx="8"/>
  {body}
</svg>
"""  # noqa: E501 - an element is one line


def _text(x: float, y: float, text: str, style: str, anchor: str = "middle") -> str:
    return f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'
