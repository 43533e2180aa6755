"""Whose a span is: the stack and the owner that the stack's collector has written on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ktrace.errors import UsageError
from ktrace.jaeger.model import Span
from ktrace.text import clean
from runtime_observability.core.origin import OWNER, STACK

_MOST_NAMED = 5
_PARTS = 3
"""Of a stack's name among all: ORGANIZATION/PROJECT/STACK. An environment's own may follow."""


@dataclass(frozen=True, order=True)
class Origin:
    """A stack in a Jaeger that holds the traces of many."""

    stack: str
    owner: str = ""
    """Empty: of any owner."""

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the process of each span of it."""
        return {STACK: self.stack, **({OWNER: self.owner} if self.owner else {})}

    def __str__(self) -> str:
        """As it is written after --stack."""
        return f"{self.stack}@{self.owner}" if self.owner else self.stack


class MixedStacksError(UsageError):
    """What was found is of several clusters, of which nobody has named one."""

    def __init__(self, found: Collection[Origin | None]) -> None:
        super().__init__(
            f"{told(found)} are among what was found, and an answer must not mix clusters: name "
            "one stack with --stack NAME"
        )


def of(span: Span) -> Origin | None:
    """None: it names no stack, because no stack's collector passed it on, or one of old."""
    stack = span.process.get(STACK)
    return Origin(str(stack), str(span.process.get(OWNER, ""))) if stack else None


def named(text: str) -> Origin | None:
    """ORGANIZATION/PROJECT/STACK or ORGANIZATION/PROJECT/STACK@OWNER; None for any other text."""
    stack, at, owner = text.partition("@")
    parts = stack.split("/")
    complete = len(parts) >= _PARTS and all(parts) and bool(owner) == bool(at)
    return Origin(stack, owner) if complete else None


def of_attributes(attributes: object) -> Origin | None:
    """That of a stack's output ``resourceAttributes``; None where an older release made it."""
    if not isinstance(attributes, Mapping) or not attributes.get(STACK):
        return None
    return Origin(str(attributes[STACK]), str(attributes.get(OWNER, "")))


def told(found: Collection[Origin | None]) -> str:
    """A few of the stacks that spans name, in words."""
    stacks = sorted(map(str, filter(None, found)))
    names = stacks[:_MOST_NAMED]
    if len(stacks) > len(names):
        names.append(f"{len(stacks) - len(names)} more")
    parts = [f"spans of {', '.join(names)}"] if names else []
    if None in found:
        parts.append("spans that name no stack")
    return clean(" and ".join(parts))
