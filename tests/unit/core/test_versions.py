"""Release numbers: how they are written and ordered, and the tables with a row per release."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_observability.core.versions import Since, Timeline, Version

numbers = st.integers(min_value=0, max_value=2000)
builds = st.sampled_from(["", "k3s1", "k3s2"])
pre_releases = st.sampled_from(["", "alpha.1", "rc1", "rc2"])
releases = st.builds(Version, numbers, numbers, numbers, pre_releases, builds)


@given(releases)
def test_a_version_is_read_back_from_its_tag(version: Version) -> None:
    read = Version.parse(version.tag)
    assert (read, read.build) == (version, version.build)
    assert Version.parse(f"v{version.tag}").tag == version.tag


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("1.34.4", "1.34.4"),
        ("v1.34.4+k3s1", "1.34.4-k3s1"),
        ("v1.37.0-rc1+k3s1", "1.37.0-rc1-k3s1"),
    ],
)
def test_tags_have_no_plus(text: str, tag: str) -> None:
    assert Version.parse(text).tag == tag


@pytest.mark.parametrize("text", ["", "1.34", "latest", "1.34.4 ", "1.34.4\n", "x1.34.4", "1.-1.0"])
def test_what_is_no_release_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a release number"):
        Version.parse(text)


@given(releases, releases)
def test_the_order_is_total(one: Version, other: Version) -> None:
    assert (one < other) + (one == other) + (one > other) == 1
    assert (one <= other) == (not one > other)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9.9", "1.10.0"),
        ("1.34.4", "2.0.0"),
        ("1.37.0-rc1", "1.37.0"),
        ("1.37.0-alpha.1", "1.37.0-rc1"),
    ],
)
def test_older_and_newer(older: str, newer: str) -> None:
    assert Version.parse(older) < Version.parse(newer)


def test_the_build_of_k3s_does_not_count() -> None:
    """v1.34.0-k3s1 is Kubernetes 1.34.0, neither older nor newer."""
    assert Version.parse("v1.34.0-k3s1") == Version.parse("v1.34.0-k3s2") == Version.parse("1.34.0")


def test_a_row_holds_from_its_release_on() -> None:
    table = Timeline(Since("1.2.0", "old", "here"), Since("1.34.0", "new", "there"))
    releases = ("1.2.0", "1.33.9-k3s1", "1.34.0-k3s1")
    values = {release: table.at(Version.parse(release)) for release in releases}
    assert values == {"1.2.0": "old", "1.33.9-k3s1": "old", "1.34.0-k3s1": "new"}


def test_a_pre_release_has_what_its_release_has() -> None:
    table = Timeline(Since("1.2.0", "old", "here"), Since("1.34.0", "new", "there"))
    assert table.at(Version.parse("1.34.0-rc1+k3s1")) == "new"
    assert table.at(Version.parse("1.33.9-rc1+k3s1")) == "old"


def test_before_its_first_row_a_table_knows_nothing() -> None:
    with pytest.raises(KeyError, match=r"no value for 1\.1\.9: the table begins with 1\.2\.0"):
        Timeline(Since("1.2.0", "old", "here")).at(Version.parse("1.1.9"))


@pytest.mark.parametrize("order", [[], ["1.34.0", "1.2.0"]])
def test_rows_out_of_order_are_refused(order: list[str]) -> None:
    with pytest.raises(ValueError, match="oldest first"):
        Timeline(*(Since(release, 0, "here") for release in order))
