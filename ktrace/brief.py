"""Long texts of the scheduler, the kubelet and containerd as a person reads them.

JSON has them whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_ID = re.compile(r"(?<![\w:])[0-9a-f]{64}(?!\w)")
"""Of a container or a sandbox; an image's digest follows ``sha256:`` and is a part of its name."""
_ID_LENGTH = 12
"""As docker and crictl print them."""
_WRAPPERS = re.compile(
    r'(?:[Ff]ailed to create pod sandbox|[Ff]ailed to pull(?: and unpack)? image "([^"]*)"|'
    r'failed to resolve (?:reference "[^"]*"|image)|failed to do request|'
    r'Back-off pulling image "([^"]*)": ErrImagePull): (?=\S)|'
    r"rpc error: code = \w+ desc = (?=\S)"
)
"""What each function adds to the error of the one that it called, which is the cause."""
_SUBJECT = re.compile(
    r" restarting failed container=\S+ pod=\S+\([-0-9a-f]{36}\)|"
    r' \(pod: "\S+\([-0-9a-f]{36}\)", container: \S+\)'
)
"""The kubelet's name of the container that the text is told of."""
_BACK_OFF = re.compile(r'(?<=ImagePullBackOff)(\)?: )Back-off pulling image "([^"]*)"$')
"""What its reason says too."""
_STARTING = re.compile(r'failed to "StartContainer" for "([^"]+)" with (\w+): "((?:[^"\\]|\\.)*)"')
_PREEMPTION = re.compile(r"(?<= nodes are available: )(.+?\.) (?:[\w ]+, )*preemption: .*")
"""The scheduler's reasons, and why evicting other pods does not help, which is no reason of its own
(k8s.io/kubernetes pkg/scheduler/framework FitError, PostFilterMsg)."""
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
    text = _PREEMPTION.sub(r"\1", _SUBJECT.sub("", text))
    text = _STARTING.sub(_of_container, _BACK_OFF.sub(r"\1\2", text))
    cause = _WRAPPERS.sub("", text)
    with_image = (found for found in _WRAPPERS.finditer(text) if found[1] or found[2])
    if first := next(with_image, None):
        image = first[1] or first[2]
        if image not in where and not _names(cause, image):
            own = f"{image}: "
            cause = _WRAPPERS.sub(lambda found: own if found.start() == first.start() else "", text)
    return _ID.sub(lambda found: found[0][:_ID_LENGTH], cause)


def clause(text: str) -> str:
    """``brief(text)`` where the sentence goes on."""
    return brief(text).removesuffix(".")


def _of_container(found: re.Match[str]) -> str:
    name, reason, message = found.groups()
    unquoted = message.replace(r"\"", '"').replace(r"\\", "\\")
    return f"{name}: {reason}: {unquoted}"


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
