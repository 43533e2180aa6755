"""An expectation for a test."""

from __future__ import annotations

from typing import Any

from ktrace.expect.schema import Expectation


def expect(select: dict[str, Any], **what: Any) -> Expectation:
    return Expectation.model_validate({"name": "it", "select": select, "expect": what})
