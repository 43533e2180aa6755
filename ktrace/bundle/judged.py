"""What ``ktrace run --assert`` expected and found, as a part of a bundle. Pure.

The verdicts are kept as they were given. The evidence is for other expectations: it says how far
what the bundle has of the command is all that there was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ktrace.bundle.typed import flag, items, text
from ktrace.expect.after_command import Gathered
from ktrace.expect.judge_command import Evidence
from ktrace.expect.judge_quiet import Watched, Write
from ktrace.expect.schema import Expectation
from ktrace.expect.verdict import Judged, Verdict
from ktrace.expect.watermark import Source


def document(
    judged: Judged, expected: Sequence[Sequence[Expectation]], gathered: Gathered | None
) -> dict[str, Any]:
    """``expected`` are the expectations of each suite, with the values of --set in them."""
    return {
        "interrupted": judged.interrupted,
        "unjudged": judged.unjudged,
        "suites": [
            {
                "name": name,
                "expectations": [
                    {
                        "expected": one.model_dump(mode="json", exclude_unset=True),
                        "verdict": _verdict(verdict),
                    }
                    for one, verdict in zip(expectations, verdicts, strict=True)
                ],
            }
            for (name, verdicts), expectations in zip(judged.suites, expected, strict=True)
        ],
        "evidence": _evidence(gathered) if gathered else None,
    }


def verdicts(document: Mapping[str, Any]) -> Judged:
    """LookupError, TypeError or ValueError for what is not of ``document``."""
    suites = (
        (
            text(suite["name"]),
            tuple(_read_verdict(one["verdict"]) for one in items(suite["expectations"])),
        )
        for suite in items(document["suites"])
    )
    return Judged(tuple(suites), flag(document["interrupted"]), text(document["unjudged"]))


def gathered(document: Mapping[str, Any]) -> Gathered | None:
    """None where nothing was gathered. Raises as ``verdicts`` does."""
    found = document["evidence"]
    if found is None:
        return None
    behind = {
        Source(text(one["component"]), tuple(map(_pair, one["attributes"].items()))): text(
            one["behind"]
        )
        for one in items(found["arrivals"])
    }
    evidence = Evidence(
        datetime.fromtimestamp(float(found["until"]), UTC),
        gone=text(found["gone"]),
        pods_unknown=text(found["podsUnknown"]),
        followed=flag(found["followed"]),
        watched=_read_watched(found["watched"]),
        unwatched=text(found["unwatched"]),
        writes_dropped=text(found["writesDropped"]),
        writes_caveat=text(found["writesCaveat"]),
    )
    return Gathered(evidence, behind)


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.name,
        "failures": list(verdict.failures),
        "nearest": list(verdict.nearest),
        "found": verdict.found,
        "judged": verdict.judged,
        "notes": list(verdict.notes),
        "noun": verdict.noun,
    }


def _read_verdict(found: Mapping[str, Any]) -> Verdict:
    return Verdict(
        text(found["name"]),
        tuple(map(text, items(found["failures"]))),
        tuple(map(text, items(found["nearest"]))),
        int(found["found"]),
        flag(found["judged"]),
        tuple(map(text, items(found["notes"]))),
        noun=text(found["noun"]),
    )


def _evidence(gathered: Gathered) -> dict[str, Any]:
    evidence = gathered.evidence
    return {
        "until": evidence.until.timestamp(),
        "gone": evidence.gone,
        "podsUnknown": evidence.pods_unknown,
        "followed": evidence.followed,
        "arrivals": [
            {
                "component": source.component,
                "attributes": dict(source.attributes),
                "behind": behind,
            }
            for source, behind in gathered.behind.items()
        ],
        "watched": _watched(evidence.watched),
        "unwatched": evidence.unwatched,
        "writesDropped": evidence.writes_dropped,
        "writesCaveat": evidence.writes_caveat,
    }


def _watched(watched: Watched | None) -> dict[str, Any] | None:
    if watched is None:
        return None
    return {
        "touched": sorted(watched.touched),
        "begin": watched.begin,
        "end": watched.end,
        "writes": list(map(asdict, watched.writes)),
    }


def _read_watched(found: Mapping[str, Any] | None) -> Watched | None:
    if found is None:
        return None
    writes = (
        Write(
            text(write["object"]),
            text(write["client"]),
            text(write["account"]),
            int(write["start"]),
            failed=None if write["failed"] is None else flag(write["failed"]),
        )
        for write in items(found["writes"])
    )
    return Watched(
        frozenset(map(text, items(found["touched"]))),
        tuple(sorted(writes, key=lambda write: write.start)),
        int(found["begin"]),
        int(found["end"]),
    )


def _pair(item: tuple[Any, Any]) -> tuple[str, str]:
    return text(item[0]), text(item[1])
