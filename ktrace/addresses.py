"""Addresses that a user gives: what may be shown of them, and who can be reached there."""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

_LOGIN = re.compile(r"(?<=://)[^/?#\s]*@")


def without_login(text: str, instead: str = "") -> str:
    """``text`` with ``instead`` in place of the user and the password of each URL in it."""
    return _LOGIN.sub(instead, text)


def is_of_this_machine(url: str) -> bool:
    """Whether no proxy can reach ``url``, because it is an address of this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # it is a name, or broken
        return False


def reached(url: str) -> dict[str, Any]:
    """httpx's settings for ``url``: proxies, and what its certificate is verified with.

    No proxy of the user's can reach what is on this machine. The authorities in SSL_CERT_FILE may
    sign there, too; without TLS they would be read in vain.
    """
    from runtime_observability.host.http import httpx  # noqa: PLC0415  --help would wait 0.1 s for it

    elsewhere = not is_of_this_machine(url)
    tls = elsewhere or not url.startswith("http:")
    return {"trust_env": elsewhere, "verify": tls and httpx.create_ssl_context()}
