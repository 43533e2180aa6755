"""Settings that belong to the machine: an environment variable has their default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REGISTRY = "RUNTIME_OBSERVABILITY_REGISTRY"
"""The variable with the default of registryMirror."""
_VARIABLES = {"registryMirror": REGISTRY}


def with_environment(raw: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """``raw``, keyed as in Pulumi.yaml, with the variables' values for what is not set.

    An empty value counts as not set: Pulumi passes on the default of Pulumi.yaml, which is empty.
    """
    defaults = {
        key: environment[variable]
        for key, variable in _VARIABLES.items()
        if environment.get(variable) and not raw.get(key)
    }
    return {**raw, **defaults}
