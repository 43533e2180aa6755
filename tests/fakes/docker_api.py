"""A daemon behind the client of Docker's SDK for Python: no process, no socket.

It knows only the methods and arguments that the stand-in plugin uses, and answers as Docker 20.10.
"""

from __future__ import annotations

import itertools
from typing import Any

from docker.errors import APIError, DockerException, NotFound

Json = dict[str, Any]


class FakeDockerApi:
    """A test changes what the daemon holds, as a user's hand would, and reads what is left."""

    def __init__(self) -> None:
        self.networks: dict[str, Json] = {}
        self.images: dict[str, str] = {}
        """Id by name."""
        self.registry: dict[str, str] = {}
        """What can be pulled: id by name."""
        self.containers: dict[str, Json] = {}
        self.files: dict[str, list[bytes]] = {}
        """Archives that were written into each container, by its id."""
        self.taken_ports: set[int] = set()
        self.address: str | None = None
        """That of the last client; None: no client was made."""
        self.seconds: list[int] = []
        """The longest duration of a request, of each client that was made."""
        self.open_clients = 0
        self.down = False
        self.on_the_bridge = True
        """Whether a new container joins the network `bridge`."""
        self.calls: list[str] = []
        self._numbers = itertools.count(1)

    def connect(self, address: str, seconds: int, certificates: str) -> FakeDockerApi:
        """In place of `docker.APIClient`, which looks up the daemon's version at once."""
        self.address, self.certificates = address, certificates
        self.seconds.append(seconds)
        if self.down:
            raise DockerException("Error while fetching server API version: Connection refused")
        self.open_clients += 1
        return self

    def close(self) -> None:
        self.open_clients -= 1

    # --- networks ---------------------------------------------------------------------------------

    def create_network(self, name: str, *, driver: str | None, labels: dict[str, str]) -> Json:
        self.calls.append("create_network")
        identity = self._identity()
        self.networks[identity] = {"Name": name, "Driver": driver or "bridge", "Labels": labels}
        return {"Id": identity}

    def inspect_network(self, identity: str) -> Json:
        return self._network(identity)

    def remove_network(self, identity: str) -> None:
        self.calls.append("remove_network")
        name = self._network(identity)["Name"]
        if any(name in found["Networks"] for found in self.containers.values()):
            raise APIError(
                "403 Client Error",
                explanation="error while removing network:"
                f" network {name} id {identity} has active endpoints",
            )
        del self.networks[identity]

    # --- images -----------------------------------------------------------------------------------

    def inspect_image(self, name: str) -> Json:
        if name not in self.images and name not in self.images.values():
            raise NotFound("404 Client Error", explanation=f"No such image: {name}")
        return {"Id": self.images.get(name, name)}

    def pull(self, name: str) -> str:
        self.calls.append("pull")
        if name not in self.registry:
            raise APIError(
                "500 Server Error",
                explanation='Get "https://registry.example/v2/": dial tcp: no such host',
            )
        self.images[name] = self.registry[name]
        return ""

    # --- containers -------------------------------------------------------------------------------

    def create_container_from_config(self, config: Json, name: str) -> Json:
        self.calls.append("create_container")
        if any(found["Name"] == f"/{name}" for found in self.containers.values()):
            raise APIError(
                "409 Client Error",
                explanation=f'Conflict. The container name "/{name}" is already in use',
            )
        identity = self._identity()
        settings = {key: value for key, value in config.items() if key != "HostConfig"}
        self.containers[identity] = {
            "Name": f"/{name}",
            "Image": self.images.get(config["Image"], config["Image"]),
            "State": {"Running": False},
            "Config": {"Cmd": None, "Entrypoint": ["/of-the-image"], "User": ""} | settings,
            "HostConfig": {"SecurityOpt": None, "Memory": 0, "MemorySwap": 0}
            | config["HostConfig"],
            "Networks": {"bridge": _endpoint(2)} if self.on_the_bridge else {},
        }
        self.files[identity] = []
        return {"Id": identity}

    def inspect_container(self, identity: str) -> Json:
        found = self._container(identity)
        running = found["State"]["Running"]
        ports = found["HostConfig"]["PortBindings"] if running else {}
        return found | {"NetworkSettings": {"Networks": found["Networks"], "Ports": ports}}

    def connect_container_to_network(
        self, identity: str, network: str, *, aliases: list[str] | None
    ) -> None:
        self.calls.append("connect")
        if not any(found["Name"] == network for found in self.networks.values()):
            raise NotFound("404 Client Error", explanation=f"network {network} not found")
        self._container(identity)["Networks"][network] = _endpoint(7) | {"Aliases": aliases}

    def disconnect_container_from_network(self, identity: str, network: str) -> None:
        self.calls.append("disconnect")
        if network not in self._container(identity)["Networks"]:
            raise APIError(
                "500 Server Error",
                explanation=f"container {identity} is not connected to the network {network}",
            )
        del self._container(identity)["Networks"][network]

    def put_archive(self, identity: str, path: str, data: bytes) -> bool:
        self.calls.append(f"put_archive {path}")
        self._container(identity)
        self.files[identity].append(data)
        return True

    def start(self, identity: str) -> None:
        self.calls.append("start")
        found = self._container(identity)
        for bindings in found["HostConfig"]["PortBindings"].values():
            for binding in bindings:
                if int(binding["HostPort"]) in self.taken_ports:
                    raise APIError(
                        "500 Server Error",
                        explanation="driver failed programming external connectivity on endpoint"
                        f" {found['Name'][1:]}: Error starting userland proxy: listen tcp4"
                        f" {binding['HostIp']}:{binding['HostPort']}: bind: address already in use",
                    )
        found["State"]["Running"] = True

    def update_container(
        self,
        identity: str,
        *,
        mem_limit: int | None,
        memswap_limit: int | None,
        restart_policy: Json,
    ) -> None:
        self.calls.append("update")
        host = self._container(identity)["HostConfig"]
        host |= {"Memory": mem_limit, "MemorySwap": memswap_limit, "RestartPolicy": restart_policy}

    def stop(self, identity: str, *, timeout: int) -> None:
        self.calls.append(f"stop {timeout}")
        self._container(identity)["State"]["Running"] = False

    def remove_container(self, identity: str, *, v: bool, force: bool) -> None:
        self.calls.append(f"remove_container v={v} force={force}")
        self._container(identity)
        del self.containers[identity]

    def wait(self, identity: str) -> None:
        self.calls.append("wait")
        self._container(identity)

    # ----------------------------------------------------------------------------------------------

    def _identity(self) -> str:
        return f"{next(self._numbers):064x}"

    def _network(self, identity: str) -> Json:
        if identity not in self.networks:
            raise NotFound("404 Client Error", explanation=f"network {identity} not found")
        return self.networks[identity]

    def _container(self, identity: str) -> Json:
        if identity not in self.containers:
            raise NotFound("404 Client Error", explanation=f"No such container: {identity}")
        return self.containers[identity]


def _endpoint(number: int) -> Json:
    return {
        "IPAddress": f"172.18.0.{number}",
        "IPPrefixLen": 16,
        "Gateway": "172.18.0.1",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPv6Gateway": "",
        "MacAddress": f"02:42:ac:12:00:{number:02x}",
    }
