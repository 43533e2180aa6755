"""The docker plugin's types as data: properties, Docker's requests, the state that is read back.

Pure: nothing here uses a daemon. ForceNew, computed and default as in terraform's schemas
(resource_docker_{network,image,container}.go).
"""

from __future__ import annotations

import io
import tarfile
import time
from dataclasses import dataclass
from typing import Any, Literal

from lab.providers.properties import Field, Schema
from lab.providers.wire import Properties

_REQUIRED = Field(str, required=True)
_LABEL = {"label": _REQUIRED, "value": _REQUIRED}

NETWORK: Schema = {
    "name": _REQUIRED,
    "labels": Field(set, nested=_LABEL),
    "driver": Field(str, computed=True),
}

REMOTE_IMAGE: Schema = {
    "name": _REQUIRED,
    "keepLocally": Field(bool, required=True, only=True),
    "pullTriggers": Field(set),
    "imageId": Field(str, computed=True, output=True),
}

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Setting:
    """A property that is one value of Docker's create request and of its inspection."""

    field: Field
    section: Literal["Config", "HostConfig"]
    key: str
    unit: int = 1
    """Docker's value divided by the plugin's: the plugin's memory is in MiB."""

    def to_docker(self, value: Any) -> Any:
        """Return Docker's form; -1 (no limit) has no unit."""
        return value * self.unit if self.unit > 1 and value > 0 else value

    def from_docker(self, value: Any) -> Any:
        """Return the plugin's form."""
        return value // self.unit if self.unit > 1 and value and value > 0 else value


def _config(field: Field, key: str) -> Setting:
    return Setting(field, "Config", key)


def _host(field: Field, key: str, unit: int = 1) -> Setting:
    return Setting(field, "HostConfig", key, unit)


SETTINGS = {
    "command": _config(Field(list, computed=True, pending=True), "Cmd"),
    "entrypoints": _config(Field(list, computed=True, pending=True), "Entrypoint"),
    # An empty user means the image's user (DiffSuppressFunc), as if it were computed.
    "user": _config(Field(str, computed=True), "User"),
    "securityOpts": _host(Field(set, computed=True), "SecurityOpt"),
    "memory": _host(Field(int, replaces=False), "Memory", MEBIBYTE),
    # Docker's default is twice the memory; the plugin reads that back, and it is not `computed`: a
    # program that sets `memory` alone has a change at every update.
    "memorySwap": _host(Field(int, replaces=False), "MemorySwap", MEBIBYTE),
}
_NETWORK_DATA = {
    "ipAddress": "IPAddress",
    "ipPrefixLength": "IPPrefixLen",
    "gateway": "Gateway",
    "globalIpv6Address": "GlobalIPv6Address",
    "globalIpv6PrefixLength": "GlobalIPv6PrefixLen",
    "ipv6Gateway": "IPv6Gateway",
    "macAddress": "MacAddress",
}
"""What the plugin reads of a network that the container is on, and Docker's name of it."""
UPDATED_IN_PLACE = ("restart", "memory", "memorySwap")

CONTAINER: Schema = {
    **{name: setting.field for name, setting in SETTINGS.items()},
    "name": _REQUIRED,
    "image": _REQUIRED,
    "restart": Field(str, replaces=False, default="no"),
    "logDriver": Field(str, computed=True),
    "logOpts": Field(dict),
    "envs": Field(set, computed=True),
    "labels": Field(set, computed=True, nested=_LABEL),
    "capabilities": Field(dict, nested={"adds": Field(set), "drops": Field(set)}),
    "ports": Field(
        list,
        nested={
            "internal": Field(int, required=True),
            "external": Field(int, computed=True),
            "ip": Field(str, default="0.0.0.0"),  # noqa: S104 - the real plugin's default
            "protocol": Field(str, default="tcp"),
        },
    ),
    "networksAdvanced": Field(set, nested={"name": _REQUIRED, "aliases": Field(set)}),
    "uploads": Field(set, nested={"file": _REQUIRED, "content": _REQUIRED}),
    "volumes": Field(set, nested={"volumeName": _REQUIRED, "containerPath": _REQUIRED}),
    "mustRun": Field(bool, replaces=False, default=True),
    "destroyGraceSeconds": Field(int, replaces=False),
    "networkDatas": Field(list, replaces=False, computed=True, output=True, pending=True),
}


