"""What the API server was asked, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ktrace.activity.rows import Row
from ktrace.activity.window import Window
from ktrace.document import moment, versioned
from ktrace.view.terminal import counted, duration

if TYPE_CHECKING:
    from rich.console import RenderableType

_PAGES = 10
_READABLE = 24
"""Columns of a row's name; more is on another line, or cut."""
_GAP = 2
"""Between two columns."""
_NOTHING = {"webhook": "no call of a webhook", "writer": "no request wrote it"}
"""What there is none of, by the table's heading."""
_LEAST_ASKED_FOR = ("per s", "webhooks", "total s", "failed requests", "etcd", "p50 ms")


def parts(
    rows: Sequence[Row],
    window: Window,
    heading: str,
    url: str,
    *,
    links: bool = True,
    width: int | None = None,
    fold: bool = True,
) -> Iterator[RenderableType]:
    """The period that was seen, and the rows, each with the page of its slowest trace.

    Columns that ``width`` has no room for beside a readable name are left out, and named. With
    ``fold`` a longer name fills several lines, else it is cut.
    """
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from ktrace.view.lines import Cell, Line  # noqa: PLC0415

    yield Line(period(window))
    if not rows:
        yield _NOTHING.get(heading, "no request")
        return
    numbers = _numbers(rows)
    kinds = [word for row in rows for word in (_kind(row).split() if fold else [_kind(row)])]
    room = None if width is None else width - max(map(len, (*kinds, "kind"))) - _GAP
    left_out, names = _fitting(numbers, max(len(row.key) for row in rows), room)
    table = Table(box=None, pad_edge=False)
    table.add_column(heading, overflow="fold")
    table.add_column("kind")
    shown = {name: cells for name, cells in numbers.items() if name not in left_out}
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    if links:
        table.add_column("slowest", overflow="fold")
    for number, row in enumerate(rows):
        key = Text(row.key)
        if not fold:
            key.truncate(names, overflow="ellipsis")
        table.add_row(
            Cell(key),
            _kind(row),
            *(cells[number] for cells in shown.values()),
            *([f"{url}/trace/{row.slowest_trace}"] if links else []),
        )
    yield table
    if left_out:
        yield Line(f"no room for {', '.join(left_out)}: a wider terminal or --json has them")


def _kind(row: Row) -> str:
    return f"internal {row.kind}" if row.internal else row.kind


def _numbers(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The cells of each column with numbers, by its name."""
    calls = rows[0].etcd_share is None
    own = ("failed requests", "total s") if calls else ("etcd", "webhooks")
    names = ("count", "per s", "p50 ms", "p99 ms", "errors", *own)
    cells = [
        (
            str(row.count),
            f"{row.per_second:.2f}",
            f"{row.p50_ms:.1f}",
            "-" if row.p99_ms is None else f"{row.p99_ms:.1f}",
            str(row.errors),
            *_own_cells(row),
        )
        for row in rows
    ]
    return dict(zip(names, map(list, zip(*cells, strict=True)), strict=True))


def _fitting(
    numbers: Mapping[str, Sequence[str]], longest: int, room: int | None
) -> tuple[list[str], int]:
    """Columns to leave out of ``numbers``, and what stays for names, of which one is ``longest``.

    They are as few as leave readable names, the least asked for first. ``room``: None for all.
    """
    if room is None:
        return [], longest
    needed = {name: max(map(len, (name, *cells))) + _GAP for name, cells in numbers.items()}
    out: list[str] = []
    for name in _LEAST_ASKED_FOR:
        if sum(needed.values()) + min(longest, _READABLE) <= room:
            break
        if needed.pop(name, None):
            out.append(name)
    return out, max(1, room - sum(needed.values()))


def pages(rows: Sequence[Row], url: str) -> Iterator[str]:
    """The page of each of the first rows' slowest trace: where a column has no room for them."""
    for row in rows[:_PAGES]:
        yield f"slowest of {row.key}: {url}/trace/{row.slowest_trace}"
    if (more := len(rows) - _PAGES) > 0:
        yield f"{counted(more, 'more row')}: --json has the pages of all"


def _own_cells(row: Row) -> tuple[str, str]:
    """What a webhook's calls or other requests alone have."""
    if row.etcd_share is None or row.webhook_share is None:
        return str(row.failed_requests), f"{row.total_ms / 1000:.2f}"
    return f"{row.etcd_share:.0%}", f"{row.webhook_share:.0%}"


def period(window: Window) -> str:
    """Which period the answer is about, and what it lacks."""
    told = [f"the last {duration(window.seconds)}"]
    if window.oldest is not None and not window.reaches_back:
        told.append("Jaeger has no older request of the period that was asked for")
    if not window.complete:
        told.append("it has more traces than are read: these are about the newest")
    if window.lost:
        told.append(window.lost)
    return "; ".join(told)


def document(rows: Sequence[Row], window: Window, by: str, of: str, url: str) -> dict[str, Any]:
    """The shape that ``top --json`` promises: docs/schemas/top.json."""
    return versioned(
        {
            "by": by,
            "object": of or None,
            "window": {
                "asked": _moment(window.asked),
                "oldestRequest": None if window.oldest is None else _moment(window.oldest),
                "until": _moment(window.until),
                "seconds": round(window.seconds, 3),
                "reachesBack": window.reaches_back,
                "limitHit": not window.complete,
            },
            "notes": [window.lost] if window.lost else [],
            "rows": [
                {
                    "key": row.key,
                    "kind": row.kind,
                    "internal": row.internal,
                    "count": row.count,
                    "perSecond": round(row.per_second, 4),
                    "p50Ms": row.p50_ms,
                    "p99Ms": row.p99_ms,
                    "totalMs": row.total_ms,
                    "errors": row.errors,
                    "failedRequests": row.failed_requests,
                    "etcdShare": _rounded(row.etcd_share),
                    "webhookShare": _rounded(row.webhook_share),
                    "slowestTraceUrl": f"{url}/trace/{row.slowest_trace}",
                }
                for row in rows
            ],
        }
    )


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def _moment(microseconds: int) -> str:
    return moment(datetime.fromtimestamp(microseconds / 1_000_000, UTC))
