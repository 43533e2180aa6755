"""The same network, Jaeger, collector and cluster, made by a script of docker and k3d commands."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from runtime_observability.core import documents
from runtime_observability.core.args import ContainerArgs
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Observation
from runtime_observability.core.plan import Plan, make_plan
from runtime_observability.core.settings.parse import parse
from runtime_observability.host import docker, node_image
from tests.configuration import defaults
from tests.live.waiting import until

READY_SECONDS = 120


@dataclass(frozen=True)
class ByHand:
    """The commands that the article's reader types, with the files and images of a stack."""

    plan: Plan
    folder: Path
    environment: Mapping[str, str]

    @classmethod
    def like(cls, config: Mapping[str, object], folder: Path, env: Mapping[str, str]) -> ByHand:
        """The stack of ``config``, whose images exist, under names of its own in ``folder``."""
        settings = parse(defaults() | dict(config))
        engine = docker.Daemon.read(_run(list(docker.INFO), env))
        observed = Observation(
            cgroup_v1=engine.cgroup_version == "1",
            limits_swap=engine.limits_swap,
            architecture=engine.architecture,
        )
        upstream = node_image.node_image(settings, engine.architecture)
        names = Names(f"by-hand-{secrets.token_hex(3)}", folder)
        return cls(make_plan(settings, names, observed, upstream), folder, env)

    @property
    def server(self) -> str:
        return f"k3d-{self.plan.cluster_name}-server-0"

    @property
    def _containers(self) -> list[ContainerArgs]:
        jaeger = [self.plan.jaeger.container] if self.plan.jaeger else []
        return [*jaeger, self.plan.collector.container]

    def up(self) -> None:
        """Until the node is Ready."""
        self._docker("network", "create", self.plan.network.name)
        for container in self._containers:
            self._start(container)
        directory = Path(self.plan.files.directory)
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in self.plan.files.files.items():
            (directory / name).write_text(text)
        self._create(self.plan.cluster.k3d_config)

    def down(self) -> None:
        name = self.plan.cluster_name
        _run(["k3d", "cluster", "delete", name], self.environment)
        containers = [container.name for container in self._containers]
        self._docker("rm", "--force", "--volumes", *containers)
        self._docker("network", "rm", self.plan.network.name)

    def bare_up(self) -> None:
        """k3d alone: no network, nothing traced; a kubelet that runs on this machine's cgroups."""
        kubelet = yaml.safe_load(self.plan.files.files[documents.KUBELET_FILE])
        del kubelet["tracing"]
        (self.folder / "kubelet.yaml").write_text(documents.dump(kubelet))
        config = documents.template("k3d.yaml")
        node = ["server:*"]
        config["volumes"] = [
            {"volume": f"{self.folder}/kubelet.yaml:/etc/kubelet.yaml:ro", "nodeFilters": node}
        ]
        config["options"]["k3s"]["extraArgs"] = [
            {"arg": "--kubelet-arg=config=/etc/kubelet.yaml", "nodeFilters": node}
        ]
        traced = self.plan.cluster.spec.config
        config |= {key: traced[key] for key in ("image", "kubeAPI")}
        config["metadata"]["name"] = self.plan.cluster_name
        del config["network"]
        self._create(config)

    def bare_down(self) -> None:
        _run(["k3d", "cluster", "delete", self.plan.cluster_name], self.environment)

    @property
    def kubeconfig(self) -> Path:
        path = self.folder / "kubeconfig"
        text = _run(["k3d", "kubeconfig", "get", self.plan.cluster_name], self.environment)
        path.write_text(text)
        return path

    def _create(self, config: Mapping[str, object]) -> None:
        tools = self.plan.cluster.spec.tools_image
        environment = {**self.environment, **({"K3D_IMAGE_TOOLS": tools} if tools else {})}
        command = ["k3d", "cluster", "create", "--config", "-"]
        _run(command, environment, documents.dump(dict(config)))
        kubectl = ["kubectl", "--kubeconfig", str(self.kubeconfig), "get", "nodes", "-o", "json"]

        def is_ready() -> bool:
            listed = _run(kubectl, self.environment)
            (node,) = json.loads(listed)["items"] or [{}]
            conditions = node.get("status", {}).get("conditions", [])
            return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)

        until("a Ready node", is_ready, READY_SECONDS)

    def _start(self, container: ContainerArgs) -> None:
        mounts = []
        for path, text in container.uploads.items():
            file = self.folder / f"{container.alias}.yaml"
            file.write_text(text)
            mounts.append(f"--volume={file}:{path}:ro")
        self._docker(
            "run", "--detach", "--name", container.name, "--network", self.plan.network.name,
            "--network-alias", container.alias, *mounts,
            *(f"--publish=127.0.0.1:{out}:{inside}" for out, inside in container.ports.items()),
            *(f"--env={key}={value}" for key, value in container.environment.items()),
            container.image, *container.command,
        )  # fmt: skip

    def _docker(self, *arguments: str) -> None:
        _run(["docker", *arguments], self.environment)


def _run(argv: list[str], environment: Mapping[str, str], stdin: str = "") -> str:
    done = subprocess.run(
        argv, env=dict(environment), input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout
