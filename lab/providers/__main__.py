"""`python -m lab.providers command|docker [engine address]`: run one of the plugins."""

from __future__ import annotations

import sys

from lab.providers.server import Servicer, serve


def _command(engine: str | None) -> Servicer:
    from lab.providers import command  # noqa: PLC0415 - each plugin loads only what it needs

    return command.make(engine)


def _docker(engine: str | None) -> Servicer:
    from lab.providers import docker_types  # noqa: PLC0415 - Docker's SDK is slow to load

    return docker_types.make(engine)


if __name__ == "__main__":
    serve({"command": _command, "docker": _docker}[sys.argv[1]], sys.argv[2:])
