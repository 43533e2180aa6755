"""docker:index/container:Container (terraform, resource_docker_container_funcs.go)."""

from __future__ import annotations

import base64
import contextlib
import io
import tarfile
import time
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from docker.errors import APIError, NotFound

from lab.providers.docker_objects import pulled
from lab.providers.docker_resource import LABELS, NAME, DockerResource, labels_of, saying
from lab.providers.properties import Field, Schema
from lab.providers.server import Call, ProviderError
from lab.providers.wire import Properties

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
    "hostname": _config(Field(str, computed=True), "Hostname"),
    "command": _config(Field(list, computed=True, items=str, pending=True), "Cmd"),
    "entrypoints": _config(Field(list, computed=True, items=str, pending=True), "Entrypoint"),
    # An empty user or folder is that of the image (DiffSuppressFunc): as if computed.
    "user": _config(Field(str, computed=True), "User"),
    "workingDir": _config(Field(str, computed=True), "WorkingDir"),
    "tty": _config(Field(bool, default=False), "Tty"),
    "stdinOpen": _config(Field(bool, default=False), "OpenStdin"),
    "rm": _host(Field(bool, replaces=False, default=False), "AutoRemove"),
    "readOnly": _host(Field(bool, default=False), "ReadonlyRootfs"),
    "privileged": _host(Field(bool), "Privileged"),
    "dns": _host(Field(set, items=str), "Dns"),
    "securityOpts": _host(Field(set, computed=True, items=str), "SecurityOpt"),
    "tmpfs": _host(Field(dict, replaces=False, items=str), "Tmpfs"),
    "init": _host(Field(bool, replaces=False, computed=True), "Init"),
    "networkMode": _host(Field(str, default="bridge"), "NetworkMode"),
    "ipcMode": _host(Field(str, computed=True), "IpcMode"),
    "runtime": _host(Field(str, computed=True), "Runtime"),
    "cpuSet": _host(Field(str, replaces=False), "CpusetCpus"),
    "cpuShares": _host(Field(int, replaces=False), "CpuShares"),
    "memory": _host(Field(int, replaces=False), "Memory", MEBIBYTE),
    "memoryReservation": _host(
        Field(int, replaces=False, default=0), "MemoryReservation", MEBIBYTE
    ),
    # Docker chooses twice the memory, the plugin reads that back and it is not `computed`: a
    # program that gives `memory` alone has a change to make at every update.
    "memorySwap": _host(Field(int, replaces=False), "MemorySwap", MEBIBYTE),
    "shmSize": _host(Field(int, computed=True), "ShmSize", MEBIBYTE),
}
UPDATED_IN_PLACE = (
    "restart", "maxRetryCount", "cpuShares", "memory", "memoryReservation", "cpuSet", "memorySwap",
)  # fmt: skip
_PATH = Field(str, required=True)
_UPLOAD = {
    "file": _PATH,
    "content": Field(str),
    "contentBase64": Field(str),
    "executable": Field(bool, default=False),
    "permissions": Field(str, pattern="0[0-7]{3}"),
}


