"""The parts of a URL, for the rules of keys that are one."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from runtime_observability.core.settings.rule import RuleError


def parts(text: str) -> SplitResult:
    """Those of ``text``. Raises RuleError for a port that no server can have."""
    try:
        url = urlsplit(text)
        usable = url.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise RuleError("its port is not a number from 1 to 65535")
    return url
