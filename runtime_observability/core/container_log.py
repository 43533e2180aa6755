"""What a container's log tells of its end, in plain words. Pure.

Jaeger and the collector log through zap: as columns between tabs, of which the last is JSON, or
whole lines of JSON. What they end with is plain text, and told twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_MOST_LINES = 5
_MOST_CHARACTERS = 600
"""Of a line; the collector lists all that it knows behind what it does not."""
_LOUD = frozenset({"warn", "error", "dpanic", "panic", "fatal"})
_COLUMNS = re.compile(
    r"\S+\t(?P<level>[a-z]+)\t(?:\S*\t)?(?P<message>[^\t]*)(?:\t(?P<fields>\{.*))?"
)
_OF_STORES = re.compile(
    r"badger \d{4}/\d\d/\d\d \d\d:\d\d:\d\d (?P<badger>[A-Z]+): (?P<message>.*)"
    r"|\[[^\]]+\]\[(?P<java>[A-Z]+) *\]\[[^\]]+\] (?P<text>.*)"
)
"""Badger's own lines in Jaeger's log; OpenSearch's."""
_BEFORE = re.compile(
    r"^(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?(?:Error: )?"
    r"(?:collector server run finished with error: )?"
)
_WRAPPED = re.compile(
    r"^(?:no more retries left: |not retryable error: |Permanent error: |error exporting items, "
    r"|Throttle \([^)]*\), error: |rpc error: code = \w+ desc = |connection error: desc = )+"
)
"""What the collector writes around the reason."""
_FULL = "sending queue is full"
_NOTHING = re.compile(
    r"\s|goroutine \d+ |application version: "  # a stack's files; the threads; the first line
    r"|\S*\w\.\S+$|\S*\w\.\S+\(.*\)$|created by "  # a function in a stack
    r"|PC=0x|(?:r[0-9a-z]{1,2}|rflags|[c-g]s) +0x|exit status \d+$"  # the processor's registers
    r"|Level (?:\d+ \[|Done)"  # Badger's tables, when it ends well
)
_Line = tuple[bool, str]
"""Whether it is about a fault, and what it says."""


def telling(log: str) -> str:
    """The last lines of ``log`` about a fault, each once; without one, the very last ones."""
    lines = [line for line in _read(log) if line[1]]
    faults = [text for is_fault, text in lines if is_fault]
    told = list(dict.fromkeys(faults or (text for _, text in lines)))
    return "\n".join(_short(text) for text in told[-_MOST_LINES:]) or "it says nothing"


def last_fault(log: str) -> str:
    """The last line of ``log`` about a fault; empty without one."""
    faults = [text for is_fault, text in _read(log) if is_fault and text]
    last = faults[-1] if faults else ""
    return _short("".join(letter if letter.isprintable() else " " for letter in last))


def errors_of_exporters(log: str) -> dict[str, str]:
    """The last error of each of a collector's exporters, by its name behind the type.

    That its queue is full follows from another one, and stands for none that is known.
    """
    found: dict[str, str] = {}
    for line in log.splitlines():
        columns = _COLUMNS.fullmatch(line)
        fields = _fields((columns["fields"] or "") if columns else line)
        _, slash, name = str(fields.get("otelcol.component.id", "")).partition("/")
        if slash and fields.get("otelcol.component.kind") == "exporter" and fields.get("error"):
            error = _WRAPPED.sub("", str(fields["error"]))
            if error != _FULL or name not in found:
                found[name] = _short(error)
    return found


def _read(log: str) -> Iterator[_Line]:
    for line in log.splitlines():
        if found := _COLUMNS.fullmatch(line):
            yield _entry(found["level"], found["message"], _fields(found["fields"] or ""))
        elif found := _OF_STORES.fullmatch(line):
            level, text = found["badger"] or found["java"], found["message"] or found["text"]
            yield level.lower() in _LOUD | {"warning"}, text
        elif (fields := _fields(line)) and "level" in fields:
            yield _entry(str(fields["level"]), str(fields.get("msg", "")), fields)
        elif not _NOTHING.match(_BEFORE.sub("", line)):
            yield True, _BEFORE.sub("", line).strip()


def _entry(level: str, message: str, fields: dict[str, object]) -> _Line:
    error = str(fields.get("error", ""))
    return level in _LOUD, f"{message}: {error}" if error and error not in message else message


def _fields(text: str) -> dict[str, object]:
    """Of one line of JSON; empty for anything else."""
    if not text.startswith("{"):
        return {}
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]} …"
