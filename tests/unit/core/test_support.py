"""Until when releases are supported, and that no default is past it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace.checks import releases
from runtime_observability.core import advice, compatibility, support
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Observation
from runtime_observability.core.support import Project, Release
from runtime_observability.core.versions import Version
from tests import configuration
from tests.configuration import of_stack_file, parsed

PROJECTS = {
    "k3s": (support.KUBERNETES, support.DEFAULT_K3S, compatibility.NEWEST_KNOWN_K3S),
    "Jaeger": (support.JAEGER, support.DEFAULT_JAEGER, compatibility.NEWEST_KNOWN_JAEGER),
    "collector": (
        support.COLLECTOR,
        support.DEFAULT_COLLECTOR,
        compatibility.NEWEST_KNOWN_COLLECTOR,
    ),
}
LAST_DAY = date(2026, 10, 27)
DAY_AFTER = date(2026, 10, 28)


def defaults_past_support(today: date) -> list[str]:
    """A line for each default that ended before ``today`` or whose end is not known."""
    ends = {
        name: (default, project.end_of(default)) for name, (project, default, _) in PROJECTS.items()
    }
    return [
        f"{name} {default} ended {end}" if end else f"no end of {name} {default} is known"
        for name, (default, end) in ends.items()
        if end is None or end.day < today
    ]


def test_no_default_is_past_its_support_today() -> None:
    assert defaults_past_support(date.today()) == []


def test_a_default_past_its_support_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests ``defaults_past_support`` itself."""
    assert len(defaults_past_support(date.max)) == len(PROJECTS)
    old, unknown = Version(1, 34, 4), Version(1, 99, 0)
    monkeypatch.setitem(PROJECTS, "k3s", (support.KUBERNETES, old, old))
    assert "k3s 1.34.4 ended 2026-10-27" in defaults_past_support(DAY_AFTER)
    assert defaults_past_support(LAST_DAY) == []
    monkeypatch.setitem(PROJECTS, "k3s", (support.KUBERNETES, unknown, unknown))
    assert "no end of k3s 1.99.0 is known" in defaults_past_support(DAY_AFTER)


@pytest.mark.parametrize("name", PROJECTS)
def test_a_default_is_a_release_whose_configuration_was_checked(name: str) -> None:
    _, default, newest = PROJECTS[name]
    assert default <= newest


def test_the_default_kubernetes_is_the_newest_minor_but_one() -> None:
    assert support.DEFAULT_K3S.minor == compatibility.NEWEST_KNOWN_K3S.minor - 1


@pytest.mark.parametrize("name", PROJECTS)
def test_the_newest_release_known_has_its_day(name: str) -> None:
    project, _, newest = PROJECTS[name]
    assert project.end_of(newest)


def test_every_kubernetes_that_settings_accept_has_its_day() -> None:
    minors = range(compatibility.OLDEST_K3S.minor, compatibility.NEWEST_KNOWN_K3S.minor + 1)
    assert list(support.KUBERNETES.releases) == [f"1.{minor}" for minor in minors]


@pytest.mark.parametrize(
    ("project", "number"),
    [(project, number) for project, _, _ in PROJECTS.values() for number in project.releases],
)
def test_every_day_has_a_source(project: Project, number: str) -> None:
    """The source names the release itself, or what it was built from."""
    source = project.releases[number].source
    assert any(character.isdigit() for character in source), source
    assert len(source) > 20
    assert len(project.rule) > 20


def test_the_published_end_is_the_computed_one() -> None:
    """Kubernetes publishes this end: the rule that computes the others agrees with it."""
    published = support.KUBERNETES.releases["1.34"]
    assert published.day
    assert support.months_after(published.day, support.KUBERNETES.months) == published.ends


