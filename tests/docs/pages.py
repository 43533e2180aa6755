"""The pages of the documentation: their generated parts, their links and their anchors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.configuration import PROJECT
from tests.unit.test_architecture import tracked

_PART = re.compile(r"<!-- begin: (\S+) -->\n(.*?)<!-- end: \1 -->", re.DOTALL)
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def pages() -> list[Path]:
    """Every Markdown file of the project."""
    return [PROJECT / file for file in tracked("*.md")]


def parts(text: str) -> list[str]:
    """The names of a page's generated parts."""
    return [found[1] for found in _PART.finditer(text)]


def filled(text: str, generators: Mapping[str, Callable[[], str]]) -> str:
    """A page with its parts as their generators write them; KeyError for an unknown part."""

    def part(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- begin: {name} -->\n{generators[name]()}\n<!-- end: {name} -->"

    return _PART.sub(part, text)


def links(text: str) -> Iterator[str]:
    """The targets of a page's links and images, outside of code."""
    for found in _LINK.finditer(_CODE.sub("", _FENCE.sub("", text))):
        yield found[1]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    found: set[str] = set()
    for title in _HEADING.findall(_FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        number = sum(
            re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other) is not None for other in found
        )
        found.add(f"{slug}-{number}" if number else slug)
    return found


def broken(page: Path) -> list[str]:
    """The links of ``page``, but for those to other sites, whose file or anchor does not exist."""
    wrong = []
    for link in links(page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (
            anchor and (target.suffix != ".md" or anchor not in anchors(target.read_text()))
        ):
            wrong.append(link)
    return wrong
