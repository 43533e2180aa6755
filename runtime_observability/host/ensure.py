"""Brings the stack's cluster from any state to the wanted one: run with ``python -m``.

Reads ``{"stack", "folder", "spec"}`` on stdin, reports its progress on stderr and prints
``{"instance", "seconds"}``. It can be killed and run again at any point.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client

from runtime_observability.core import cluster_spec, documents
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import NODE_IMAGE, Names
from runtime_observability.core.node_image import CURE
from runtime_observability.core.observation import Record
from runtime_observability.host import docker, k3d, kubeapi, runner, store
from runtime_observability.host.docker import Owned
from runtime_observability.host.files import write_private
from runtime_observability.host.k3d import NodeWatch

_READY_SECONDS = 120
_EXTRA_SECONDS = 120
"""Time for k3d itself, in addition to its timeout for the nodes."""
_LOCK_SECONDS = 300


class Action(Enum):
    CREATE = "create"
    START = "start"
    ADOPT = "adopt"
    RECREATE = "recreate"


@dataclass(frozen=True)
class Decision:
    """What to do with the cluster, and the reason to log."""

    action: Action
    reason: str


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def wanted_nodes(names: Names, spec: ClusterSpec) -> tuple[str, ...]:
    """Container names of the cluster's nodes, the first server first."""
    return tuple(
        names.node(role, index)
        for role, count in (("server", spec.config["servers"]), ("agent", spec.config["agents"]))
        for index in range(count)
    )


def decide(found: Sequence[Owned], wanted: Sequence[str], digest: str) -> Decision:
    """What to do with the cluster.

    ``found`` are all containers with k3d's label of the cluster, ``wanted`` the names of the nodes
    that it should have, ``digest`` the configuration that they should be created from.
    """
    if not found:
        return Decision(Action.CREATE, "it does not exist")
    nodes = {container.name: container for container in found}
    for name in wanted:
        if name not in nodes or nodes[name].state == "created":
            return Decision(Action.RECREATE, f"it is incomplete: {name} never started")
        if nodes[name].spec != digest:
            return Decision(Action.RECREATE, f"{name} was created from another configuration")
    existing = sorted(name for name in nodes if nodes[name].role in ("server", "agent"))
    if len(existing) > len(wanted):
        return Decision(Action.RECREATE, f"it has too many nodes: {', '.join(existing)}")
    stopped = [name for name in wanted if nodes[name].state != "running"]
    if stopped:
        return Decision(Action.START, f"these nodes are stopped: {', '.join(stopped)}")
    return Decision(Action.ADOPT, "all its nodes are running")


@contextmanager
def locked(names: Names) -> Iterator[int]:
    """Lets one run at a time change the cluster; yields the lock's file descriptor.

    k3d inherits the descriptor, so the lock is held as long as k3d runs, even if ensure is killed.
    Raises CommandError when another run holds the lock for too long.
    """
    names.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(names.directory / "cluster.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        announced = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise runner.CommandError(
                        f"another run has held the lock of cluster {names.cluster} for more than "
                        f"{_LOCK_SECONDS} s: stop it (`pgrep -af k3d` lists it), then run again"
                    ) from None
                if not announced:
                    log(f"waiting for another run on cluster {names.cluster} to finish")
                announced = True
                time.sleep(0.5)
        yield descriptor
    finally:
        os.close(descriptor)


