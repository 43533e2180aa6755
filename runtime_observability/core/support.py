"""The default releases, and until when their projects support a release.

Every date has its source. What no source tells is not known, and no date is made up for it: a
default needs a known one (a test holds them to it).
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from runtime_observability.core.problem import Problem
from runtime_observability.core.versions import Version

# The newest minor but one: the newest has had few patch releases yet, an older one ends sooner.
DEFAULT_K3S = Version.parse("v1.36.3-k3s1")
# The newest that has an official image and that the lab can build: v1.76.0, the same commit, is the
# newest release of Jaeger's Go module, which has none of 2.14.0 and later.
DEFAULT_JAEGER = Version.parse("2.13.0")
# The newest whose configuration was checked (compatibility.NEWEST_KNOWN_COLLECTOR).
DEFAULT_COLLECTOR = Version.parse("0.159.0")
# The newest of 2.x that the lab can build: 3.x needs a newer Java than Debian's.
DEFAULT_OPENSEARCH = Version.parse("2.19.6")


@dataclass(frozen=True)
class End:
    """The last day of a release's support."""

    day: date
    published: bool
    """Whether the project names this day; otherwise it is computed from the release's own day."""

    def __str__(self) -> str:
        return f"{self.day}" if self.published else f"about {self.day}"


@dataclass(frozen=True)
class Release:
    """When a release came out. None stands for a day that is not known."""

    day: date | None
    source: str
    ends: date | None = None
    """The end of its support, if the project publishes one."""


@dataclass(frozen=True)
class Project:
    """How long a project supports its releases."""

    months: int
    """Months from a release to its end where the project publishes no end."""
    rule: str
    """Where ``months`` comes from."""
    releases: Mapping[str, Release]
    """By number: MAJOR.MINOR where the patches of a minor end together, otherwise the whole."""

    def end_of(self, version: Version) -> End | None:
        """The end of a release's support; None if it is not known."""
        minor = f"{version.major}.{version.minor}"
        release = self.releases.get(version.numbers) or self.releases.get(minor)
        if release is None:
            return None
        if release.ends:
            return End(release.ends, published=True)
        if release.day is None:
            return None
        return End(months_after(release.day, self.months), published=False)


def months_after(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day if it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _tag(module: str) -> str:
    return f"time of the tag's commit, as the Go module proxy has it for {module}"


KUBERNETES = Project(
    14,
    "kubernetes.io/releases: 12 months of support and 2 of maintenance",
    {
        "1.27": Release(date(2023, 4, 11), _tag("k8s.io/kubernetes@v1.27.0")),
        "1.28": Release(date(2023, 8, 15), _tag("k8s.io/kubernetes@v1.28.0")),
        "1.29": Release(date(2023, 12, 13), _tag("k8s.io/kubernetes@v1.29.0")),
        "1.30": Release(date(2024, 4, 17), _tag("k8s.io/kubernetes@v1.30.0")),
        "1.31": Release(date(2024, 8, 13), _tag("k8s.io/kubernetes@v1.31.0")),
        "1.32": Release(date(2024, 12, 11), _tag("k8s.io/kubernetes@v1.32.0")),
        "1.33": Release(date(2025, 4, 23), _tag("k8s.io/kubernetes@v1.33.0")),
        "1.34": Release(
            date(2025, 8, 27),
            f"{_tag('k8s.io/kubernetes@v1.34.0')}; end: kubernetes.io/releases",
            ends=date(2026, 10, 27),
        ),
        "1.35": Release(date(2025, 12, 17), _tag("k8s.io/kubernetes@v1.35.0")),
        "1.36": Release(date(2026, 4, 22), _tag("k8s.io/kubernetes@v1.36.0")),
        "1.37": Release(date(2026, 8, 26), _tag("k8s.io/kubernetes@v1.37.0")),
    },
)
"""Kubernetes' minors, and so those of k3s, which is built from them."""

JAEGER = Project(
    18,
    "Jaeger fixes its newest release alone and publishes no ends of v2's releases: this project's "
    "own limit, longer than the collector's because nothing newer than 2.13.0 can be built",
    {
        "1.76.0": Release(
            date(2025, 12, 3),
            f"{_tag('github.com/jaegertracing/jaeger@v1.76.0')}; end of v1: jaeger#6321",
            ends=date(2025, 12, 31),
        ),
        "2.13.0": Release(
            date(2025, 12, 3),
            f"{_tag('github.com/jaegertracing/jaeger@v1.76.0')}, the same commit as v2.13.0",
        ),
        "2.20.0": Release(date(2026, 7, 19), "day of the git tag v2.20.0 of jaegertracing/jaeger"),
    },
)

COLLECTOR = Project(
    12,
    "OpenTelemetry fixes the collector's newest release alone and publishes no ends: this "
    "project's own limit",
    {
        "0.155.0": Release(date(2026, 6, 23), _tag("go.opentelemetry.io/collector@v0.155.0")),
        "0.159.0": Release(date(2026, 8, 17), _tag("go.opentelemetry.io/collector@v0.159.0")),
    },
)


OPENSEARCH = Project(
    12,
    "OpenSearch fixes the newest minor of 2.x beside 3.x and publishes no day on which that ends: "
    "this project's own limit",
    {
        "2.19.6": Release(
            date(2026, 7, 1), "build_date that the release itself tells (GET /), of the lab's jars"
        ),
    },
)


def ended_kubernetes(version: Version, today: date) -> Problem | None:
    """The end of support of a k3s release's Kubernetes, if it is before ``today``.

    None too if the end is not known. It never stops a run: some stacks are old on purpose.
    """
    end = KUBERNETES.end_of(version)
    if end is None or today <= end.day:
        return None
    return Problem(
        "k3sVersion",
        f"{version} is past its end of life, {end}",
        f"Kubernetes {version.major}.{version.minor} gets no fixes any more, not even for security",
        f"`pulumi config set k3sVersion v{DEFAULT_K3S}` replaces the cluster by a supported one",
    )
