"""Hosts and URLs in the configuration, for the rules of keys that are one."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from runtime_observability.core.settings.rule import RuleError

_AUTHORITY = re.compile(
    r"(?P<host>[a-z0-9][a-z0-9_-]*(?:\.[a-z0-9_][a-z0-9_-]*)*\.?|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>\d{1,5}))?",
    re.ASCII | re.IGNORECASE,
)
_URL = re.compile(
    r"https?://(?P<authority>[^/]+)(?:/(?:[\w.~!&'()*+,;=:-]|%[0-9a-f]{2})*)*",
    re.ASCII | re.IGNORECASE,
)
_NUMBERS = re.compile(r"[\d.]+|\[.*\]", re.ASCII)
"""What is no name."""


def host_and_port(text: str) -> tuple[str, int] | None:
    """Of HOST or HOST:PORT, an IPv6 address in brackets; the port is 0 where none is written.

    None for any other text, and where the address or the port is out of range.
    """
    match = _AUTHORITY.fullmatch(text)
    if not match:
        return None
    host, port = match["host"], match["port"]
    if _NUMBERS.fullmatch(host) and not _address(host):
        return None
    if port and not 0 < int(port) < 65536:
        return None
    return host, int(port or 0)


def parts(text: str, what: str, example: str) -> SplitResult:
    """Those of ``text``. Raises RuleError where it is no URL that ``what`` may be."""
    match = _URL.fullmatch(text)
    if not match or not host_and_port(match["authority"]):
        raise RuleError(
            f"{what} is http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH], in ASCII and with "
            "a PORT up to 65535",
            f"for instance {example}",
        )
    return urlsplit(text)


def refuse_own_container(host: str, program: str) -> None:
    """Raises RuleError where ``host`` is the container of ``program``, whichever that is.

    Not known here is what other names mean in a container.
    """
    address = _address(host)
    mapped = getattr(address, "ipv4_mapped", None) or address
    is_itself = mapped and (mapped.is_loopback or mapped.is_unspecified)
    if host.lower().rstrip(".") == "localhost" or is_itself:
        raise RuleError(
            f"{host} is {program}'s own container there, not this machine",
            "name an address that containers reach",
        )


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
