"""The docker plugin: its types and its one setting."""

from __future__ import annotations

from lab.providers.container import Container
from lab.providers.docker_objects import Network, RemoteImage, Volume
from lab.providers.docker_resource import VERSION, Host
from lab.providers.server import Configuration, Servicer


def make(engine: str | None) -> Servicer:
    """Return the plugin."""
    host = Host()
    resources = [Network(host), Volume(host), RemoteImage(host), Container(host)]
    return Servicer(
        VERSION, resources, {}, Configuration(host.schema, host.defaults, host.use), engine
    )
