"""Lines as a terminal or a pipe gets them, whatever is printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.text import Text

_WORD = re.compile(r"(?:`[^`]*`|\b\d+(?:\.\d+)? (?:ms|s|min|h|d)\b|\S)+")
"""What has a line of its own at most: a command in backticks and a time have blanks in them."""
_WHOLE = re.compile(r"https?://|`")
"""Words that are never broken: a link, which a terminal opens, and a command, which is copied."""
_BEHIND = ("/@", "-_:,=", ".")
"""Where a name that is longer than a line is broken, the best signs first."""
_LEAST = 3
"""The part of a line that a name fills at least where it is broken there."""
_SHORT = 8
"""The part of a narrow line that an indent takes."""
_HANG = 2
"""Columns by which later lines of a text begin behind its first one."""


class Line:
    """A text on as many lines as it needs, broken where a person would break it.

    That is between words, and in a name that is longer than a line behind its signs. Later lines
    begin with ``follow``, or behind the blanks of the first one. A link or a command in backticks
    that is longer than a line has one of its own, whole, and the terminal breaks it.
    """

    def __init__(self, text: Text | str, lead: str = "", follow: str | None = None) -> None:
        told = text.copy() if isinstance(text, Text) else Text(text)
        blanks = len(told.plain) - len(told.plain.lstrip(" "))
        self._text = told[blanks:] if blanks else told
        self._lead = lead + " " * blanks
        self._follow = follow

    whole = True
    """Whether links and commands stay whole."""

    def __str__(self) -> str:
        return f"{self._lead}{self._text.plain}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lead = _fitting(self._lead, options.max_width)
        behind = " " * (cell_len(lead) + _HANG) if self._follow is None else self._follow
        follow = _fitting(behind, options.max_width)
        offsets: list[int] = []
        if not options.no_wrap:
            rooms = (max(1, options.max_width - cell_len(start)) for start in (lead, follow))
            offsets = _breaks(self._text.plain, *rooms, whole=self.whole)
        for number, part in enumerate(self._text.divide(offsets)):
            part.rstrip()
            line = Text(follow if number else lead, no_wrap=True, overflow="ignore")
            yield line.append_text(part)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        wanted = cell_len(self._lead) + cell_len(self._text.plain)
        return Measurement(1, max(1, wanted)).with_maximum(options.max_width)


class Cell(Line):
    """A text in a column of a table, which cuts what is longer: nothing in it stays whole."""

    whole = False


def _fitting(indent: str, columns: int) -> str:
    """``indent``, or a short one where more than half of a line would be blank."""
    deep = not indent.strip() and len(indent) > columns // 2
    return " " * (columns // _SHORT) if deep else indent


def _breaks(text: str, first: int, rest: int, *, whole: bool) -> list[int]:
    """Where in ``text`` its second line begins, of ``rest`` columns, and each further one."""
    found: list[int] = []
    begin, room = 0, first
    for word in _WORD.finditer(text):
        at, end = word.span()
        if cell_len(text[begin:end]) <= room:
            continue
        if at > begin:
            found.append(at)
            begin, room = at, rest
        if whole and _WHOLE.search(word[0]):
            continue
        while cell_len(text[begin:end]) > room:
            begin, room = _cut(text, begin, end, room), rest
            found.append(begin)
    return found


def _cut(text: str, begin: int, end: int, room: int) -> int:
    """Where to break a word of more than ``room`` columns: behind a sign, else where they end."""
    last = begin + 1
    while last < end and cell_len(text[begin : last + 1]) <= room:
        last += 1
    least = begin + (last - begin) // _LEAST
    places = (at for signs in _BEHIND for at in range(last, least, -1) if text[at - 1] in signs)
    return next(places, last)


class Branch:
    """A text with what belongs to it below, as a tree."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._branches: list[Branch] = []

    def add(self, text: str) -> Branch:
        """A branch below the others, which is returned."""
        self._branches.append(added := Branch(text))
        return added

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._lines("", "")

    def _lines(self, lead: str, below: str) -> Iterator[Line]:
        """``lead`` is before the text, and ``below`` before all that is below it."""
        yield Line(self._text, lead, below + ("│ " if self._branches else "  "))
        for branch in self._branches:
            last = branch is self._branches[-1]
            yield from branch._lines(
                below + ("└── " if last else "├── "), below + ("    " if last else "│   ")
            )


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
