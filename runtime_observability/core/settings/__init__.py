"""The stack's configuration: what it may be, and every problem with it at once."""

from runtime_observability.core.settings.model import (
    CLUSTER_KEYS,
    MOST_PORT_OFFSET,
    PORT_DEFAULTS,
    Images,
    Registries,
    Settings,
)
from runtime_observability.core.settings.parse import SettingsError, parse

__all__ = [
    "CLUSTER_KEYS",
    "MOST_PORT_OFFSET",
    "PORT_DEFAULTS",
    "Images",
    "Registries",
    "Settings",
    "SettingsError",
    "parse",
]
