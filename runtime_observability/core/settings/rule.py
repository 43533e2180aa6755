"""How a value breaks a rule, and a rule that several kinds of values share."""

from __future__ import annotations


class RuleError(ValueError):
    """A value breaks a rule: the text says which, ``cure`` what to write instead."""

    def __init__(self, rule: str, cure: str = "") -> None:
        self.cure = cure
        super().__init__(rule)


def without_dollar(text: str) -> str:
    if "$" in text:
        raise RuleError("k3d expands a $ in its configuration", "leave the $ out")
    return text
