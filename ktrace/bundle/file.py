"""A bundle as a file: docs/schemas/bundle.json. Whoever reads one does not trust it.

Reading writes nothing and runs nothing, and what is shown of it is clean text.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ktrace.bundle import memory, typed
from ktrace.bundle.spans import Query, Searchable
from ktrace.commands import output_file
from ktrace.document import API_VERSION
from ktrace.errors import UsageError
from ktrace.target.target import is_url
from ktrace.text import clean, cleaned

KIND = "Bundle"
HEAD = {"apiVersion": API_VERSION, "kind": KIND}
GATHERED = ("run", "boot", "verify", "watch")
"""The commands of which a bundle has what they gathered, under these keys."""
OF_STORE = ("lookBackDays", "operationsHours", "keptHours")
"""Settings of the store: numbers, or null."""
MOST_BYTES = 256 * 1024 * 1024
"""Of a file that is read, unpacked: some 150,000 spans."""
_GZIP = b"\x1f\x8b"
_BROKEN = (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError)
_CURE = "`ktrace show --save FILE` writes one"

refuse_unwritable = output_file.refuse_unwritable


@dataclass(frozen=True)
class Asked:
    command: str
    words: tuple[str, ...]
    arguments: Mapping[str, Any]
    first_look: float
    last_look: float
    """Unix times in seconds."""

    def __str__(self) -> str:
        return f"`ktrace {' '.join(self.words)}`"


@dataclass(frozen=True)
class Bundle:
    """What a file has; all text is clean but for the spans that ``resource_spans`` has."""

    asked: Asked
    saved_by: str
    """The version of ktrace."""
    kubernetes: str
    """The version of the API server; empty where none was read."""
    runtimes: tuple[str, ...]
    """Of the nodes, as they tell them: containerd://2.1.5."""
    settings: Mapping[str, Any]
    searches: tuple[Query, ...]
    api: Mapping[str, Mapping[str, Any]]
    no_cluster: str | None
    gathered: Mapping[str, Mapping[str, Any]]
    """By the command, what it gathered that cannot be read again with the clients."""
    spans: Searchable
    resource_spans: list[Mapping[str, Any]]


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Replaces ``path`` as a whole, for its owner alone; packed if its name ends in .gz.

    UsageError if it cannot be written.
    """
    text = (json.dumps(document, ensure_ascii=False) + "\n").encode(errors="backslashreplace")
    content = gzip.compress(text, mtime=0) if path.name.endswith(".gz") else text
    try:
        if path.exists() and not path.is_file():  # such as /dev/stdout
            path.write_bytes(content)
            return
        target = path.resolve()
        number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # mode 0600
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise output_file.failed(path, error) from None


def read(path: Path) -> Bundle:
    """UsageError for a file that cannot be read or is no bundle."""
    told = clean(str(path))
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{told} is no file: name one that --save has written")
        if not path.is_file():
            raise UsageError(f"there is no file {told}: name one that --save has written")
        text = _unpacked(path)
    except OSError as error:
        raise UsageError(f"{told} cannot be read: {error.strerror or error}: repair that") from None
    except (EOFError, zlib.error):
        raise UsageError(
            f"{told} is not whole: its packed data ends early. Copy it again"
        ) from None
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise UsageError(f"{told} is not a bundle: it is nested too deeply; {_CURE}") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        reason = f"it is not JSON ({place})" if text.strip() else "it is empty"
        raise UsageError(f"{told} is not a bundle: {reason}; {_CURE}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{told} is not a bundle: it is not JSON; {_CURE}") from None
    except ValueError as error:
        raise UsageError(f"{told} is not a bundle: {clean(str(error))}; {_CURE}") from None
    return parsed(document, told)


def parsed(document: Any, told: str) -> Bundle:
    """The bundle that ``document`` is; UsageError, which names ``told``, if it is none."""
    if not isinstance(document, Mapping) or document.get("kind") != KIND:
        raise UsageError(f"{told} is not a bundle: it is a JSON document of another kind; {_CURE}")
    version = document.get("apiVersion")
    if version != API_VERSION:
        raise UsageError(
            f"{told} is a bundle of {clean(str(version))!r}, and this ktrace reads {API_VERSION}: "
            "use the ktrace that wrote it"
        )
    part = ""
    try:
        part = "asked"
        asked = cleaned(document["asked"])
        who = Asked(
            typed.text(asked["command"]),
            tuple(map(typed.text, asked["words"])),
            typed.members(asked["arguments"]),
            _moment(asked["firstLookAt"]),
            _moment(asked["lastLookAt"]),
        )
        part = "versions"
        versions = cleaned(typed.members(document["versions"]))
        saved_by = typed.text(versions["ktrace"])
        kubernetes = typed.text(versions.get("kubernetes") or "")
        # bundles of earlier releases do not have them
        runtimes = tuple(map(typed.text, typed.items(versions.get("runtimes", []))))
        part = "settings"
        settings = _settings(cleaned(typed.members(document["settings"])))
        part = "searches"
        searches = tuple(map(Query.read, cleaned(document["searches"])))
        part = "api"
        api = answers(cleaned(document["api"]))
        part = "noCluster"
        no_cluster = document["noCluster"]
        no_cluster = None if no_cluster is None else clean(no_cluster)
        gathered = {}
        for part in GATHERED:
            if (facts := document.get(part)) is not None:
                gathered[part] = cleaned(typed.members(facts))
        part = "resourceSpans"
        spans = document["resourceSpans"]
        return Bundle(
            who,
            saved_by,
            kubernetes,
            runtimes,
            settings,
            searches,
            api,
            no_cluster,
            gathered,
            Searchable(spans),
            spans,
        )
    except _BROKEN as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        why = clean(f"{type(error).__name__}: {reason}")[:200]
        raise UsageError(f"{told} is a broken bundle: {part} ({why}). Save it again") from None


def _unpacked(path: Path) -> bytes:
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        stream: io.BufferedIOBase = gzip.GzipFile(fileobj=raw) if packed else raw
        text = stream.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise UsageError(
            f"{clean(str(path))} has more than {MOST_BYTES // 1024**2} MiB, which ktrace does not "
            "read: save a shorter time"
        )
    return text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _settings(found: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in ("jaegerUrl", "stack", "store"):
        if found[name] is not None:
            typed.text(found[name])
    if found["jaegerUrl"] is not None and not is_url(found["jaegerUrl"]):
        raise ValueError(f"jaegerUrl is {found['jaegerUrl']!r}")
    if found.get("tracing") is not None:
        typed.text(found["tracing"])
    for name in ("shared", "tracesRuntime"):
        if not isinstance(found[name], bool):
            raise TypeError(f"{name} is {found[name]!r}")
    for name in OF_STORE:
        if found.get(name) is not None:
            int(found[name])
    memory.read(found["memory"])
    return found


def answers(found: Any) -> Mapping[str, Mapping[str, Any]]:
    """The API server's, by path; LookupError or TypeError for what is none."""
    return {path: _answer(answer) for path, answer in typed.members(found).items()}


def _answer(answer: Any) -> Mapping[str, Any]:
    if not isinstance(answer["status"], int):
        raise TypeError(f"status is {answer['status']!r}")
    if answer["status"] == 200:
        typed.members(answer["document"])
    else:
        typed.text(answer["message"])
    return dict(answer)


def _moment(value: Any) -> float:
    """A Unix time in seconds of the years 1970 to 2100."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no time")
    if not 0 <= value < 4.2e9:
        raise ValueError(f"{value!r} is no time")
    return float(value)
