"""``docker`` and ``k3d`` as the project calls them, on a daemon that is three lists.

A call or an option that it does not know is an error: a test must not pass on a question that
Docker would not understand.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from runtime_observability.core import naming
from runtime_observability.core.naming import Names
from tests.fakes.executables import Answer, Call, Executables


@dataclass
class Thing:
    """A container, network or volume; ``stuck`` is what Docker cannot remove."""

    id: str
    name: str
    labels: dict[str, str] = field(default_factory=dict)
    networks: list[str] = field(default_factory=list)
    state: str = "running"
    ports: str = ""
    stuck: bool = False
    log: str = ""
    top: str = ""
    restarts: int = 0
    files: dict[str, str] = field(default_factory=dict)


class FakeDaemon:
    """Put things in, run what is to be tested, look what is left and what was asked."""

    def __init__(self, folder: Path) -> None:
        self.containers: list[Thing] = []
        self.networks: list[Thing] = []
        self.volumes: list[Thing] = []
        self.down = False
        self.host = "unix:///var/run/docker.sock"
        self.info: dict[str, Any] = {
            "ServerVersion": "20.10.24",
            "CgroupVersion": "2",
            "SwapLimit": True,
            "Architecture": "x86_64",
        }
        self.images: dict[str, dict[str, str]] = {}
        """Files by name of each image; of one that was not built, none."""
        self.served: set[str] = set()
        """Images that their registries have."""
        self.executable: set[str] = set()
        """Files of the image that was built last."""
        self.runs = Answer("containerd github.com/containerd/containerd/v2 v2.3.4\n")
        """What a container says that is run."""
        self.k3d_version = "5.9.0"
        self.k3d_fails_after: int | None = None
        """Number of nodes that `k3d cluster create` makes before it fails."""
        self.start_fails = False
        self._arrivals: list[tuple[int, Thing]] = []
        self._numbers = itertools.count()
        self.executables = Executables(folder, ("docker", "k3d"), self._answer)
        self.executables.script("sleep", "#!/bin/sh\n")

    @property
    def path(self) -> str:
        return self.executables.path

    def asked(self, *beginning: str) -> list[Call]:
        """The calls that begin with these words."""
        return [call for call in self.executables.calls if call.argv[: len(beginning)] == beginning]

    @property
    def names(self) -> set[str]:
        """Of all that is there."""
        return {thing.name for thing in (*self.containers, *self.networks, *self.volumes)}

    def container(self, name: str, *, after_looks: int | None = None, **values: Any) -> Thing:
        """``after_looks``: it appears when `docker ps` was asked that often."""
        made = Thing(f"id-of-{name}", name, **values)
        if after_looks is None:
            self.containers.append(made)
        else:
            self._arrivals.append((after_looks, made))
        return made

    def node(self, names: Names, role: str = "server", index: int = 0, **values: Any) -> Thing:
        """A node of the stack's cluster, owned by the stack unless ``owner`` says otherwise."""
        labels = names.labels | {"k3d.cluster": names.cluster, "k3d.role": role}
        labels[naming.OWNER_LABEL] = values.pop("owner", names.owner)
        labels[naming.SPEC_LABEL] = values.pop("spec", "")
        values.setdefault("top", f"/bin/k3s {role}")
        return self.container(names.node(role, index), labels=labels, **values)

    def network(self, name: str, **values: Any) -> Thing:
        self.networks.append(Thing(f"id-of-{name}", name, **values))
        return self.networks[-1]

    def volume(self, name: str, **values: Any) -> Thing:
        self.volumes.append(Thing(name, name, **values))
        return self.volumes[-1]

    def _answer(self, call: Call) -> Answer:
        tool, *argv = call.argv
        return self._docker(argv) if tool == "docker" else self._k3d(argv, call.stdin)

    def _docker(self, argv: list[str]) -> Answer:  # noqa: PLR0912  a line for each command
        if self.down:
            return Answer(stderr="Cannot connect to the Docker daemon. Is it running?\n", code=1)
        match argv:
            case ["ps", "-a" | "-aq", *options]:
                self._arrive()
                return _list(self.containers, options, "ID")
            case ["network", "ls", *options]:
                return _list(self.networks, options, "ID")
            case ["volume", "ls", *options]:
                return _list(self.volumes, options, "Name")
            case ["rm", "-fv", *wanted] | ["rm", "--force", "--volumes", *wanted]:
                return _remove(self.containers, wanted)
            case ["volume", "rm", "-f", *wanted]:
                return _remove(self.volumes, wanted)
            case ["network", "rm", wanted]:
                if any(wanted in each.networks for each in self.containers):
                    return Answer(stderr=f"network {wanted} has active endpoints\n", code=1)
                return _remove(self.networks, [wanted])
            case ["network", "disconnect", "-f", network, name]:
                self._container(name).networks.remove(network)
                return Answer()
            case ["logs", "--tail", _, name] | ["logs", "--tail", _, "--since", _, name]:
                return self._of(name, "log")
            case ["cp", source, target]:
                name, _, path = source.partition(":")
                if path not in self._container(name).files:
                    return Answer(stderr=f"Could not find the file {path}\n", code=1)
                Path(target).write_text(self._container(name).files[path])
                return Answer()
            case ["top", name]:
                return self._of(name, "top")
            case ["inspect", "--format", "{{.State.Status}} {{.RestartCount}}", name]:
                container = self._container(name)
                return Answer(f"{container.state} {container.restarts}\n")
            case ["manifest", "inspect", image]:
                return Answer(code=0 if image in self.served else 1)
            case ["image", "inspect", image]:
                return Answer() if image in self.images else Answer("No such image\n", code=1)
            case ["image", "rm", image]:
                del self.images[image]
                return Answer()
            case ["build", "--tag", image, folder]:
                files = list(Path(folder).iterdir())
                self.images[image] = {file.name: file.read_text() for file in files}
                self.executable = {file.name for file in files if os.access(file, os.X_OK)}
                return Answer(stderr="Successfully built\n")
            case ["run", "--rm", "--entrypoint", program, image, "--version"]:
                if image in self.images and Path(program).name in self.executable:
                    return self.runs
                return Answer(stderr=f'exec: "{program}": permission denied\n', code=126)
            case ["info", "--format", "{{json .}}"]:
                return Answer(json.dumps(self.info))
            case ["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]:
                return Answer(f"{self.host}\n")
        raise NotImplementedError(argv)

    def _k3d(self, argv: list[str], stdin: str) -> Answer:
        match argv:
            case ["version"]:
                return Answer(f"k3d version v{self.k3d_version}\nk3s version v1.33.6-k3s1\n")
            case ["cluster", "create", "--config", "-"]:
                return self._create_cluster(yaml.safe_load(stdin))
            case ["cluster", "start", name, "--timeout", _]:
                if self.start_fails:
                    return Answer("FATA[0120] Failed to start cluster\n", code=1)
                for each in self.containers:
                    if each.labels.get("k3d.cluster") == name:
                        each.state = "running"
                return Answer(f"INFO[0000] Started cluster '{name}'\n")
            case ["kubeconfig", "get", name]:
                return Answer(f"---\n# kubeconfig of {name}\n")
        raise NotImplementedError(argv)

    def _create_cluster(self, config: dict[str, Any]) -> Answer:
        cluster = config["metadata"]["name"]
        if any(each.labels.get("k3d.cluster") == cluster for each in self.containers):
            return Answer("FATA[0000] a cluster with that name already exists\n", code=1)
        runtime = config["options"]["runtime"]["labels"]
        labels = dict(entry["label"].split("=", 1) for entry in runtime)
        nodes = [("server", index) for index in range(config["servers"])]
        nodes += [("agent", index) for index in range(config["agents"])]
        for role, index in nodes[: self.k3d_fails_after]:
            made = self.container(
                f"k3d-{cluster}-{role}-{index}",
                labels=labels | {"k3d.cluster": cluster, "k3d.role": role},
                log='level=fatal msg="cannot listen"\n',
                top=f"/bin/k3s {role}",
            )
            made.id = f"{made.id}-{next(self._numbers)}"
        if self.k3d_fails_after is not None:
            return Answer("FATA[0180] Cluster creation FAILED\n", code=1)
        return Answer(f"INFO[0009] Cluster '{cluster}' created successfully!\n")

    def _container(self, name: str) -> Thing:
        return next(each for each in self.containers if name in (each.name, each.id))

    def _of(self, name: str, what: str) -> Answer:
        if not any(name in (each.name, each.id) for each in self.containers):
            return Answer(stderr=f"Error: No such container: {name}\n", code=1)
        return Answer(getattr(self._container(name), what))

    def _arrive(self) -> None:
        """What an orphaned k3d creates meanwhile."""
        self._arrivals = [(looks - 1, thing) for looks, thing in self._arrivals]
        self.containers += [thing for looks, thing in self._arrivals if looks < 0]
        self._arrivals = [each for each in self._arrivals if each[0] >= 0]


def _list(things: Iterable[Thing], options: list[str], key: str) -> Answer:
    template = f"{{{{.{key}}}}}"
    found = list(things)
    rest = iter(options)
    for option in rest:
        match option:
            case "-q" | "--no-trunc":
                pass
            case "--filter":
                condition = next(rest)
                found = [thing for thing in found if _passes(thing, condition)]
            case "--format":
                template = next(rest)
            case _:
                raise NotImplementedError(option)
    return Answer("".join(_fill(template, thing) + "\n" for thing in found))


def _passes(thing: Thing, condition: str) -> bool:
    kind, _, value = condition.partition("=")
    match kind:
        case "label":
            label, _, wanted = value.partition("=")
            return thing.labels.get(label) == wanted
        case "network":
            return value in thing.networks
        case "name":
            return re.search(value, thing.name) is not None
    raise NotImplementedError(condition)


_FIELDS = {"ID": "id", "Names": "name", "Name": "name", "State": "state", "Ports": "ports"}
_PLACE = re.compile(r'\{\{(json )?\(?\.(\w+)(?: "([^"]+)")?\)?\}\}')


def _fill(template: str, thing: Thing) -> str:
    """The few Go templates that occur: ``{{.ID}}``, ``{{json (.Label "x")}}`` and the like."""

    def value(match: re.Match[str]) -> str:
        as_json, name, label = match.groups()
        found = thing.labels.get(label, "") if name == "Label" else getattr(thing, _FIELDS[name])
        return json.dumps(found) if as_json else found

    return _PLACE.sub(value, template)


def _remove(things: list[Thing], wanted: list[str]) -> Answer:
    chosen = [thing for thing in things if {thing.name, thing.id} & set(wanted)]
    stuck = [thing for thing in chosen if thing.stuck]
    things[:] = [thing for thing in things if thing not in chosen or thing.stuck]
    errors = "".join(f"Error: cannot remove {thing.name}: device busy\n" for thing in stuck)
    return Answer(stderr=errors, code=1 if stuck else 0)
