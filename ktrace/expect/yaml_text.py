"""Reads YAML in which every value is the text that is written, and ${NAME} is a value from outside.

YAML has types of its own for ``no``, ``010`` and ``12:30``; an attribute is what was written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_BRACED = re.compile(rf"\$\$|\$\{{({_NAME})\}}")
_BEGIN, _END = "\ue000", "\ue001"
"""Private characters around a name instead of ${ and }, which YAML reads as a map in [] and {}."""
_REFERENCE = re.compile(
    rf"\$(?P<dollar>\$)|\$(?P<bare>{_NAME})|{_BEGIN}(?P<braced>{_NAME}){_END}|(?P<alone>\$)"
)
_KEPT_TYPES = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")


class YamlError(ValueError):
    """The text is not usable; the message says where and why."""


def read(text: str, values: Mapping[str, str]) -> Any:
    """The document, of maps, lists, text and None. Raises YamlError."""
    try:
        loader = _Loader(_marked(text))
        loader.values = values
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        reason = ", ".join(filter(None, (error.context, error.problem)))
        raise YamlError(f"is not valid YAML: {place}{_as_written(reason)}") from None
    except yaml.YAMLError as error:
        raise YamlError(f"is not valid YAML: {_as_written(str(error))}") from None
    except RecursionError:
        raise YamlError("is not valid YAML: it is nested too deeply") from None


class Lines:
    """The lines of a text that ``read`` could read."""

    def __init__(self, text: str) -> None:
        self._root = yaml.compose(_marked(text), _Loader)

    def of(self, path: Sequence[int | str]) -> int:
        """Of the key or entry at ``path``, or of the innermost one around it that is written.

        What an anchor or a merge has brought there is where it is written itself.
        """
        node, line = self._root, 1
        for part in path:
            key, node = _child(node, part)
            if key is None:
                break
            line = key.start_mark.line + 1
        return line


def _child(node: Any, part: int | str) -> tuple[Any, Any]:
    """The node that begins the part of ``node``, and its value; None where there is none."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return (node.value[part],) * 2 if part < len(node.value) else (None, None)
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == part), (None, None))
    return None, None


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {  # noqa: RUF012  its base declares it so
        first: [(tag, form) for tag, form in resolvers if tag in _KEPT_TYPES]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    values: Mapping[str, str]

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                twice = f"the key {key.value} is there twice; remove one of them"
                raise yaml.constructor.ConstructorError(None, None, twice, key.start_mark)
            seen.add(key.value)
        return node

    def construct_scalar(self, node: Any) -> Any:
        def value(found: re.Match[str]) -> str:
            line = f"line {node.start_mark.line + 1}: "
            if found["dollar"]:
                return "$"
            if found["alone"]:
                raise YamlError(f"{line}a $ names no value; write $$ for a plain $")
            name = found["bare"] or found["braced"]
            if name not in self.values:
                raise YamlError(f"{line}${{{name}}} has no value: add --set {name}=VALUE")
            return self.values[name]

        return _REFERENCE.sub(value, super().construct_scalar(node))


def _marked(text: str) -> str:
    return _BRACED.sub(lambda found: f"{_BEGIN}{found[1]}{_END}" if found[1] else found[0], text)


def _as_written(text: str) -> str:
    return " ".join(text.replace(_BEGIN, "${").replace(_END, "}").split())