@pytest.mark.parametrize(
    ("release", "end"),
    [
        ("v1.27.1-k3s1", "about 2024-06-11"),
        ("v1.34.4-k3s1", "2026-10-27"),
        ("v1.35.4-k3s1", "about 2027-02-17"),
        ("v1.36.3-k3s1", "about 2027-06-22"),
        ("v1.37.2-k3s1", "about 2027-10-26"),
        ("v1.38.0-rc1+k3s1", "None"),
    ],
)
def test_when_a_kubernetes_ends(release: str, end: str) -> None:
    assert str(support.KUBERNETES.end_of(Version.parse(release))) == end


@pytest.mark.parametrize(
    ("project", "release", "end"),
    [
        (support.JAEGER, "1.76.0", "2025-12-31"),
        (support.JAEGER, "2.13.0", "about 2027-06-03"),
        (support.COLLECTOR, "0.159.0", "about 2027-08-17"),
        (support.COLLECTOR, "0.160.0", "None"),
    ],
)
def test_when_a_backend_ends(project: Project, release: str, end: str) -> None:
    assert str(project.end_of(Version.parse(release))) == end


def test_of_a_day_that_is_not_known_none_is_made_up() -> None:
    project = Project(12, "a rule", {"1.0.0": Release(None, "no source")})
    assert project.end_of(Version(1, 0, 0)) is None


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2025, 12, 31), 2, date(2026, 2, 28)),
        (date(2025, 12, 31), 1, date(2026, 1, 31)),
        (date(2025, 11, 30), 1, date(2025, 12, 30)),
        (date(2022, 12, 29), 14, date(2024, 2, 29)),
    ],
)
def test_months_end_at_the_last_day(day: date, months: int, later: date) -> None:
    assert support.months_after(day, months) == later


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(0, 40))
def test_months_are_counted(day: date, months: int) -> None:
    later = support.months_after(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day <= day.day


# --- what a user is told --------------------------------------------------------------------------


def warnings(today: date | None, **changes: str) -> list[str]:
    names, settings = Names("dev", Path("/home/ada/observability")), parsed(**changes)
    spec = configuration.spec_of(names, settings)
    return advice.warnings(settings, names, spec, Observation(today=today), None)


def test_a_kubernetes_past_its_end_is_a_warning() -> None:
    old = {"k3sVersion": "v1.34.4-k3s1"}
    assert warnings(LAST_DAY, **old) == []
    assert warnings(DAY_AFTER, **old) == [
        "k3sVersion: 1.34.4-k3s1 is past its end of life, 2026-10-27: Kubernetes 1.34 gets no "
        "fixes any more, not even for security. `pulumi config set k3sVersion "
        f"v{support.DEFAULT_K3S}` replaces the cluster by a supported one"
    ]
    assert warnings(None, **old) == []


def test_the_articles_stack_is_warned_and_the_default_is_not() -> None:
    (line,) = warnings(DAY_AFTER, **of_stack_file("article"))
    assert "Kubernetes 1.27 gets no fixes any more" in line
    assert warnings(DAY_AFTER) == warnings(DAY_AFTER, k3sVersion="v1.37.1-k3s1") == []


def test_doctor_warns_of_the_same() -> None:
    old = Version.parse("v1.34.4-k3s1")
    finding = releases.kubernetes(old, DAY_AFTER)
    assert finding.status == "warning"
    assert finding.seen == "1.34.4-k3s1 is past its end of life, 2026-10-27"
    assert f"v{support.DEFAULT_K3S}" in finding.cure
    assert releases.kubernetes(old, LAST_DAY).seen == "1.34.4-k3s1, until 2026-10-27"
    unknown = releases.kubernetes(Version.parse("v1.99.0-k3s1"), DAY_AFTER)
    assert (unknown.status, unknown.seen) == ("ok", "1.99.0-k3s1, until a day that is not known")


@pytest.mark.parametrize("name", PROJECTS)
def test_the_source_of_a_releases_day_names_the_release(name: str) -> None:
    project, _, _ = PROJECTS[name]
    for number, release in project.releases.items():
        if release.day or release.ends:
            assert f"v{number}" in release.source
