"""What Docker has, as `host.docker` lists it."""

from __future__ import annotations

from runtime_observability.host.docker import Owned

STRANGER = "fedcba9876543210"
"""The owner label of another stack."""


def container(name: str, owner: str = "", **values: str) -> Owned:
    who = {"stack": "other", "folder": "/home/bob/x"} if owner else {"stack": "", "folder": ""}
    return Owned(id=f"id-of-{name}", name=name, owner=owner, **(who | values))
