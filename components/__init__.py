"""Pulumi resources: one file for each component, and what they share.

In a wheel this folder is ``runtime_observability.components``, so its files import each other
relatively.
"""

from .environment import TracedEnvironment
from .environment_args import (
    ExporterArgs,
    ExporterTlsArgs,
    RegistriesArgs,
    TracedEnvironmentArgs,
)

__all__ = [
    "ExporterArgs",
    "ExporterTlsArgs",
    "RegistriesArgs",
    "TracedEnvironment",
    "TracedEnvironmentArgs",
]
