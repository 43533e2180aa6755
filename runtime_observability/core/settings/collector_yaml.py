"""What the collector and Jaeger make of a text that they read from a file. Pure."""

from __future__ import annotations

from typing import Any

import yaml


def is_refused(text: str) -> bool:
    """Whether they stop at ``text``: they read it as YAML, and take back the text of all but a map
    with a key that is no text, such as ``1: 2`` or ``?`` (go.opentelemetry.io/collector/confmap,
    seen with 0.159.0 and Jaeger 2.13.0)."""
    try:
        return _has_such_a_map(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError):
        return False  # what is no YAML is a text


def _has_such_a_map(value: Any) -> bool:
    if isinstance(value, dict):
        return not all(isinstance(key, str) for key in value) or any(
            map(_has_such_a_map, value.values())
        )
    return isinstance(value, list) and any(map(_has_such_a_map, value))