class Container(DockerResource):
    """A container, started. Health checks, `wait`, `attach` and `logs` are not covered."""

    covers: ClassVar[str] = "docker:index/container:Container"
    deletes_before_replacing: ClassVar[bool] = True  # docker: DeleteBeforeReplace
    schema: ClassVar[Schema] = {
        **{name: setting.field for name, setting in SETTINGS.items()},
        "name": NAME,
        "image": Field(str, required=True),
        "restart": Field(
            str, replaces=False, default="no", pattern="no|on-failure|always|unless-stopped"
        ),
        "maxRetryCount": Field(int, replaces=False),
        "logDriver": Field(str, computed=True),
        "logOpts": Field(dict, items=str),
        "envs": Field(set, computed=True, items=str),
        "labels": Field(set, computed=True, nested=LABELS.nested),
        "capabilities": Field(
            dict, nested={"adds": Field(set, items=str), "drops": Field(set, items=str)}
        ),
        "hosts": Field(set, nested={"host": _PATH, "ip": _PATH}),
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
                "name": Field(str, required=True),
                "aliases": Field(set, items=str),
                "ipv4Address": Field(str),
                "ipv6Address": Field(str),
            },
        ),
        "volumes": Field(
            set,
            nested={
                "containerPath": _PATH,
                "hostPath": Field(str, pattern="/.*"),
                "volumeName": Field(str),
                "readOnly": Field(bool),
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

    def make(self, api: Any, inputs: Properties) -> str:
        with saying(f"Unable to create container with image {inputs['image']}"):
            pulled(api, inputs["image"])
        with saying("Unable to create container"):
            made = api.create_container_from_config(create_request(inputs), inputs["name"])
        return str(made["Id"])

    def finish(self, api: Any, call: Call, identity: str, inputs: Properties) -> None:
        """Join the networks, upload, start: in this order."""
        if networks := inputs.get("networksAdvanced"):
            _leave_bridge(api, identity)
            for network in networks:
                with saying(f"Unable to connect to network '{network['name']}'"):
                    api.connect_container_to_network(
                        identity,
                        network["name"],
                        aliases=network.get("aliases"),
                        ipv4_address=network.get("ipv4Address"),
                        ipv6_address=network.get("ipv6Address"),
                    )
        for upload in inputs.get("uploads", []):
            archive = upload_archive(upload)
            with saying("Unable to upload volume content"):
                api.put_archive(identity, "/", archive)
        if inputs["start"]:
            with saying("Unable to start container"):
                api.start(identity)

    def change(self, api: Any, identity: str, state: Properties, inputs: Properties) -> None:
        """Start what must run; change limits and restarts. All else has no effect."""
        if inputs["mustRun"] and not state.get("mustRun", True) and inputs["start"]:
            with saying("Unable to start container"):
                api.start(identity)
        if any(state.get(name) != inputs.get(name) for name in UPDATED_IN_PLACE):
            host = create_request(inputs)["HostConfig"]
            keys = ("CpuShares", "Memory", "MemoryReservation", "CpusetCpus", "MemorySwap")
            request = {key: host[key] for key in keys if key in host}
            request["RestartPolicy"] = host["RestartPolicy"]
            with saying("Unable to update a container"):
                url = api._url("/containers/{0}/update", identity)
                # docker-py's own update_container has no way to give all of these.
                api._result(api._post_json(url, data=request), json=True)

    def find(self, api: Any, identity: str, state: Properties) -> Properties:
        return observed(api.inspect_container(identity), state)

    def remove(self, api: Any, call: Call, identity: str, state: Properties) -> None:
        with contextlib.suppress(NotFound):
            with saying(f"Error stopping container {identity}"):
                _ignoring_absence(api.stop, identity, timeout=state.get("destroyGraceSeconds", 0))
            with saying(f"Error deleting container {identity}"):
                _ignoring_absence(
                    api.remove_container, identity, v=state.get("removeVolumes", True), force=True
                )
            api.wait(identity)


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
        "ExtraHosts": [f"{item['host']}:{item['ip']}" for item in inputs.get("hosts", [])],
        "Binds": [],
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
    config["Volumes"] = {item["containerPath"]: {} for item in inputs.get("volumes", [])}
    for item in inputs.get("volumes", []):
        if source := item.get("hostPath") or item.get("volumeName"):
            mode = "ro" if item.get("readOnly") else "rw"
            host["Binds"].append(f"{source}:{item['containerPath']}:{mode}")
    return {**config, "HostConfig": host}


def observed(container: Properties, state: Properties) -> Properties:
    """Return the state of an inspected container; `state` is what was known before.

    Labels, environment, networks, volumes and uploads are never read back. Neither the grace
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
        "image": container["Image" if state["image"].startswith("sha256:") else "Config"],
        "restart": host["RestartPolicy"]["Name"] or "no",
        "maxRetryCount": host["RestartPolicy"]["MaximumRetryCount"],
        "logDriver": host["LogConfig"]["Type"],
        "hosts": [
            dict(zip(("host", "ip"), line.split(":")[:2], strict=True))
            for line in host["ExtraHosts"] or []
        ],
        "bridge": networks.get("Bridge", ""),
        "networkDatas": [_network_data(*item) for item in sorted(networks["Networks"].items())],
    }
    if isinstance(found["image"], dict):
        found["image"] = found["image"]["Image"]
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
    given = [name for name in ("content", "contentBase64") if upload.get(name)]
    if len(given) != 1:
        raise ProviderError("error with upload content: give one of content and contentBase64")
    value = upload[given[0]]
    content = value.encode() if given == ["content"] else base64.b64decode(value)
    entry = tarfile.TarInfo(upload["file"])
    entry.size, entry.mtime = len(content), int(time.time())
    entry.mode = int(
        upload.get("permissions") or ("0744" if upload.get("executable") else "0644"), 8
    )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _leave_bridge(api: Any, identity: str) -> None:
    try:
        api.disconnect_container_from_network(identity, "bridge")
    except APIError as error:
        if "is not connected to the network bridge" not in str(error.explanation):
            raise


def _ignoring_absence(act: Any, identity: str, **arguments: Any) -> None:
    try:
        act(identity, **arguments)
    except APIError as error:
        text = str(error.explanation)
        if "No such container" not in text and "is already in progress" not in text:
            raise
