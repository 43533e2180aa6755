"""The errors that end a command: each is one line and one exit code."""

from __future__ import annotations

from ktrace.errors import UNREACHABLE, USAGE, KtraceError
from ktrace.jaeger import JaegerError
from ktrace.text import clean
from runtime_observability.host.kubeapi import KubeconfigError
from runtime_observability.host.runner import CommandError

_CODES: dict[type[Exception], int] = {
    KubeconfigError: USAGE,
    JaegerError: UNREACHABLE,
    CommandError: UNREACHABLE,
    OSError: USAGE,
}
"""Of the errors that have no code of their own."""
FAILURES: tuple[type[Exception], ...] = (KtraceError, *_CODES)


def code_of(failure: Exception) -> int:
    """The exit code of one of ``FAILURES``."""
    if isinstance(failure, KtraceError):
        return failure.code
    return next(code for kind, code in _CODES.items() if isinstance(failure, kind))


def line_of(failure: Exception) -> str:
    """What is told of one of ``FAILURES``: one line, in which every character is visible."""
    if not isinstance(failure, OSError):
        return clean(str(failure))
    file = f"{failure.filename}: " if failure.filename else ""
    return clean(f"{file}{failure.strerror or failure}")
