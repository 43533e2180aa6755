"""The package that ktrace is a part of."""

from __future__ import annotations

NAME = "runtime-observability"


def version() -> str:
    from importlib import metadata  # noqa: PLC0415  most commands do not wait for it

    return metadata.version(NAME)
