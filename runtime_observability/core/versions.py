"""Release numbers with their order, and values that depend on the release."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import total_ordering
from typing import Generic, TypeVar

T = TypeVar("T")

_RELEASE = re.compile(
    r"v?(\d+)\.(\d+)\.(\d+)(?:-(?!k3s)([0-9A-Za-z.]+))?(?:[-+](k3s\d+))?\Z", re.ASCII
)


@total_ordering
@dataclass(frozen=True)
class Version:
    """A release such as ``1.34.4``, ``v1.34.4-k3s1`` or ``1.37.0-rc1+k3s1``.

    Ordered by its three numbers; a pre-release comes before its release. k3s' build number is
    ignored, even for equality: a table row for 1.34.0 includes v1.34.0-k3s1.
    """

    major: int
    minor: int
    patch: int
    pre_release: str = ""
    build: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> Version:
        """Raises ValueError when ``text`` is not a release number."""
        match = _RELEASE.match(text)
        if not match:
            raise ValueError(f"{text!r} is not a release number, MAJOR.MINOR.PATCH")
        major, minor, patch, pre_release, build = match.groups()
        return cls(int(major), int(minor), int(patch), pre_release or "", build or "")

    @property
    def numbers(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def tag(self) -> str:
        """The release as written in an image tag, which cannot contain ``+``."""
        parts = [self.numbers, self.pre_release, self.build]
        return "-".join(part for part in parts if part)

    def _key(self) -> tuple[int, int, int, bool, str]:
        return (self.major, self.minor, self.patch, not self.pre_release, self.pre_release)

    def __lt__(self, other: Version) -> bool:
        return self._key() < other._key()

    def __str__(self) -> str:
        return self.tag


@dataclass(frozen=True)
class Since(Generic[T]):
    """``value`` applies from ``release`` on; ``source`` is where this was read or observed."""

    release: str
    value: T
    source: str


class Timeline(Generic[T]):
    """A value that changes between releases: rows with the oldest release first."""

    def __init__(self, *rows: Since[T]) -> None:
        self._rows = tuple((Version.parse(row.release), row) for row in rows)
        order = [version for version, _ in self._rows]
        if not order or order != sorted(order):
            raise ValueError("a timeline needs at least one row, and the oldest first")

    @property
    def values(self) -> list[T]:
        """The distinct values, oldest first."""
        return list(dict.fromkeys(row.value for _, row in self._rows))

    @property
    def begins(self) -> Version:
        return self._rows[0][0]

    def at(self, version: Version) -> T:
        """The value for ``version``; KeyError when ``version`` is older than the first row.

        A pre-release has its release's value: 1.35.0-rc1 is built from 1.35.0's code.
        """
        release = replace(version, pre_release="")
        for since, row in reversed(self._rows):
            if since <= release:
                return row.value
        raise KeyError(f"no value for {version}: the table begins with {self.begins}")
