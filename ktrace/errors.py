"""How a ktrace command ends: the documented exit codes, and the errors that carry them."""

from __future__ import annotations

FINDING = 1
"""A broken hop, a failed expectation, a failed check, or nothing found."""
USAGE = 2
"""Wrong usage, a broken file, or no stack."""
UNREACHABLE = 3
"""Jaeger or the cluster cannot be reached."""

INTERRUPTED = 130
"""Ctrl-C."""


class KtraceError(Exception):
    """Ends a command with one clear line and ``code``."""

    code = FINDING


class UsageError(KtraceError):
    code = USAGE


class UnreachableError(KtraceError):
    code = UNREACHABLE