class Ensure:
    """One run of ensure towards ``spec``, the wanted cluster of the stack with these ``names``.

    ``lock`` is the descriptor from ``locked``, which the caller holds during the run.
    """

    def __init__(self, names: Names, spec: ClusterSpec, lock: int) -> None:
        self.names = names
        self.spec = spec
        self.lock = lock
        self.nodes = wanted_nodes(names, spec)

    def run(self) -> str:
        """Makes the cluster complete and returns the container id of its first server.

        Raises CommandError when that is not possible.
        """
        self.check_files()
        decision = decide(self.containers(), self.nodes, self.spec.digest)
        log(f"cluster {self.names.cluster}: {decision.action.value}, because {decision.reason}")
        match decision.action:
            case Action.CREATE:
                self.create()
            case Action.RECREATE:
                self.delete()
                self.create()
            case Action.START:
                self.bring_up(NodeWatch(self.nodes, since=time.time()), start=True)
            case Action.ADOPT:
                self.bring_up(NodeWatch(self.nodes), start=False)
        return next(node.id for node in self.containers() if node.name == self.nodes[0])

    def containers(self) -> list[Owned]:
        """The cluster's containers; CommandError when a node belongs to another owner."""
        found = [
            container
            for container in docker.containers()
            if container.cluster == self.names.cluster
        ]
        for container in found:
            if container.role in ("server", "agent") and container.owner != self.names.owner:
                raise runner.CommandError(
                    f"cluster {self.names.cluster} already exists and has another owner: it has "
                    f"{container.whose}. Destroy it first, or choose another stack name"
                )
        return found

    def check_files(self) -> None:
        """Raises CommandError for a missing file, without which the nodes would fail."""
        for file in self.spec.files:
            if not (self.names.node_directory / file).is_file():
                raise runner.CommandError(
                    f"{self.names.node_directory / file} is missing: run `pulumi up` again"
                )

    def create(self) -> None:
        """Creates the cluster; deletes what exists of it when that fails."""
        labels = self.spec.node_labels(self.names)
        watch = NodeWatch(self.nodes)
        try:
            self.k3d(
                ["cluster", "create", "--config", "-"],
                watch,
                documents.dump(cluster_spec.with_labels(self.spec.config, labels)),
            )
            self.finish(watch)
        except runner.CommandError as failure:
            try:
                self.delete()
            except runner.CommandError as second_failure:
                raise runner.CommandError(f"{failure}\n{second_failure}") from None
            raise

    def bring_up(self, watch: NodeWatch, *, start: bool) -> None:
        """Waits until an existing cluster is ready, after a ``start`` if it is stopped.

        Recreates the cluster when that fails.
        """
        timeout = f"{self.spec.start_seconds}s"
        try:
            if start:
                self.k3d(["cluster", "start", self.names.cluster, "--timeout", timeout], watch)
            self.finish(watch)
        except runner.CommandError as error:
            log(f"cluster {self.names.cluster} does not become ready and is recreated: {error}")
            self.delete()
            self.create()

    def k3d(self, argv: list[str], watch: NodeWatch, stdin: str = "") -> None:
        """Runs ``k3d argv`` with this run's lock and deadline."""
        k3d.run(
            argv,
            stdin=stdin,
            watch=watch,
            tools_image=self.spec.tools_image,
            lock=self.lock,
            seconds=self.spec.start_seconds + _EXTRA_SECONDS,
        )

    def finish(self, watch: NodeWatch) -> None:
        """Writes the kubeconfig and waits until every node is Ready."""
        kubeconfig = runner.run(
            ["k3d", "kubeconfig", "get", self.names.cluster],
            environment={**os.environ, "LOG_LEVEL": "error"},
        )
        write_private(self.names.kubeconfig, kubeconfig.checked())
        seconds = wait_until_ready(self.names.kubeconfig, len(self.nodes), watch)
        log(f"cluster {self.names.cluster}: {len(self.nodes)} node(s) Ready after {seconds:.1f} s")

    def delete(self) -> None:
        """Deletes the cluster with the script that Pulumi's delete also runs."""
        values = {
            "OWNER": self.names.owner,
            "CLUSTER": self.names.cluster,
            "DIRECTORY": str(self.names.directory),
        }
        runner.run_script("sweep_cluster.sh", values).checked()


def wait_until_ready(kubeconfig: Path, nodes: int, watch: NodeWatch) -> float:
    """Waits until the API server answers and ``nodes`` nodes are Ready; returns the seconds taken.

    k3d does not wait for this: it returns once the API server runs, and kubelets start later.
    Raises CommandError, with the nodes' errors, when the time is up or a node has failed.
    """
    begin = time.monotonic()
    last = "no answer"
    api = kubeapi.core(kubeconfig)
    while (waited := time.monotonic() - begin) < _READY_SECONDS:
        try:
            ready = sum(_is_ready(node) for node in api.list_node(_request_timeout=5).items)
            if ready == nodes:
                return waited
            last = f"{ready} of {nodes} nodes Ready"
        except (client.ApiException, urllib3.exceptions.HTTPError) as error:
            last = str(error).strip().splitlines()[0]
        if failure := watch.check():
            raise runner.CommandError(f"{failure} ({last}).\n{watch.errors()}")
        time.sleep(0.25)
    raise runner.CommandError(
        f"after {_READY_SECONDS} s the cluster was not ready: {last}.\n{watch.errors()}"
    )


def _is_ready(node: Any) -> bool:
    conditions = node.status.conditions or []
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)


def main() -> int:
    request = json.load(sys.stdin)
    names = Names(request["stack"], Path(request["folder"]), Path(request["stateFolder"]))
    spec = ClusterSpec.read(request["spec"])
    begin = time.monotonic()
    try:
        with locked(names) as lock:
            ensure = Ensure(names, spec, lock)
            record = Record(
                generation=int(os.environ["GENERATION"]),
                complete=False,
                digest=spec.digest,
                spec=spec.document,
                nodes=ensure.nodes,
            )
            store.save(names, record)
            instance = ensure.run()
            store.save(names, store.completed(record))
    except (runner.CommandError, kubeapi.KubeconfigError, OSError) as error:
        print(f"error: cluster {names.cluster}: {error}", file=sys.stderr)
        if spec.image.startswith(f"{NODE_IMAGE}:"):
            print(f"if the upstream containerd is the cause: {CURE}", file=sys.stderr)
        return 1
    print(json.dumps({"instance": instance, "seconds": round(time.monotonic() - begin, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
