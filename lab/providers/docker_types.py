"""The docker plugin's types: the requests that they send to the daemon, and in which order."""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar

from lab.providers import VERSIONS
from lab.providers import docker_specs as specs
from lab.providers.docker_resource import (
    Connect,
    DockerResource,
    Host,
    connect,
    ignoring,
    remove_patiently,
    saying,
    sdk,
)
from lab.providers.properties import Schema
from lab.providers.server import Configuration, ProviderError, Servicer
from lab.providers.wire import Properties


class Network(DockerResource):
    """A network (terraform, resource_docker_network_funcs.go).

    The real type waits 2 s before its first read after a create, and at a delete 2 s before its
    first try and 5 s before every further one; this one does not wait. It has no
    delete-before-replace of its own: unless the program sets that option, a replacement first makes
    a second network of the same name.
    """

    covers: ClassVar[str] = "docker:index/network:Network"
    schema: ClassVar[Schema] = specs.NETWORK

    def make(self, api: Any, inputs: Properties) -> str:
        with saying("Unable to create network: "):
            made = api.create_network(
                inputs["name"],
                driver=inputs.get("driver"),
                labels=specs.labels_of(inputs),
            )
        return str(made["Id"])

    def find(self, api: Any, identity: str, state: Properties) -> Properties:
        return {"driver": api.inspect_network(identity)["Driver"]}

    def remove(self, api: Any, identity: str, state: Properties) -> None:
        remove_patiently(lambda: api.remove_network(identity), "has active endpoints", "pending")


class RemoteImage(DockerResource):
    """An image, not built here (terraform, resource_docker_image_funcs.go).

    The resource's id is the image's id followed by its name.
    """

    covers: ClassVar[str] = "docker:index/remoteImage:RemoteImage"
    schema: ClassVar[Schema] = specs.REMOTE_IMAGE

    def make(self, api: Any, inputs: Properties) -> str:
        with saying("Unable to read Docker image into resource: "):
            image = pulled(api, inputs["name"])
        return f"{image['Id']}{inputs['name']}"

    def find(self, api: Any, identity: str, state: Properties) -> Properties:
        return {"imageId": api.inspect_image(state["name"])["Id"]}

    def remove(self, api: Any, identity: str, state: Properties) -> None:
        """Keep the image, because of `keepLocally`."""


def pulled(api: Any, name: str) -> Properties:
    """Return the image's description; pull the image only if the daemon lacks it (findImage)."""
    with contextlib.suppress(sdk().errors.NotFound):
        return dict(api.inspect_image(name))
    with saying(f"unable to pull image {name}: "), saying(f"error pulling image {name}: "):
        api.pull(name)
    try:
        return dict(api.inspect_image(name))
    except sdk().errors.NotFound as error:
        raise ProviderError(f"unable to find or pull image {name}") from error


class Container(DockerResource):
    """A running container. Health checks, `wait`, `attach` and `logs` are not covered."""

    covers: ClassVar[str] = "docker:index/container:Container"
    deletes_before_replacing: ClassVar[bool] = True  # docker: DeleteBeforeReplace
    schema: ClassVar[Schema] = specs.CONTAINER

    def make(self, api: Any, inputs: Properties) -> str:
        with saying(f"Unable to create container with image {inputs['image']}: "):
            pulled(api, inputs["image"])
        with saying("Unable to create container: "):
            made = api.create_container_from_config(specs.create_request(inputs), inputs["name"])
        return str(made["Id"])

    def finish(self, api: Any, identity: str, inputs: Properties) -> None:
        """Join the networks, upload the files and start the container, in this order."""
        if networks := inputs.get("networksAdvanced"):
            with ignoring("is not connected to the network bridge"):
                api.disconnect_container_from_network(identity, "bridge")
            for network in networks:
                with saying(f"Unable to connect to network '{network['name']}': "):
                    api.connect_container_to_network(
                        identity, network["name"], aliases=network.get("aliases")
                    )
        for upload in inputs.get("uploads", []):
            archive = specs.upload_archive(upload)
            with saying("Unable to upload volume content: "):
                api.put_archive(identity, "/", archive)
        with saying("Unable to start container: "):
            api.start(identity)

    def change(self, api: Any, identity: str, state: Properties, inputs: Properties) -> None:
        """Start the container if it must run; change limits and restart policy. Nothing else."""
        if inputs["mustRun"] and not state.get("mustRun", True):
            with saying("Unable to start container: "):
                api.start(identity)
        if any(state.get(name) != inputs.get(name) for name in specs.UPDATED_IN_PLACE):
            host = specs.create_request(inputs)["HostConfig"]
            with saying("Unable to update a container: "):
                api.update_container(
                    identity,
                    mem_limit=host.get("Memory"),
                    memswap_limit=host.get("MemorySwap"),
                    restart_policy=host["RestartPolicy"],
                )

    def find(self, api: Any, identity: str, state: Properties) -> Properties:
        return specs.observed(api.inspect_container(identity), state)

    def remove(self, api: Any, identity: str, state: Properties) -> None:
        gone = ("No such container", "is already in progress")
        with saying(f"Error stopping container {identity}: "), ignoring(*gone):
            api.stop(identity, timeout=state.get("destroyGraceSeconds", 0))
        with saying(f"Error deleting container {identity}: "), ignoring(*gone):
            api.remove_container(identity, v=True, force=True)
        with saying(f"Error waiting for container removal '{identity}': "), ignoring(*gone):
            api.wait(identity)


def make(engine: str | None, connect: Connect = connect) -> Servicer:
    """Return the plugin; `connect` makes its clients of Docker's API."""
    host = Host(connect)
    resources = [Network(host), RemoteImage(host), Container(host)]
    configuration = Configuration(host.schema, host.effective, host.use)
    return Servicer(VERSIONS["docker"], resources, configuration, engine)
