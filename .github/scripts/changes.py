"""Prints the section of CHANGELOG.md for a release tag; fails where tag and version differ."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def section(changelog: str, version: str) -> str:
    """Return the text below the heading of ``version``; ValueError if there is none."""
    found = re.search(
        rf"^## \[?{re.escape(version)}\]?(?: [^\n]*)?\n(.*?)(?=^## |\Z)", changelog, re.M | re.S
    )
    if not found or not found[1].strip():
        raise ValueError(f"CHANGELOG.md has no section for {version}: add it before the tag")
    return found[1].strip() + "\n"


def version_of(tag: str, pyproject: str) -> str:
    """Return the release that ``tag`` names; ValueError if the project has another version."""
    version = str(tomllib.loads(pyproject)["project"]["version"])
    if tag != f"v{version}":
        raise ValueError(
            f"the tag is {tag}, and pyproject.toml has version {version}: make them one"
        )
    return version


def main(tag: str) -> None:
    version = version_of(tag, (PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    print(section((PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), version), end="")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except ValueError as error:
        sys.exit(f"error: {error}")
