"""The environment of the user's command: what leads its requests to the forwarder alone."""

from __future__ import annotations

from collections.abc import Mapping

_FORWARDER = "127.0.0.1"
_EVERY_HOST = "*"


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """``NO_PROXY`` and ``no_proxy`` with the forwarder's address added.

    The forwarder's URL is a secret, and a proxy on another machine would learn it. Some programs
    read one of the two names first, so each has what the other had if it was not set itself.
    """
    upper, lower = environment.get("NO_PROXY", ""), environment.get("no_proxy", "")
    return {
        "NO_PROXY": _with_forwarder(upper or lower),
        "no_proxy": _with_forwarder(lower or upper),
    }


def _with_forwarder(hosts: str) -> str:
    """``*`` stays as it is: it has its meaning only alone."""
    known = [host.strip() for host in hosts.split(",")]
    if hosts.strip() == _EVERY_HOST or _FORWARDER in known:
        return hosts
    return f"{hosts},{_FORWARDER}" if hosts.strip() else _FORWARDER
