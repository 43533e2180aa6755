"""What a command prints: colour and width for a person, plain lines for a pipe, or JSON.

rich is imported on first use: --help, completion and --json do not wait for it.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from ktrace.bundle import session

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PIPE_WIDTH = 4_000
"""Columns without a terminal: enough that nothing is cut."""
_PIPE = {"width": PIPE_WIDTH, "height": 25}
_LINKS = 4
"""At the beginning and at the end of many."""
_HOUR, _MINUTE, _TENTH, _HUNDREDTH = 3_600_000, 60_000, 100, 10
"""In milliseconds."""


def console(*, error: bool = False) -> Console:
    """Stdout, or stderr. In a pipe there is no colour unless FORCE_COLOR is set; NO_COLOR wins."""
    stream = sys.stderr if error else sys.stdout
    is_terminal = stream.isatty()
    forced = bool(os.environ.get("FORCE_COLOR")) and not os.environ.get("NO_COLOR")
    return _trimming(
        stderr=error,
        soft_wrap=not is_terminal,
        force_terminal=is_terminal or forced,
        no_color=None if is_terminal or forced else True,
        **(_size() if is_terminal else _PIPE),
    )


def columns() -> int | None:
    """Of the terminal on stdout; None for a pipe, which gets everything."""
    return console().width if sys.stdout.isatty() else None


def show(*parts: RenderableType, style: str = "") -> None:
    """Prints ``parts`` on stdout, each text on lines that a person would make."""
    _draw(console(), parts, style)


def _draw(target: Console, parts: Iterable[RenderableType], style: str = "") -> None:
    from rich.text import Text  # noqa: PLC0415

    from ktrace.view.lines import Line  # noqa: PLC0415

    for part in parts:
        whole = Line(part) if isinstance(part, str | Text) else part
        target.print(whole, style=style, crop=False)


def _size() -> dict[str, int]:
    """The terminal's, where the terminal's library takes 80 columns instead of looking."""
    if os.environ.get("TERM", "").lower() not in ("dumb", "unknown"):
        return {}
    size = shutil.get_terminal_size()
    return {"width": size.columns, "height": size.lines}


def _trimming(**settings: Any) -> Console:
    from rich.console import Console  # noqa: PLC0415

    from ktrace.view.lines import Trimming  # noqa: PLC0415

    made = Console(highlight=False, emoji=False, **settings)
    made.push_render_hook(Trimming())
    return made


def waiting(what: str) -> AbstractContextManager[object]:
    """A context manager that shows one line on stderr, and removes it; only on a terminal."""
    if not _shows_waiting():
        return nullcontext()
    return console(error=True).status(_awaited(what))


def _shows_waiting() -> bool:
    """From a bundle nothing is waited for."""
    return sys.stderr.isatty() and session.current().waits


@contextmanager
def telling(what: str) -> Iterator[Callable[[str], None]]:
    """Like ``waiting``, with a line that changes: the function that is given replaces ``what``."""
    if not _shows_waiting():
        yield lambda _: None
        return

    with console(error=True).status(_awaited(what)) as status:
        yield lambda what: status.update(_awaited(what))


def _awaited(what: str) -> RenderableType:
    from ktrace.view.lines import Fitting  # noqa: PLC0415

    return Fitting(what, "; Ctrl-C ends it")


@contextmanager
def progress(what: str, of: int) -> Iterator[Callable[[int], None]]:
    """Like ``waiting``, with how many of how many: the function that is given tells it."""
    with telling(f"0 of {of} {what}") as tell:
        yield lambda number: tell(f"{number} of {of} {what}")


def print_json(document: Any) -> None:
    print(as_json(document))


def print_answer(
    title: str, table: RenderableType | None, lines: Iterable[str], urls: Sequence[str]
) -> None:
    """Prints a picture with what it answers above, and notes and pages in Jaeger below."""
    show(title, style="bold")
    show(*([] if table is None else [table]), *lines, *few(urls))


def few(links: Sequence[str]) -> list[str]:
    """The first and the last of ``links``: a pod that is tried again and again has many."""
    left_out = len(links) - 2 * _LINKS
    if left_out <= 1:
        return list(links)
    return [*links[:_LINKS], f"… {left_out:,} more: see --json", *links[-_LINKS:]]


def milliseconds(value: float) -> str:
    """For a person: ``0.4 ms``, ``155 ms``, ``2.31 s``, ``1 min 17.8 s``, ``2 h 10 min``."""
    if value >= _HOUR - _TENTH / 2:
        return duration(value / 1000)
    if value >= _MINUTE - _HUNDREDTH / 2:
        minutes, tenths = divmod(round(value / _TENTH), _MINUTE // _TENTH)
        return f"{minutes} min {tenths / 10:.1f} s"
    if value >= 999.5:
        return f"{value / 1000:.2f} s"
    return f"{value:.0f} ms" if value >= 9.95 else f"{value:.1f} ms"


def duration(seconds: float) -> str:
    """A time that is known to the second: ``20 s``, ``3 min 5 s``, ``2 h 10 min``, ``4 d 1 h``."""
    whole = round(seconds)
    days, hours, minutes, rest = whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def counted(number: int, noun: str) -> str:
    """``1 pod``, ``2 pods``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def as_json(document: Any) -> str:
    session.current().answered(document)
    return json.dumps(document, indent=2)


def coloured(parts: Iterable[RenderableType], *, error: bool = False) -> str:
    """``parts`` as ``show(*parts, error=error)`` would print them."""
    target = console(error=error)
    with target.capture() as captured:
        _draw(target, parts)
    return captured.get().rstrip("\n")


def plain(*parts: RenderableType) -> str:
    """``parts`` as a pipe would receive them."""
    target = _trimming(file=io.StringIO(), width=PIPE_WIDTH, no_color=True, soft_wrap=True)
    with target.capture() as captured:
        _draw(target, parts)
    return captured.get().rstrip("\n")
