"""Generated parts are as they would be generated, and every link leads somewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from runtime_observability.core import compatibility
from tests import golden
from tests.configuration import PROJECT, SCHEMA
from tests.docs import destinations, fleet, pages, samples, tables
from tests.unit.test_architecture import tracked

GENERATORS: dict[str, Callable[[], str]] = {
    "configuration": tables.configuration,
    "make": tables.make,
    "action": tables.action,
    "workflow": tables.workflow,
    "releases": tables.releases,
    "tools": tables.tools,
    "built": tables.built,
    "trace": samples.trace,
    **{name: partial(samples.answered, name) for name in samples.ANSWERED},
    **{name: partial(samples.excerpt, name) for name in samples.EXCERPTS},
    "bundle": samples.bundle,
    "run": samples.run,
    "expected": samples.expected,
    "stacks": samples.stacks,
    "assert": samples.assert_,
    "bench": samples.bench,
    "diff": samples.diff,
    "destination": destinations.central,
    "fleet": fleet.table,
}
PAGES = pages.pages()
WITH_PARTS = [page for page in PAGES if pages.parts(page.read_text())]


def name(page: Path) -> str:
    return str(page.relative_to(PROJECT))


@pytest.mark.parametrize("page", WITH_PARTS, ids=name)
def test_a_page_has_what_would_be_generated(page: Path) -> None:
    golden.check(page, pages.filled(page.read_text(), GENERATORS))


def test_every_part_is_on_one_page() -> None:
    found = Counter(part for page in WITH_PARTS for part in pages.parts(page.read_text()))
    assert found == Counter(list(GENERATORS))


def test_the_configuration_has_every_key() -> None:
    lines = tables.configuration().splitlines()
    for key, rule in SCHEMA.items():
        (row,) = (line for line in lines if line.startswith(f"| `{key}` |"))
        assert row.endswith(f"| {rule['description'].replace('|', '&#124;')} |")


def test_the_releases_of_containerd_are_those_of_the_version_table() -> None:
    page = (PROJECT / "docs" / "how-it-works.md").read_text()
    for k3s in (compatibility.OLDEST_K3S, compatibility.NEWEST_KNOWN_K3S):
        assert compatibility.UPSTREAM_CONTAINERD.at(k3s).version in page


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert pages.broken(page) == []


def test_every_page_is_in_the_index() -> None:
    index = PROJECT / "docs" / "README.md"
    linked = set(pages.links(index.read_text()))
    written = {page.name for page in (PROJECT / "docs").glob("*.md")} - {index.name}
    assert written <= linked


def test_the_pages_name_targets_that_the_makefile_has() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    spans = [span for page in PAGES for span in re.findall(r"`[^`]+`", page.read_text())]
    command = re.compile(r"^`(?:\w+=\S+ )*make ([a-z-]+)|\(make -s ([a-z-]+)\)")
    named = {found[1] or found[2] for span in spans if (found := command.search(span))}
    assert {"up", "down", "env"} <= named
    assert named <= targets


def test_the_pages_name_variables_that_the_code_reads() -> None:
    code = "".join((PROJECT / file).read_text() for file in tracked("*.py") if "tests" not in file)
    for page in PAGES:
        for variable in re.findall(r"RUNTIME_OBSERVABILITY_\w+", page.read_text()):
            assert f'"{variable}"' in code, f"{name(page)}: {variable}"


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# One\n\n## Two words: `x`, y\n\n## One\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#two-words-x-y) [c](other.md#one-1) [d](#here)\n"
        "[w1](none.md) ![w2](other.md#none) [w3](#there)\n"
        "`[code](none)` [web](https://example.org/none)\n"
        "```\n[code](none)\n# there\n```\n"
        "# Here\n"
    )
    assert pages.broken(page) == ["none.md", "other.md#none", "#there"]


def test_a_part_that_differs_is_seen() -> None:
    page = "a\n<!-- begin: x -->\nold\n<!-- end: x -->\nb\n"
    assert pages.filled(page, {"x": lambda: "new"}) == page.replace("old", "new")
    with pytest.raises(KeyError):
        pages.filled(page, {})
