"""Docker labels of what the stack's containers and network are made with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from runtime_observability.core.naming import MADE_LATER


def of(labels: Mapping[str, str]) -> dict[str, pulumi.Input[str]]:
    """``labels`` as Pulumi's inputs: a value of the up alone is not known in its preview, so that
    the up may have any (`up --plan`)."""
    unknown: pulumi.Output[Any] = pulumi.Output.from_input(pulumi.UNKNOWN)
    return {label: unknown if value == MADE_LATER else value for label, value in labels.items()}