def labels_of(inputs: Properties) -> dict[str, str]:
    """Return Docker's form of a set of labels."""
    return {item["label"]: item["value"] for item in inputs.get("labels", [])}


def create_request(inputs: Properties) -> Properties:
    """Return the body of Docker's POST /containers/create."""
    config: Properties = {"Image": inputs["image"], "Labels": labels_of(inputs)}
    host: Properties = {
        "Init": False,
        "NetworkMode": "bridge",
        "LogConfig": {
            "Type": inputs.get("logDriver", ""),
            "Config": inputs.get("logOpts", {}),
        },
        "RestartPolicy": {"Name": inputs["restart"]},
        "CapAdd": inputs.get("capabilities", {}).get("adds"),
        "CapDrop": inputs.get("capabilities", {}).get("drops"),
        "PortBindings": {},
    }
    for name, setting in SETTINGS.items():
        if name in inputs:
            section = config if setting.section == "Config" else host
            section[setting.key] = setting.to_docker(inputs[name])
    if "envs" in inputs:
        config["Env"] = inputs["envs"]
    for port in inputs.get("ports", []):
        binding = {"HostIp": port["ip"], "HostPort": str(port.get("external", ""))}
        key = f"{port['internal']}/{port['protocol']}"
        host["PortBindings"].setdefault(key, []).append(binding)
    config["ExposedPorts"] = {key: {} for key in host["PortBindings"]}
    if volumes := inputs.get("volumes"):  # terraform: volumeSetToDockerVolumes, of named ones alone
        config["Volumes"] = {volume["containerPath"]: {} for volume in volumes}
        host["Binds"] = [f"{one['volumeName']}:{one['containerPath']}:rw" for one in volumes]
    return {**config, "HostConfig": host}


def observed(container: Properties, state: Properties) -> Properties:
    """Return the state of an inspected container; `state` is the state before.

    Labels, environment, networks, volumes and uploads are never read back, nor is anything that
    only the plugin knows, such as the grace period.
    """
    host, networks = container["HostConfig"], container["NetworkSettings"]
    running = container["State"]["Running"]
    found: Properties = {
        name: setting.from_docker(container[setting.section].get(setting.key))
        for name, setting in SETTINGS.items()
    }
    found |= {name: [] for name in ("command", "entrypoints") if found[name] is None}
    found |= {
        "name": container["Name"].lstrip("/"),
        # The id if the state has an id, else the name that the program set (kreuzwerker#426).
        "image": container["Image"]
        if state["image"].startswith("sha256:")
        else container["Config"]["Image"],
        "restart": host["RestartPolicy"]["Name"] or "no",
        "logDriver": host["LogConfig"]["Type"],
        "networkDatas": [
            {"networkName": name} | {ours: data.get(key) for ours, key in _NETWORK_DATA.items()}
            for name, data in sorted(networks["Networks"].items())
        ],
    }
    if state.get("logOpts"):
        found["logOpts"] = host["LogConfig"]["Config"]
    if host["CapAdd"] or host["CapDrop"]:
        found["capabilities"] = {"adds": host["CapAdd"] or [], "drops": host["CapDrop"] or []}
    # A stopped container publishes no ports: they are read as gone, unless `mustRun` is off.
    if state.get("ports") and (running or state.get("mustRun", True)):
        found["ports"] = _ports(networks["Ports"] or {})
    if not running:
        found["mustRun"] = False  # so that the next update starts it
    return found


def _ports(published: Properties) -> list[Properties]:
    """Return published ports, sorted by the container's port (terraform, byPortAndProtocol)."""
    flat = []
    for key in sorted(published, key=lambda key: int(key.split("/")[0])):
        internal, protocol = key.split("/")
        flat += [
            {
                "internal": int(internal),
                "external": int(binding["HostPort"] or 0),
                "ip": binding["HostIp"],
                "protocol": protocol,
            }
            for binding in published[key] or []
        ]
    return flat


def upload_archive(upload: Properties) -> bytes:
    """Return the tar archive that writes one uploaded file to its path."""
    content = upload["content"].encode()
    entry = tarfile.TarInfo(upload["file"])
    entry.size, entry.mtime = len(content), int(time.time())
    entry.mode = 0o644
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
