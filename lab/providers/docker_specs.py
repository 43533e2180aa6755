"""What the docker plugin's types are made of: properties, Docker's requests, what is read back.

Pure; nothing here talks to a daemon. ForceNew, computed and default as in terraform's schemas
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
    "internal": Field(bool, computed=True),
    "attachable": Field(bool),
    "ipamConfigs": Field(set, computed=True, output=True),
    "scope": Field(str, computed=True, output=True),
}

REMOTE_IMAGE: Schema = {
    "name": _REQUIRED,
    "keepLocally": Field(bool, replaces=False),
    "pullTriggers": Field(set, items=str),
    "imageId": Field(str, computed=True, output=True),
    "repoDigest": Field(str, computed=True, output=True),
}

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Setting:
    """A property that is one value of Docker's create request and of its inspection."""

    field: Field
    section: Literal["Config", "HostConfig"]
    key: str
    unit: int = 1
    """Docker's value over the plugin's: memory is given in MiB."""

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
    "command": _config(Field(list, computed=True, items=str, pending=True), "Cmd"),
    "entrypoints": _config(Field(list, computed=True, items=str, pending=True), "Entrypoint"),
    # An empty user is that of the image (DiffSuppressFunc): as if computed.
    "user": _config(Field(str, computed=True), "User"),
    "readOnly": _host(Field(bool, default=False), "ReadonlyRootfs"),
    "securityOpts": _host(Field(set, computed=True, items=str), "SecurityOpt"),
    "networkMode": _host(Field(str, default="bridge"), "NetworkMode"),
    "memory": _host(Field(int, replaces=False), "Memory", MEBIBYTE),
    # Docker chooses twice the memory, the plugin reads that back and it is not `computed`: a
    # program that gives `memory` alone has a change to make at every update.
    "memorySwap": _host(Field(int, replaces=False), "MemorySwap", MEBIBYTE),
}
UPDATED_IN_PLACE = ("restart", "maxRetryCount", "memory", "memorySwap")
_UPLOAD = {
    "file": _REQUIRED,
    "content": _REQUIRED,
    "permissions": Field(str, pattern="0[0-7]{3}"),
}


CONTAINER: Schema = {
    **{name: setting.field for name, setting in SETTINGS.items()},
    "name": _REQUIRED,
    "image": _REQUIRED,
    "restart": Field(
        str, replaces=False, default="no", pattern="no|on-failure|always|unless-stopped"
    ),
    "maxRetryCount": Field(int, replaces=False),
    "logDriver": Field(str, computed=True),
    "logOpts": Field(dict, items=str),
    "envs": Field(set, computed=True, items=str),
    "labels": Field(set, computed=True, nested=_LABEL),
    "capabilities": Field(
        dict, nested={"adds": Field(set, items=str), "drops": Field(set, items=str)}
    ),
    "ports": Field(
        list,
        nested={
            "internal": Field(int, required=True),
            "external": Field(int, computed=True),
            "ip": Field(str, default="0.0.0.0"),  # noqa: S104 - the real plugin's default
            "protocol": Field(str, default="tcp"),
        },
    ),
    "networksAdvanced": Field(
        set,
        nested={
            "name": _REQUIRED,
            "aliases": Field(set, items=str),
            "ipv4Address": Field(str),
        },
    ),
    "uploads": Field(set, nested=_UPLOAD),
    "mustRun": Field(bool, replaces=False, default=True),
    "start": Field(bool, replaces=False, default=True),
    "wait": Field(bool, replaces=False, default=False, only=False),
    "waitTimeout": Field(int, replaces=False, default=60),
    "attach": Field(bool, replaces=False, default=False, only=False),
    "logs": Field(bool, replaces=False, default=False, only=False),
    "removeVolumes": Field(bool, replaces=False, default=True),
    "destroyGraceSeconds": Field(int, replaces=False),
    "containerReadRefreshTimeoutMilliseconds": Field(int, replaces=False, default=15000),
    "bridge": Field(str, computed=True, output=True),
    "exitCode": Field(int, computed=True, output=True),
    "networkDatas": Field(list, replaces=False, computed=True, output=True, pending=True),
}


def labels_of(inputs: Properties) -> dict[str, str]:
    """Return Docker's form of a set of labels."""
    return {item["label"]: item["value"] for item in inputs.get("labels", [])}


def label_set(labels: dict[str, str] | None) -> list[Properties]:
    """Return the plugin's form of Docker's labels."""
    return [{"label": key, "value": value} for key, value in sorted((labels or {}).items())]


def create_request(inputs: Properties) -> Properties:
    """Return the body of Docker's POST /containers/create."""
    config: Properties = {"Image": inputs["image"], "Labels": labels_of(inputs)}
    host: Properties = {
        "Init": False,
        "LogConfig": {
            "Type": inputs.get("logDriver", ""),
            "Config": inputs.get("logOpts", {}),
        },
        "RestartPolicy": {
            "Name": inputs["restart"],
            "MaximumRetryCount": inputs.get("maxRetryCount", 0),
        },
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
    return {**config, "HostConfig": host}


def observed(container: Properties, state: Properties) -> Properties:
    """Return the state of an inspected container; `state` is what was known before.

    Labels, environment, networks and uploads are never read back. Neither the grace
    period nor anything else that only the plugin knows is.
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
        # A `sha256:…` stays one: else the name that was given (kreuzwerker#426).
        "image": container["Image"]
        if state["image"].startswith("sha256:")
        else container["Config"]["Image"],
        "restart": host["RestartPolicy"]["Name"] or "no",
        "maxRetryCount": host["RestartPolicy"]["MaximumRetryCount"],
        "logDriver": host["LogConfig"]["Type"],
        "bridge": networks.get("Bridge", ""),
        "networkDatas": [_network_data(*item) for item in sorted(networks["Networks"].items())],
    }
    if state.get("logOpts"):
        found["logOpts"] = host["LogConfig"]["Config"]
    if host["CapAdd"] or host["CapDrop"]:
        found["capabilities"] = {"adds": host["CapAdd"] or [], "drops": host["CapDrop"] or []}
    # A stopped container publishes nothing: its ports are read as gone unless it may stand still.
    if state.get("ports") and (running or state.get("mustRun", True)):
        found["ports"] = _ports(networks["Ports"] or {})
    if not running:
        found["exitCode"] = container["State"]["ExitCode"]
        found["mustRun"] = False  # so that the next update starts it
    return found


def _network_data(name: str, endpoint: Properties) -> Properties:
    return {
        "networkName": name,
        "ipAddress": endpoint["IPAddress"],
        "ipPrefixLength": endpoint["IPPrefixLen"],
        "gateway": endpoint["Gateway"],
        "globalIpv6Address": endpoint["GlobalIPv6Address"],
        "globalIpv6PrefixLength": endpoint["GlobalIPv6PrefixLen"],
        "ipv6Gateway": endpoint["IPv6Gateway"],
        "macAddress": endpoint["MacAddress"],
    }


def _ports(published: Properties) -> list[Properties]:
    """Return published ports sorted by the container's (terraform, byPortAndProtocol)."""
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
    """Return the tar that puts one uploaded file in its place."""
    content = upload["content"].encode()
    entry = tarfile.TarInfo(upload["file"])
    entry.size, entry.mtime = len(content), int(time.time())
    entry.mode = int(upload.get("permissions", "0644"), 8)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
