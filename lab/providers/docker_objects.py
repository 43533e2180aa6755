"""docker:index/network:Network, index/volume:Volume and index/remoteImage:RemoteImage."""

from __future__ import annotations

from typing import Any, ClassVar

from docker.errors import NotFound
from docker.types import IPAMConfig, IPAMPool

from lab.providers.docker_resource import (
    LABELS,
    NAME,
    DockerResource,
    label_set,
    labels_of,
    remove_patiently,
    saying,
)
from lab.providers.properties import Field, Schema
from lab.providers.server import Call, ProviderError
from lab.providers.wire import Properties


class Network(DockerResource):
    """terraform, resource_docker_network_funcs.go.

    The real one waits 2 s before its first look after a create; this one doesn't. No
    delete-before-replace of its own: unless the program asks for it, a replacement makes a second
    network of the same name first.
    """

    covers: ClassVar[str] = "docker:index/network:Network"
    schema: ClassVar[Schema] = {
        "name": NAME,
        "labels": LABELS,
        "driver": Field(str, computed=True),
        "options": Field(dict, computed=True, items=str),
        "internal": Field(bool, computed=True),
        "attachable": Field(bool),
        "ingress": Field(bool),
        "ipv6": Field(bool),
        "ipamDriver": Field(str, default="default"),
        "ipamOptions": Field(dict, items=str),
        "ipamConfigs": Field(
            set,
            computed=True,
            nested={"subnet": Field(str), "gateway": Field(str), "ipRange": Field(str)},
        ),
        "scope": Field(str, computed=True, output=True),
    }

    def make(self, api: Any, inputs: Properties) -> str:
        pools = [
            IPAMPool(pool.get("subnet"), pool.get("ipRange"), pool.get("gateway"))
            for pool in inputs.get("ipamConfigs", [])
        ]
        with saying("Unable to create network"):
            made = api.create_network(
                inputs["name"],
                driver=inputs.get("driver"),
                options=inputs.get("options"),
                ipam=IPAMConfig(inputs["ipamDriver"], pools, inputs.get("ipamOptions")),
                internal=inputs.get("internal", False),
                labels=labels_of(inputs),
                enable_ipv6=inputs.get("ipv6", False),
                attachable=inputs.get("attachable"),
                ingress=inputs.get("ingress"),
            )
        return str(made["Id"])

    def find(self, api: Any, identity: str, state: Properties) -> Properties:
        network = api.inspect_network(identity)
        keys = {"Subnet": "subnet", "Gateway": "gateway", "IPRange": "ipRange"}
        return {
            "name": network["Name"],
            "labels": label_set(network["Labels"]),
            "driver": network["Driver"],
            "options": network["Options"] or {},
            "internal": network["Internal"],
            "attachable": network["Attachable"],
            "ingress": network["Ingress"],
            "ipv6": network["EnableIPv6"],
            "ipamDriver": network["IPAM"]["Driver"],
            "ipamOptions": network["IPAM"]["Options"] or {},
            "ipamConfigs": [
                {name: pool[key] for key, name in keys.items() if pool.get(key)}
                for pool in network["IPAM"]["Config"] or []
            ],
            "scope": network["Scope"],
        }

    def remove(self, api: Any, call: Call, identity: str, state: Properties) -> None:
        remove_patiently(
            call, lambda: api.remove_network(identity), "has active endpoints", "pending"
        )


class Volume(DockerResource):
    """terraform, resource_docker_volume.go; without cluster volumes. The id is the name."""

    covers: ClassVar[str] = "docker:index/volume:Volume"
    schema: ClassVar[Schema] = {
        "name": NAME,
        "labels": LABELS,
        "driver": Field(str, computed=True),
        "driverOpts": Field(dict, items=str),
        "mountpoint": Field(str, computed=True, output=True),
    }

    def make(self, api: Any, inputs: Properties) -> str:
        with saying("Unable to create volume"):
            volume = api.create_volume(
                inputs["name"], inputs.get("driver"), inputs.get("driverOpts"), labels_of(inputs)
            )
        return str(volume["Name"])

    def find(self, api: Any, identity: str, state: Properties) -> Properties:
        volume = api.inspect_volume(identity)
        return {
            "name": volume["Name"],
            "labels": label_set(volume["Labels"]),
            "driver": volume["Driver"],
            "driverOpts": volume["Options"] or {},
            "mountpoint": volume["Mountpoint"],
        }

    def remove(self, api: Any, call: Call, identity: str, state: Properties) -> None:
        remove_patiently(
            call, lambda: api.remove_volume(identity, force=True), "volume is in use", "in_use"
        )


class RemoteImage(DockerResource):
    """terraform, resource_docker_image_funcs.go; without builds. The id is image id + name."""

    covers: ClassVar[str] = "docker:index/remoteImage:RemoteImage"
    autonamed: ClassVar[bool] = False
    schema: ClassVar[Schema] = {
        "name": Field(str, required=True),
        "keepLocally": Field(bool, replaces=False),
        "forceRemove": Field(bool, replaces=False),
        "pullTriggers": Field(set, items=str),
        "triggers": Field(dict),
        "platform": Field(str),
        "imageId": Field(str, computed=True, output=True),
        "repoDigest": Field(str, computed=True, output=True),
    }

    def make(self, api: Any, inputs: Properties) -> str:
        with saying("Unable to read Docker image into resource"):
            image = pulled(api, inputs["name"], inputs.get("platform"))
        return f"{image['Id']}{inputs['name']}"

    def change(self, api: Any, identity: str, state: Properties, inputs: Properties) -> None:
        with saying("Unable to read Docker image into resource"):
            pulled(api, inputs["name"], inputs.get("platform"))

    def find(self, api: Any, identity: str, state: Properties) -> Properties:
        image = api.inspect_image(state["name"])
        digests: list[str] = image.get("RepoDigests") or []
        repository = state["name"].split(":")[0]
        own = [digest for digest in digests if digest.startswith(repository)]
        return {"imageId": image["Id"], "repoDigest": next(iter(own or digests), "")}

    def remove(self, api: Any, call: Call, identity: str, state: Properties) -> None:
        if state.get("keepLocally"):
            return
        with saying("Unable to remove Docker image"):
            try:
                api.remove_image(state["name"], force=state.get("forceRemove", False))
            except NotFound:
                return


def pulled(api: Any, name: str, platform: str | None = None) -> Properties:
    """Return the image's description; it is pulled only when the daemon has none (findImage)."""
    try:
        return dict(api.inspect_image(name))
    except NotFound:
        pass
    with saying(f"unable to pull image {name}"), saying(f"error pulling image {name}"):
        api.pull(name, platform=platform or None)
    try:
        return dict(api.inspect_image(name))
    except NotFound as error:
        raise ProviderError(f"unable to find or pull image {name}") from error
