"""`python -m lab.providers command|docker [engine address]`: run one of the plugins."""
# ruff: noqa: PLC0415 - each plugin loads only what it needs, as every pulumi command starts them

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.providers.server import Servicer


def _without_sdk() -> None:
    """Let the protocol's messages be imported without the SDK around them.

    They are in the package pulumi.runtime.proto. Importing pulumi itself would double the time that
    a plugin takes to start, and a plugin uses nothing of it.
    """
    for name in ("pulumi", "pulumi.runtime"):
        spec = importlib.util.find_spec(name)
        package = ModuleType(name)
        package.__path__ = (spec and spec.submodule_search_locations) or []
        sys.modules[name] = package


def _command(engine: str | None) -> Servicer:
    from lab.providers import command

    return command.make(engine)


def _docker(engine: str | None) -> Servicer:
    from lab.providers import docker_types

    return docker_types.make(engine)


def _main() -> None:
    _without_sdk()
    from lab.providers.server import serve

    serve({"command": _command, "docker": _docker}[sys.argv[1]], sys.argv[2:])


if __name__ == "__main__":
    _main()
