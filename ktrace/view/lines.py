"""Lines as a terminal or a pipe gets them, whatever is printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.text import Text


class Trimming(RenderHook):
    """Takes the blanks away with which the terminal's library fills lines: a table's are as long.

    In a pipe, in a file and in what is copied from a terminal they would only be in the way.
    """

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Trimmed(renderable) for renderable in renderables]


class _Trimmed:
    def __init__(self, what: ConsoleRenderable) -> None:
        self._what = what

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line: list[Segment] = []
        for segment in console.render(self._what, options):
            if segment.control:
                line.append(segment)
                continue
            *ended, rest = segment.text.split("\n")
            for text in ended:
                yield from _without_blanks([*line, Segment(text, segment.style)])
                yield Segment.line()
                line = []
            line.append(Segment(rest, segment.style))
        yield from line


def _without_blanks(line: Sequence[Segment]) -> Iterable[Segment]:
    """``line`` up to its last character that is not blank."""
    kept = list(line)
    while kept and not kept[-1].control:
        text, style, _ = kept.pop()
        if text := text.rstrip(" "):
            return [*kept, Segment(text, style)]
    return kept


class Fitting:
    """One line, whatever the width: ``what`` is cut for ``end`` to be there whole."""

    def __init__(self, what: str, end: str) -> None:
        self._what, self._end = what, end

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        line = Text(self._what)
        line.truncate(max(1, options.max_width - len(self._end)), overflow="ellipsis")
        line.append(self._end)
        line.truncate(options.max_width)
        yield line

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        wanted = cell_len(self._what + self._end)
        return Measurement(1, min(wanted, options.max_width))
