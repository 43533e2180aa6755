"""Prints the newest releases as a stack's configuration: newest.py K3S JAEGER COLLECTOR.

Each file has the tags of one repository's releases, one in a line. A component without a release
that is newer than the newest known one keeps the project's default.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from runtime_observability.core.compatibility import (
    NEWEST_KNOWN_COLLECTOR,
    NEWEST_KNOWN_JAEGER,
    NEWEST_KNOWN_K3S,
)
from runtime_observability.core.versions import Version

KNOWN = {
    "k3sVersion": NEWEST_KNOWN_K3S,
    "jaegerVersion": NEWEST_KNOWN_JAEGER,
    "collectorVersion": NEWEST_KNOWN_COLLECTOR,
}


def newest(tags: Iterable[str], known: Version) -> Version | None:
    """Return the newest release of ``tags`` if it is newer than ``known``; others are ignored."""
    releases = [release for tag in tags if (release := _parsed(tag)) and not release.pre_release]
    latest = max(releases, default=known)
    return latest if latest > known else None


def configuration(tags: dict[str, list[str]]) -> str:
    """Return one line for each key of KNOWN that has a newer release."""
    found = {key: newest(tags[key], known) for key, known in KNOWN.items()}
    return "".join(f"{key}: {_text(key, found[key])}\n" for key in KNOWN if found[key])


def _text(key: str, release: Version | None) -> str:
    return f"v{release}" if key == "k3sVersion" else str(release)


def _parsed(tag: str) -> Version | None:
    try:
        return Version.parse(tag)
    except ValueError:
        return None


if __name__ == "__main__":
    lines = [Path(file).read_text(encoding="utf-8").split() for file in sys.argv[1:]]
    print(configuration(dict(zip(KNOWN, lines, strict=True))), end="")
