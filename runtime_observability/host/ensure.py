"""Makes the stack's cluster what it should be, from any state: a program for ``python -m``.

Reads ``{"stack", "folder", "spec"}`` on stdin, tells its progress on stderr and prints
``{"instance", "seconds"}``. Safe to kill and to run again at any point.
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
_SLACK_SECONDS = 120
"""For k3d's own end, beyond the time that it gives the nodes."""
_LOCK_SECONDS = 300


class Action(Enum):
    CREATE = "create"
    START = "start"
    ADOPT = "adopt"
    RECREATE = "recreate"


@dataclass(frozen=True)
class Decision:
    """What to do, and why in words."""

    action: Action
    why: str


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def wanted_nodes(names: Names, spec: ClusterSpec) -> tuple[str, ...]:
    """Container names of the cluster's nodes, the first server first."""
    return tuple(
        names.node(role, index)
        for role, count in (("server", spec.config["servers"]), ("agent", spec.config["agents"]))
        for index in range(count)
    )


def decide(found: Sequence[Owned], wanted: Sequence[str], digest: str) -> Decision:
    """What to do about ``found``, all containers that k3d counts to the cluster."""
    if not found:
        return Decision(Action.CREATE, "there is none")
    nodes = {container.name: container for container in found}
    for name in wanted:
        if name not in nodes or nodes[name].state == "created":
            return Decision(Action.RECREATE, f"it is half made: {name} never started")
        if nodes[name].spec != digest:
            return Decision(Action.RECREATE, f"{name} was made from another configuration")
    extra = sorted(name for name in nodes if nodes[name].role in ("server", "agent"))
    if len(extra) > len(wanted):
        return Decision(Action.RECREATE, f"it has nodes that are not wanted: {', '.join(extra)}")
    stopped = [name for name in wanted if nodes[name].state != "running"]
    if stopped:
        return Decision(Action.START, f"{', '.join(stopped)} stands still")
    return Decision(Action.ADOPT, "all its nodes run")


@contextmanager
def locked(names: Names) -> Iterator[int]:
    """One run at a time; k3d inherits the lock, so that it is held as long as k3d works."""
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
                        f"another run has been working on cluster {names.cluster} for over "
                        f"{_LOCK_SECONDS} s: end it (`pgrep -af k3d` shows it) and run again"
                    ) from None
                if not announced:
                    say(f"waiting for another run that works on cluster {names.cluster}")
                announced = True
                time.sleep(0.5)
        yield descriptor
    finally:
        os.close(descriptor)


class Ensure:
    """One run of ensure: ``names`` and ``spec`` say what is wanted, ``lock`` is held throughout."""

    def __init__(self, names: Names, spec: ClusterSpec, lock: int) -> None:
        self.names = names
        self.spec = spec
        self.lock = lock
        self.nodes = wanted_nodes(names, spec)

    def run(self) -> str:
        """Container id of the first server, once the cluster is complete."""
        self.refuse_missing_files()
        found = self.look()
        decision = decide(found, self.nodes, self.spec.digest)
        say(f"cluster {self.names.cluster}: {decision.action.value}, as {decision.why}")
        match decision.action:
            case Action.CREATE:
                self.create()
            case Action.RECREATE:
                self.sweep()
                self.create()
            case Action.START:
                self.revive(NodeWatch(self.nodes, since=time.time()), start=True)
            case Action.ADOPT:
                self.revive(NodeWatch(self.nodes), start=False)
        return next(node.id for node in self.look() if node.name == self.nodes[0])

    def look(self) -> list[Owned]:
        """The cluster's containers; CommandError when they are not ours."""
        found = [each for each in docker.containers() if each.cluster == self.names.cluster]
        for node in found:
            if node.role in ("server", "agent") and node.owner != self.names.owner:
                raise runner.CommandError(
                    f"cluster {self.names.cluster} is taken by {node.whose}: destroy that first, "
                    "or choose another stack name"
                )
        return found

    def refuse_missing_files(self) -> None:
        for file in self.spec.files:
            if not (self.names.node_directory / file).is_file():
                raise runner.CommandError(
                    f"{self.names.node_directory / file} is missing: run `pulumi up` once more"
                )

    def create(self) -> None:
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
                self.sweep()
            except runner.CommandError as remains:
                raise runner.CommandError(f"{failure}\n{remains}") from None
            raise

    def revive(self, watch: NodeWatch, *, start: bool) -> None:
        """A cluster that should work as it is; one that will not is made anew."""
        timeout = f"{self.spec.start_seconds}s"
        try:
            if start:
                self.k3d(["cluster", "start", self.names.cluster, "--timeout", timeout], watch)
            self.finish(watch)
        except runner.CommandError as error:
            say(f"cluster {self.names.cluster} does not come back and is made anew: {error}")
            self.sweep()
            self.create()

    def k3d(self, argv: list[str], watch: NodeWatch, stdin: str = "") -> None:
        k3d.run(
            argv,
            stdin=stdin,
            watch=watch,
            tools_image=self.spec.tools_image,
            lock=self.lock,
            seconds=self.spec.start_seconds + _SLACK_SECONDS,
        )

    def finish(self, watch: NodeWatch) -> None:
        """Writes the kubeconfig and waits until every node is Ready."""
        shown = runner.run(
            ["k3d", "kubeconfig", "get", self.names.cluster],
            environment={**os.environ, "LOG_LEVEL": "error"},
        )
        write_private(self.names.kubeconfig, shown.checked())
        seconds = wait_until_ready(self.names.kubeconfig, len(self.nodes), watch)
        say(f"cluster {self.names.cluster}: {len(self.nodes)} node(s) Ready after {seconds:.1f} s")

    def sweep(self) -> None:
        """The same script that deletes the cluster when Pulumi does."""
        values = {
            "OWNER": self.names.owner,
            "CLUSTER": self.names.cluster,
            "DIRECTORY": str(self.names.directory),
        }
        runner.run_script("sweep_cluster.sh", values).checked()


def wait_until_ready(kubeconfig: Path, nodes: int, watch: NodeWatch) -> float:
    """Seconds until the API server is ready and ``nodes`` nodes are Ready.

    CommandError, with the nodes' own reasons, when they are not in time or cannot be any more:
    k3d is content with an API server, and the kubelet starts after that.
    """
    begin = time.monotonic()
    seen = "no answer"
    api = kubeapi.core(kubeconfig)
    while (waited := time.monotonic() - begin) < _READY_SECONDS:
        try:
            ready = sum(_is_ready(node) for node in api.list_node(_request_timeout=5).items)
            if ready == nodes:
                return waited
            seen = f"{ready} of {nodes} nodes Ready"
        except (client.ApiException, urllib3.exceptions.HTTPError) as error:
            seen = str(error).strip().splitlines()[0]
        if hopeless := watch.look():
            raise runner.CommandError(f"{hopeless} ({seen}).\n{watch.explanation()}")
        time.sleep(0.25)
    raise runner.CommandError(
        f"after {_READY_SECONDS} s the cluster was not ready: {seen}.\n{watch.explanation()}"
    )


def _is_ready(node: Any) -> bool:
    conditions = node.status.conditions or []
    return any(each.type == "Ready" and each.status == "True" for each in conditions)


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
    except runner.CommandError as error:
        print(f"error: cluster {names.cluster}: {error}", file=sys.stderr)
        if spec.image.startswith(f"{NODE_IMAGE}:"):
            print(f"if that is the upstream containerd's doing, {CURE}", file=sys.stderr)
        return 1
    print(json.dumps({"instance": instance, "seconds": round(time.monotonic() - begin, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
