"""Long texts of the kubelet and containerd as a person reads them; JSON has them whole."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ID = re.compile(r"(?<![\w:])[0-9a-f]{64}(?!\w)")
"""Of a container or a sandbox; an image's digest follows ``sha256:`` and is a part of its name."""
_ID_LENGTH = 12
"""As docker and crictl print them."""
_WRAPPERS = re.compile(
    r'(?:[Ff]ailed to create pod sandbox|[Ff]ailed to pull(?: and unpack)? image "([^"]*)"|'
    r'failed to resolve (?:reference "[^"]*"|image)|failed to do request): (?=\S)|'
    r"rpc error: code = \w+ desc = (?=\S)"
)
"""What each function adds to the error of the one that it called, which is the cause."""
_SUBJECT = re.compile(
    r" restarting failed container=\S+ pod=\S+\([-0-9a-f]{36}\)|"
    r' \(pod: "\S+\([-0-9a-f]{36}\)", container: \S+\)'
)
"""The kubelet's name of the container that the text is told of."""
_TIME = r"\d+(?:\.\d+)?(?:h|ms|m|µs|s)"
_VARYING = re.compile(
    r"(?<![\w:])[0-9a-f]{64}(?!\w)|"
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|"
    r"\b\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)|"
    r"(?<=:)\d+(?=->)|"
    rf"(?<=[\s(])(?:{_TIME})+(?=[\s),.;:]|$)"
)
"""Ids, moments, times, and the port that a client had: a repetition has others."""


def brief(text: str, where: str = "") -> str:
    """``text`` with short ids, and without what its cause was wrapped into.

    The image that could not be pulled stays, unless ``where`` or the cause names it.
    """
    text = _SUBJECT.sub("", text)
    cause = _WRAPPERS.sub("", text)
    if cause != text:
        image = next((found[1] for found in _WRAPPERS.finditer(text) if found[1]), "")
        if image and image not in where and not _names(cause, image):
            cause = f"{image}: {cause}"
    return _ID.sub(lambda found: found[0][:_ID_LENGTH], cause)


def _names(cause: str, image: str) -> bool:
    """Whether ``cause`` has the image, or the repository in the address that was asked for it."""
    repository = re.split("[:@]", image.rpartition("/")[2])[0]
    return re.search(rf"(?:^|[/\s\"]){re.escape(repository)}[/:@]", cause) is not None


def invariant(text: str) -> str:
    """``text`` without what differs in its repetitions: ids, moments, times and clients' ports."""
    return _VARYING.sub("", text)


def grouped(errors: Iterable[tuple[str, str]]) -> list[str]:
    """A line for each kind of error, of pairs of where it was and its text, in their order.

    Those of one kind differ in ids and times alone.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for where, text in errors:
        groups.setdefault((where, invariant(text)), []).append(text)
    return [_line(where, texts) for (where, _), texts in groups.items()]


def _line(where: str, texts: list[str]) -> str:
    last = brief(texts[-1], where)
    if len(texts) == 1:
        return f"error in {where}: {last}"
    which = "" if len(set(texts)) == 1 else ", last"
    return f"error in {where}, {len(texts):,} times{which}: {last}"
