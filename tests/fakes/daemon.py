"""Fakes of ``docker`` and ``k3d``, on a daemon that is three lists.

They know only the calls and options that the project uses. Any other call is an error, so no test
passes with a call that Docker would reject.
"""

from __future__ import annotations

import io
import itertools
import json
import re
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from runtime_observability.core import naming
from runtime_observability.core.naming import Names
from tests.fakes.executables import Answer, Call, Executables


@dataclass
class DockerObject:
    """A container, network or volume; Docker cannot remove it when ``stuck`` is set."""

    id: str
    name: str
    labels: dict[str, str] = field(default_factory=dict)
    host_name: str = ""
    """That it was made with; empty: its name."""
    networks: list[str] = field(default_factory=list)
    image: str = ""
    """Its name while that is of this image, else its id: as `docker ps` lists it."""
    state: str = "running"
    ports: str = ""
    stuck: bool = False
    log: str = ""
    errors: str = ""
    """What `docker logs` writes to stderr."""
    top: str = ""
    restarts: int = 0
    restart_policy: str = "unless-stopped"
    exit_code: int = 0
    created: str = "2026-11-27T04:07:19.950510484Z"
    started: str = "2026-11-27T04:07:20.050510484Z"
    """When its life began."""
    ended: str = "0001-01-01T00:00:00Z"
    """When the life before that ended: Docker's word for never."""
    files: dict[str, str] = field(default_factory=dict)
    published: dict[str, str] = field(default_factory=dict)
    """Addresses on this machine by port, for instance 4318/tcp."""
    reached: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What `docker inspect` tells of its networks, by their names."""
    network_mode: str = "bridge"
    address: str = ""
    """On its only network, while it runs."""
    mounts: list[dict[str, str]] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)
    """Where its image has volumes."""
    variables: list[str] = field(default_factory=list)
    """Its environment, where it was created from a file of it."""

    @property
    def names_of_networks(self) -> str:
        """As `docker ps` lists them; ``networks`` are ids."""
        return ",".join(identity.removeprefix("id-of-") for identity in self.networks)


INSPECTED_SERVER: dict[str, Any] = {
    "Image": "sha256:5b6e0f2a",
    "Config": {
        "Image": "rancher/k3s:v1.36.3-k3s1",
        "Entrypoint": ["/bin/k3d-entrypoint.sh"],
        "Env": ["PATH=/bin", "K3S_TOKEN=secret", "K3S_KUBECONFIG_OUTPUT=/output/kubeconfig.yaml"],
        "Labels": {
            "app": "k3d", "k3d.cluster": "traced-dev", "k3d.cluster.token": "secret",
            "k3d.role": "server", "k3d.server.api.port": "6550", "runtime-observability.owner": "x",
        },
    },
    "HostConfig": {
        "Binds": ["k3d-traced-dev-images:/k3d/images"],
        "RestartPolicy": {"Name": "unless-stopped"},
        "CgroupnsMode": "host",
        "UsernsMode": "host",
        "SecurityOpt": ["label=disable"],
        "Tmpfs": {"/run": "", "/var/run": ""},
    },
}  # fmt: skip
"""What `docker inspect` says of a server that k3d 5.9.0 created, as far as it is read."""


class FakeDaemon:
    """A test adds objects, runs the code, then checks the remaining objects and the calls."""

    def __init__(self, folder: Path) -> None:
        self.containers: list[DockerObject] = []
        self.networks: list[DockerObject] = []
        self.volumes: list[DockerObject] = []
        self.down = self.denied = False
        self.host = "unix:///var/run/docker.sock"
        self.info: dict[str, Any] = {
            "ID": "6f2c1d34-daemon",
            "ServerVersion": "20.10.24",
            "CgroupVersion": "2",
            "SwapLimit": True,
            "Architecture": "x86_64",
        }
        self.images: dict[str, dict[str, str]] = {}
        """The files of each image by name; empty for an image that was not built here."""
        self.pulled = {"ghcr.io/k3d-io/k3d-tools:5.9.0"}
        """Images that `docker pull` has brought: at first that of k3d's own container."""
        self.loads = True
        """Whether the builder gives an image to the daemon."""
        self.served: set[str] = set()
        """Images that are in their registries."""
        self.executable: set[str] = set()
        """Names of the executable files in the image that was built last."""
        self.runs = Answer("containerd github.com/containerd/containerd/v2 v2.3.4\n")
        """The result of `docker run`."""
        self.in_nodes: Callable[[str], Answer] = lambda _: Answer()
        """The result of a shell in a node, by the last of its arguments."""
        self.curls: list[Answer] = []
        """The results of curl in a container, in turn."""
        self.k3d_version = "5.9.0"
        self.k3d_fails_after: int | None = None
        """Number of nodes that `k3d cluster create` creates before it fails; None: no failure."""
        self.start_fails = False
        self.hanging = ""
        """The node at which `k3d cluster start` gives up, before it comes to agents after it."""
        self.starts: Callable[[DockerObject], None] = lambda _: None
        """What happens to a container when it is started."""
        self.events: list[str] = []
        """What `docker events` remembers of ends: `die 137`, or `oom <no value>` before it."""
        """Whether Docker remembers that a container ran out of memory."""
        self.kubectl: dict[str, Answer] = {"get": Answer('{"items": []}')}
        """The result of kubectl in a node, by its verb; by "VERB RESOURCE" if there is one, and
        with --dry-run=server by "VERB RESOURCE --dry-run=server" or "VERB --dry-run=server"."""
        self.inspected: dict[str, Any] = INSPECTED_SERVER
        self._pending: list[tuple[int, DockerObject]] = []
        self._numbers = itertools.count()
        self.executables = Executables(folder, ("docker", "k3d"), self._answer)
        self.executables.script("sleep", "#!/bin/sh\n")

    @property
    def path(self) -> str:
        return self.executables.path

    def calls_to(self, *command: str) -> list[Call]:
        """The calls whose arguments begin with ``command``."""
        return [call for call in self.executables.calls if call.argv[: len(command)] == command]

    @property
    def names(self) -> set[str]:
        """The names of all objects."""
        return {found.name for found in (*self.containers, *self.networks, *self.volumes)}

    def container(
        self, name: str, *, after_checks: int | None = None, **values: Any
    ) -> DockerObject:
        """Adds a container; with ``after_checks`` it appears after that many `docker ps`."""
        container = DockerObject(f"id-of-{name}", name, **values)
        if after_checks is None:
            self.containers.append(container)
        else:
            self._pending.append((after_checks, container))
        return container

    def node(
        self, names: Names, role: str = "server", index: int = 0, **values: Any
    ) -> DockerObject:
        """Adds a node of the stack's cluster; the stack owns it unless ``owner`` is set."""
        labels = names.labels | {"k3d.cluster": names.cluster, "k3d.role": role}
        labels[naming.OWNER_LABEL] = values.pop("owner", names.owner)
        labels[naming.SPEC_LABEL] = values.pop("spec", "")
        values.setdefault("top", f"/bin/k3s {role}")
        values.setdefault("networks", [f"id-of-{names.network}"])
        return self.container(names.node(role, index), labels=labels, **values)

    def network(self, name: str, **values: Any) -> DockerObject:
        self.networks.append(DockerObject(f"id-of-{name}", name, **values))
        return self.networks[-1]

    def volume(self, name: str, **values: Any) -> DockerObject:
        self.volumes.append(DockerObject(name, name, **values))
        return self.volumes[-1]

    def _answer(self, call: Call) -> Answer:
        tool, *argv = call.argv
        return (self._docker if tool == "docker" else self._k3d)(argv, call.stdin)

    def _docker(self, argv: list[str], stdin: str) -> Answer:  # noqa: PLR0912, PLR0915  one case per command
        if self.down and argv[0] != "context":
            return Answer(stderr="Cannot connect to the Docker daemon. Is it running?\n", code=1)
        if self.denied and argv[0] != "context":
            where = f"the docker API at {self.host}"
            return Answer(stderr=f"permission denied while trying to connect to {where}\n", code=1)
        match argv:
            case ["ps", "-a" | "-aq", *options]:
                self._add_pending()
                return _list(self.containers, options, "ID")
            case ["network", "ls", *options]:
                return _list(self.networks, options, "ID")
            case ["volume", "ls", "-q", "--filter", "dangling=true"]:
                used = {mount.get("Name") for found in self.containers for mount in found.mounts}
                return _list((each for each in self.volumes if each.name not in used), [], "Name")
            case ["volume", "ls", *options]:
                return _list(self.volumes, options, "Name")
            case ["rm", "-fv", *names] | ["rm", "--force", "--volumes", *names]:
                return _remove(self.containers, names)
            case ["volume", "rm", "-f", *names]:
                return _remove(self.volumes, names)
            case ["volume", "rm", name]:
                return _remove(self.volumes, [name])
            case ["volume", "create", *labels, name]:
                self.volume(name, labels=_labels(labels))
                return Answer(f"{name}\n")
            case ["volume", "inspect", "--format", "{{json .Labels}}", name]:
                (volume,) = (found for found in self.volumes if found.name == name)
                return Answer(json.dumps(volume.labels or None))
            case ["volume", "inspect", name]:
                return Answer(code=0 if name in {found.name for found in self.volumes} else 1)
            case ["network", "rm", network]:
                if self._connected(network):
                    return Answer(stderr=f"network {network} has active endpoints\n", code=1)
                return _remove(self.networks, [network])
            case ["network", "disconnect", "-f", network, name]:
                if self._container(name).stuck:
                    return Answer(stderr="device busy\n", code=1)
                identity = network if network in self._ids() else f"id-of-{network}"
                if self._container(name) not in self._connected(identity):
                    return Answer(stderr=f"{name} is not connected to {network}\n", code=1)
                self._container(name).networks.remove(identity)
                return Answer()
            case ["network", "disconnect", network, name]:
                container = self._container(name)
                container.networks.remove(f"id-of-{network}")
                container.address = ""
                return Answer()
            case ["network", "connect", *options, network, name]:
                assert all(option.startswith("--alias=") for option in options)
                container = self._container(name)
                container.networks.append(f"id-of-{network}")
                if container.state == "running":
                    self._give_address(container)
                return Answer()
            case ["network", "inspect", "--format", "{{json .}}", name]:
                return self._inspect_network(name)
            case ["network", "inspect", "--format", _, network] if network in self._ids():
                return Answer("".join(f"{found.name} " for found in self._connected(network)))
            case ["logs", "--timestamps", "--since", _, "--until", _, name]:
                return self._output(name, "log", "errors")
            case ["network", "inspect", "--format", "{{json .Created}}", name]:
                networks = {known.name: known.created for known in self.networks}
                return Answer(json.dumps(networks.get(name)), code=int(name not in networks))
            case (
                ["logs", name]
                | ["logs", "--tail", _, name]
                | ["logs", "--tail", _, "--since", _, name]
                | ["logs", "--tail", _, "--since", _, "--until", _, name]
            ):
                return self._output(name, "log", "errors")
            case ["cp", "-", target]:
                return self._unpack(target, stdin)
            case ["cp", source, target]:
                name, _, path = source.partition(":")
                if path not in self._container(name).files:
                    return Answer(stderr=f"Could not find the file {path}\n", code=1)
                Path(target).write_text(self._container(name).files[path])
                return Answer()
            case ["port", name, port]:
                address = self._container(name).published.get(port)
                return Answer(f"{address}\n") if address else Answer("no public port\n", code=1)
            case ["kill", "--signal", "KILL", name]:
                self._container(name).state = "exited"
                self._container(name).address = ""
                return Answer()
            case ["update", "--restart=unless-stopped", *names]:
                for name in names:
                    self._container(name).restart_policy = "unless-stopped"
                return Answer()
            case ["unpause", name]:
                assert self._container(name).state == "paused"
                self._container(name).state = "running"
                return Answer()
            case ["stop", "--time", _, name]:
                self._container(name).state = "exited"
                return Answer()
            case ["inspect", name]:
                return Answer(json.dumps([self.inspected | {"Name": f"/{name}"}]))
            case ["create", volume, *labels, _] if volume.startswith("--volume="):
                made = self.container("taker", labels=_labels(labels), state="created")
                name, _, path = volume.removeprefix("--volume=").partition(":")
                made.mounts.append({"Name": name, "Destination": path})
                return Answer(f"{made.id}\n")
            case ["create", name, *options] if name.startswith("--name="):
                name = name.removeprefix("--name=")
                if any(found.name == name for found in self.containers):
                    return Answer(stderr=f"The container name {name} is already in use\n", code=1)
                marks = _labels([option for option in options if option.startswith("--label=")])
                self.container(name, labels=marks, state="created")
                return Answer()
            case ["start", name]:
                self._container(name).state = "running"
                self._give_address(self._container(name))
                self.starts(self._container(name))
                return Answer()
            case ["create", "--name", name, "--hostname", _, *options]:
                return self._create_agent(name, options)
            case ["exec", name, "kubectl", verb, of, *options]:
                assert self._container(name).state == "running"
                dry = " --dry-run=server" if "--dry-run=server" in options else ""
                keys = (f"{verb} {of}{dry}", f"{verb}{dry}", verb)
                return next((self.kubectl[key] for key in keys if key in self.kubectl), Answer())
            case ["exec", name, "curl", *_]:
                assert self._container(name).state == "running"
                return self.curls.pop(0)
            case ["exec", _, "sh", "-c", _, "sh", *arguments]:
                return self.in_nodes(arguments[-1])
            case ["top", name]:
                if self._has(name) and self._container(name).state not in ("running", "paused"):
                    return Answer(stderr=f"container {name} is not running\n", code=1)
                return self._output(name, "top")
            case ["inspect", "--format", "{{.Image}}", name]:
                return Answer(f"sha256:{self._container(name).id}\n")
            case ["inspect", "--format", "{{.State.Status}}", name]:
                return Answer(f"{self._container(name).state}\n")
            case ["inspect", "--format", "{{.State.Status}} {{.RestartCount}}", name]:
                container = self._container(name)
                return Answer(f"{container.state} {container.restarts}\n")
            case ["inspect", "--format", template, *names] if "{{.State.ExitCode}}" in template:
                lives = [self._life(template, name).stdout for name in names if self._has(name)]
                shown = "".join(f"{life}\n" for life in lives)
                return Answer(shown, code=int(len(lives) < len(names)))
            case ["events", "--since", "24h", "--until", "0s", *_]:
                return Answer("".join(f"{event}\n" for event in self.events))
            case ["inspect", "--format", template, *names] if ".Mounts" in template:
                return Answer("\n".join(_mounts(template, self._container(name)) for name in names))
            case ["manifest", "inspect", image]:
                return Answer(code=0 if image in self.served else 1)
            case ["image", "inspect", image]:
                found = image in self.images or image in self.pulled
                return Answer() if found else Answer("No such image\n", code=1)
            case ["pull", image]:
                if image not in self.served:
                    errors = f"Trying the registry\nError: manifest for {image} not found\n"
                    return Answer(stderr=errors, code=1)
                self.pulled.add(image)
                return Answer(f"{image}: Pulling fs layer\n{image}: Pull complete\n")
            case ["image", "rm", image]:
                del self.images[image]
                return Answer()
            case ["build", "--tag", image, "-"]:
                files = _unpacked(stdin)
                if self.loads:
                    self.images[image] = {name: content for name, (_, content) in files.items()}
                self.executable = {name for name, (mode, _) in files.items() if mode & 0o111}
                return Answer(stderr="Successfully built\n")
            case ["run", "--rm", "--entrypoint", program, image, "--version"]:
                if image in self.images and Path(program).name in self.executable:
                    return self.runs
                return Answer(stderr=f'exec: "{program}": permission denied\n', code=126)
            case ["run", "--detach", "--rm", network, *labels, "--entrypoint=/bin/sh", _, "-c", _]:
                name = f"placeholder-{next(self._numbers)}"
                on = [f"id-of-{network.removeprefix('--network=')}"]
                made = self.container(name, labels=_labels(labels), networks=on)
                self._give_address(made)
                return Answer(f"{made.id}\n")
            case ["info", "--format", "{{json .}}"]:
                return Answer(json.dumps(self.info))
            case ["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]:
                return Answer(f"{self.host}\n")
        raise NotImplementedError(argv)

    def _k3d(self, argv: list[str], stdin: str) -> Answer:
        match argv:
            case ["version"]:
                return Answer(f"k3d version v{self.k3d_version}\nk3s version v1.33.6-k3s1\n")
            case ["cluster", "create", "--config", "-", *options]:
                return self._create_cluster(yaml.safe_load(stdin), options)
            case ["cluster", "start", name, "--timeout", _]:
                if self.start_fails:
                    return Answer("FATA[0120] Failed to start cluster\n", code=1)
                for container in self.containers:
                    if container.name == self.hanging:
                        told = f"Node {self.hanging} failed to get ready"
                        return Answer(f'time="" level=fatal msg="{told}"\n', code=1)
                    if container.labels.get("k3d.cluster") == name:
                        stood, container.state = container.state != "running", "running"
                        if stood:
                            self.starts(container)
                return Answer(f"INFO[0000] Started cluster '{name}'\n")
            case ["kubeconfig", "get", name]:
                return Answer(f"---\n# kubeconfig of {name}\n")
        raise NotImplementedError(argv)

    def _create_cluster(self, config: dict[str, Any], options: list[str]) -> Answer:
        cluster = config["metadata"]["name"]
        if any(node.labels.get("k3d.cluster") == cluster for node in self.containers):
            return Answer("FATA[0000] a cluster with that name already exists\n", code=1)
        runtime = config["options"]["runtime"]["labels"]
        labels = dict(entry["label"].split("=", 1) for entry in runtime)
        nodes = [("server", index) for index in range(config["servers"])]
        nodes += [("agent", index) for index in range(config["agents"])]
        for role, index in nodes[: self.k3d_fails_after]:
            node = self.container(
                f"k3d-{cluster}-{role}-{index}",
                labels=labels | {"k3d.cluster": cluster, "k3d.role": role},
                log='level=fatal msg="cannot listen"\n',
                top=f"/bin/k3s {role}",
                networks=[f"id-of-{config.get('network', f'k3d-{cluster}')}"],
            )
            node.id = f"{node.id}-{next(self._numbers)}"
        if self.k3d_fails_after is not None:
            if "--no-rollback" not in options:
                self.containers[:] = [
                    node for node in self.containers if node.labels.get("k3d.cluster") != cluster
                ]
            return Answer("FATA[0180] Cluster creation FAILED\n", code=1)
        return Answer(f"INFO[0009] Cluster '{cluster}' created successfully!\n")

    def _create_agent(self, name: str, options: list[str]) -> Answer:
        """A container that is created from files of labels and variables."""
        if any(found.name == name for found in self.containers):
            return Answer(stderr=f"The container name {name} is already in use\n", code=1)
        _, variables, _, marks = options[:4]
        labels = dict(line.split("=", 1) for line in Path(marks).read_text().splitlines())
        (network,) = (text for text in options if text.startswith("--network="))
        networks = [f"id-of-{network.removeprefix('--network=')}"]
        agent = self.container(name, labels=labels, state="created", networks=networks)
        agent.top = "/bin/k3s agent"
        agent.variables = Path(variables).read_text().splitlines()
        return Answer(f"{agent.id}\n")

    def _unpack(self, target: str, archive: str) -> Answer:
        """Files into the container; into the volume that it mounts: each folder's owner by path."""
        container = self._container(target.partition(":")[0])
        if not container.mounts:
            files = _unpacked(archive)
            container.files |= {f"/{name}": content for name, (_, content) in files.items()}
            return Answer()
        (mount,) = container.mounts
        (volume,) = (found for found in self.volumes if found.name == mount["Name"])
        packed = io.BytesIO(archive.encode(errors="surrogateescape"))
        with tarfile.open(fileobj=packed) as tar:
            for folder in tar:
                path = f"/{folder.name}"
                assert folder.isdir()
                assert path.startswith(mount["Destination"])
                volume.files[path] = f"{folder.uid}:{folder.gid} {folder.mode:o}"
        return Answer()

    def _life(self, template: str, name: str) -> Answer:
        if not self._has(name):
            return Answer(stderr=f"Error: No such object: {name}\n", code=1)
        container = self._container(name)
        labels = container.labels
        for placeholder, value in (
            ("{{json .Name}}", json.dumps(f"/{container.name}")),
            ("{{json .Config.Hostname}}", json.dumps(container.host_name or container.name)),
            ("{{json .HostConfig.RestartPolicy.Name}}", json.dumps(container.restart_policy)),
            ("{{json .State.Status}}", json.dumps(container.state)),
            ("{{.State.ExitCode}}", str(container.exit_code)),
            ("{{.State.OOMKilled}}", "false"),
            ("{{json .Created}}", json.dumps(container.created)),
            ("{{.RestartCount}}", str(container.restarts)),
            ("{{json .State.StartedAt}}", json.dumps(container.started)),
            ("{{json .State.FinishedAt}}", json.dumps(container.ended)),
            ("{{json .NetworkSettings.Networks}}", json.dumps(container.reached)),
            ("{{json .State.Running}}", json.dumps(container.state == "running")),
            *(
                (f'{{{{json (index .Config.Labels "{key}")}}}}', json.dumps(labels.get(key, "")))
                for key in (naming.STORE_LABEL, naming.MADE_LABEL)
            ),
        ):
            template = template.replace(placeholder, value)
        assert "{{" not in template
        return Answer(template)

    def _give_address(self, container: DockerObject) -> None:
        """The lowest free one, as Docker does."""
        taken = {found.address for found in self.containers} | {"172.20.0.1"}
        every = (f"172.20.0.{number}" for number in range(1, 255))
        container.address = next(address for address in every if address not in taken)

    def _inspect_network(self, name: str) -> Answer:
        if name not in {network.name for network in self.networks}:
            return Answer(stderr=f"Error: No such network: {name}\n", code=1)
        ranges = [
            {"Subnet": "fd00::/64", "Gateway": "fd00::1"},
            {"Subnet": "172.20.0.0/24", "Gateway": "172.20.0.1"},
        ]
        held = {
            found.id: {
                "Name": found.name,
                "IPv4Address": f"{found.address}/24" if found.address else "",
            }
            for found in self._connected(f"id-of-{name}")
            if found.state == "running"
        }
        return Answer(json.dumps({"IPAM": {"Config": ranges}, "Containers": held}))

    def _ids(self) -> set[str]:
        return {network.id for network in self.networks}

    def _connected(self, network: str) -> list[DockerObject]:
        """The containers with an endpoint: one that Docker is about to start again has none."""
        on_it = (found for found in self.containers if network in found.networks)
        return [found for found in on_it if found.state != "restarting"]

    def _has(self, name: str) -> bool:
        return any(container.name == name for container in self.containers)

    def _container(self, name: str) -> DockerObject:
        return next(
            container for container in self.containers if name in (container.name, container.id)
        )

    def _output(self, name: str, field: str, errors: str = "") -> Answer:
        """The container's log or its list of processes; ``errors``: the field for stderr."""
        if not any(name in (container.name, container.id) for container in self.containers):
            return Answer(stderr=f"Error: No such container: {name}\n", code=1)
        container = self._container(name)
        return Answer(getattr(container, field), getattr(container, errors) if errors else "")

    def _add_pending(self) -> None:
        """Adds the containers that an orphaned k3d creates between two `docker ps`."""
        self._pending = [(checks - 1, container) for checks, container in self._pending]
        self.containers += [container for checks, container in self._pending if checks < 0]
        self._pending = [(checks, container) for checks, container in self._pending if checks >= 0]


def _labels(options: list[str]) -> dict[str, str]:
    pairs = [option.removeprefix("--label=").partition("=") for option in options]
    return {label: value for label, _, value in pairs}


def _unpacked(context: str) -> dict[str, tuple[int, str]]:
    """Mode and content of each file of a build's context by name."""
    archive = io.BytesIO(context.encode(errors="surrogateescape"))
    with tarfile.open(fileobj=archive) as tar:
        return {
            member.name: (member.mode, content.read().decode())
            for member in tar
            if (content := tar.extractfile(member))
        }


def _mounts(template: str, container: DockerObject) -> str:
    mode, mounts = json.dumps(container.network_mode), json.dumps(container.mounts)
    declared = json.dumps({path: {} for path in container.declared} or None)
    shown = template.replace("{{json .HostConfig.NetworkMode}}", mode)
    shown = shown.replace("{{json .Name}}", json.dumps(f"/{container.name}"))
    shown = shown.replace("{{json .Config.Volumes}}", declared)
    return shown.replace("{{json .Mounts}}", mounts)


def _list(objects: Iterable[DockerObject], options: list[str], key: str) -> Answer:
    template = f"{{{{.{key}}}}}"
    found = list(objects)
    rest = iter(options)
    for option in rest:
        match option:
            case "-q" | "--no-trunc":
                pass
            case "--filter":
                condition = next(rest)
                found = [listed for listed in found if _matches(listed, condition)]
            case "--format":
                template = next(rest)
            case _:
                raise NotImplementedError(option)
    return Answer("".join(_rendered(template, listed) + "\n" for listed in found))


def _matches(listed: DockerObject, condition: str) -> bool:
    kind, _, value = condition.partition("=")
    match kind:
        case "label":
            label, given, wanted = value.partition("=")
            return listed.labels.get(label) == wanted if given else label in listed.labels
        case "network":
            return value in listed.networks
        case "volume":
            return any(mount.get("Name") == value for mount in listed.mounts)
        case "name":
            return re.search(value, listed.name) is not None
        case "id":
            return listed.id.startswith(value)
    raise NotImplementedError(condition)


_FIELDS = {
    "ID": "id", "Names": "name", "Name": "name", "State": "state", "Ports": "ports",
    "Networks": "names_of_networks", "Image": "image",
}  # fmt: skip
_PLACEHOLDER = re.compile(r'\{\{(json )?\(?\.(\w+)(?: "([^"]+)")?\)?\}\}')


def _rendered(template: str, listed: DockerObject) -> str:
    """The few Go templates in use: ``{{.ID}}``, ``{{json (.Label "x")}}`` and the like."""

    def value(match: re.Match[str]) -> str:
        as_json, name, label = match.groups()
        found = listed.labels.get(label, "") if name == "Label" else getattr(listed, _FIELDS[name])
        return json.dumps(found) if as_json else found

    return _PLACEHOLDER.sub(value, template)


def _remove(objects: list[DockerObject], names: list[str]) -> Answer:
    """Removes the objects with these names or ids, except those that are stuck."""
    chosen = [found for found in objects if {found.name, found.id} & set(names)]
    stuck = [found for found in chosen if found.stuck]
    objects[:] = [found for found in objects if found not in chosen or found.stuck]
    errors = "".join(f"Error: cannot remove {found.name}: device busy\n" for found in stuck)
    return Answer(stderr=errors, code=1 if stuck else 0)
