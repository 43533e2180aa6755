"""Brings a cluster from what is found of it to the wanted one.

It deletes nothing but what was never complete: a cluster that does not come back is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace

from runtime_observability.core import cluster_spec, documents, naming, node_cures, transition
from runtime_observability.core.cluster_spec import ClusterSpec
from runtime_observability.core.naming import Names
from runtime_observability.core.observation import Record
from runtime_observability.host import (
    addresses,
    agents,
    api_drift,
    cluster_lock,
    cluster_ready,
    cordon,
    docker,
    k3d,
    kubeconfig,
    node_files,
    node_volumes,
    nodes,
    registries,
    rehearse,
    restart_policies,
    runner,
    store,
    tools_image,
)
from runtime_observability.host.cluster_lock import LockError
from runtime_observability.host.decision import Action, decide
from runtime_observability.host.docker import Owned
from runtime_observability.host.k3d import NodeWatch
from runtime_observability.host.node_kubectl import AgentsError
from runtime_observability.host.progress import log

_EXTRA_SECONDS = 120
"""Time for k3d itself, in addition to its timeout for the nodes."""
_UNSURE = ""
"""In the record, the content of a node that gets files and is started: that may happen, or half of
it, though the run is killed, which k3d outlives."""


def wanted_nodes(names: Names, spec: ClusterSpec) -> tuple[str, ...]:
    """Container names of the cluster's nodes, the first server first."""
    return tuple(
        names.node(role, index)
        for role, count in (("server", spec.config["servers"]), ("agent", spec.config["agents"]))
        for index in range(count)
    )


class Convergence:
    """One run towards ``spec``, the wanted cluster of the stack with these ``names``.

    ``record`` is what this run knows and writes down; ``lock`` is the descriptor from ``locked``,
    which the caller holds during the run.
    """

    def __init__(self, names: Names, spec: ClusterSpec, record: Record, lock: int) -> None:
        self.names = names
        self.spec = spec
        self.record = record
        self.lock = lock
        self.nodes = wanted_nodes(names, spec)
        count = spec.config["servers"]
        self.servers, self.agents = self.nodes[:count], self.nodes[count:]
        self.content = transition.content(spec)

    def run(self) -> str:
        """Makes the cluster complete and returns the container id of its first server.

        Raises CommandError when that is not possible.
        """
        node_files.check(self.names, self.spec)
        found = self.containers()
        if nodes.revive(found, self.names.network):
            found = self.containers()
        restart_policies.mend(self.names)
        torn = node_volumes.lacking(found) if self.record.never_complete else []
        if self.record.never_complete and self.may_be_in_use(found):
            log(
                f"cluster {self.names.cluster}: the run that began it was interrupted, but it has "
                "existed for long enough to be in use"
            )
            adding = [name for name in self.agents if name in torn]
            self.record = replace(self.record, never_complete=False, adding=adding)
        decision = decide(
            found,
            self.nodes,
            self.record.digest,
            servers=len(self.servers),
            begun=self.record.content if self.record.never_complete else (),
            torn=torn,
        )
        self.note()
        log(f"cluster {self.names.cluster}: {decision.action.value}, because {decision.reason}")
        match decision.action:
            case Action.CREATE:
                self.create()
            case Action.RECREATE:
                self.delete()
                self.create()
            case Action.START | Action.ADOPT:
                registries.connect(self.names, self.spec.registries_in_use)
                self.bring_up(found)
        known = addresses.read(self.names.network, self.servers)
        self.note(complete=True, never_complete=False, adding=[], addresses=known)
        return next(node.id for node in self.containers() if node.name == self.nodes[0])

    def note(self, **changes: object) -> None:
        """Writes down what is known now, for a run after this one."""
        self.record = replace(self.record, **changes)  # type: ignore[arg-type]
        store.save(self.names, self.record)

    def containers(self) -> list[Owned]:
        """The cluster's containers but nodes without an owner, which ``k3d node create`` made.

        Raises CommandError when a node belongs to another owner. Removes an unfinished rehearsal.
        """
        everything = docker.containers()
        if any(container.cluster == self.names.rehearsal for container in everything):
            rehearse.sweep(self.names)
        nodes = docker.ClusterNodes.of(everything, self.names.cluster, self.names.owner)
        if nodes.foreign:
            raise runner.CommandError(
                f"cluster {self.names.cluster} already exists and has another owner: it has "
                f"{nodes.foreign[0].whose}. Destroy it first, or choose another stack name"
            )
        for node in nodes.added:
            if node.name in self.nodes:
                raise AgentsError(
                    f"node {node.name}, which the stack is to have, was added by somebody: remove "
                    f"that one with `k3d node delete {node.name}`, or keep it and set agents lower"
                )
        tools = (
            container
            for container in everything
            if container.cluster == self.names.cluster and not container.is_node
        )
        return [*nodes.owned, *tools]

    def may_be_in_use(self, found: Sequence[Owned]) -> bool:
        """Whether a server has run for longer than a start takes, though no run saw it ready, or
        may have before it was started again."""
        return any(
            self.has_started(node.name)
            or nodes.seconds_until_start(node.name) > self.spec.start_seconds
            for node in found
            if node.role == "server"
        )

    def has_started(self, node: str) -> bool:
        """Whether the node has run for longer than a start takes."""
        return nodes.seconds_since_start(node) > self.spec.start_seconds

    def create(self) -> None:
        """Creates the cluster; deletes what exists of it when that fails."""
        tools_image.provide(self.spec.tools_image)
        content = dict.fromkeys(self.nodes, self.content)
        self.note(never_complete=True, content=content, addresses={})
        watch = NodeWatch(self.nodes)
        labels = self.names.labels | {naming.SPEC_LABEL: self.record.digest}
        try:
            self.k3d(
                k3d.CREATE,
                watch,
                documents.dump(cluster_spec.with_labels(self.spec.config, labels)),
            )
            self.wait(self.nodes, watch)
        except runner.CommandError as failure:
            try:
                self.delete()
            except runner.CommandError as second_failure:
                raise runner.CommandError(f"{failure}\n{second_failure}") from None
            raise

    def bring_up(self, found: Sequence[Owned]) -> None:
        """Makes an existing cluster what is wanted, without replacing it.

        One that does not become ready is left as it is, unless it was never complete.
        """
        found = self.without_unfinished(found)
        there = {node.name: node for node in found if node.role in ("server", "agent")}
        present = [name for name in self.nodes if name in there]
        stopped = [name for name in present if there[name].state != "running"]
        try:
            known = self.record.addresses
            stopped += self.end(addresses.misplaced(self.names.network, present, known))
            stopped = stopped or self.end(self.reasons_to_restart(present, self.has_started))
            if stopped:
                self.start(stopped, present)
            else:
                self.wait_or_restart(present)
        except runner.CommandError as error:
            if not self.record.never_complete:
                told = f"it does not become ready and is left as it is: {error}"
                raise type(error)(told) from None
            log(f"cluster {self.names.cluster} was never complete and is recreated: {error}")
            self.delete()
            self.create()
            return
        self.note(never_complete=False)
        if self.record.draining in present:
            cordon.lift(self.record.draining, server=self.nodes[0])
        gone = {*self.record.content, *self.record.adding, *self.nodes} - there.keys()
        again = gone & set(self.nodes) - {self.record.draining}  # else cordoned
        agents.free_names(gone, again, server=self.nodes[0])
        self.remove([there[name] for name in sorted(there.keys() - set(self.nodes), reverse=True)])
        kept = {name: of for name, of in self.record.content.items() if name in self.nodes}
        self.note(draining="", content=kept)
        for name in present:
            if self.record.content.get(name) != self.content:
                self.restart(there[name], present)
        missing = [name for name in self.nodes if name not in there]
        if missing:
            self.add(missing)

    def without_unfinished(self, found: Sequence[Owned]) -> list[Owned]:
        """Removes agents that Docker did not finish when they were added: they are added again."""
        unfinished = agents.unfinished([node for node in found if node.name in self.record.adding])
        for name in unfinished:
            log(f"cluster {self.names.cluster}: Docker was killed while it created {name}")
            agents.discard(name, server=self.nodes[0], keeps_node=True)
        return [node for node in found if node.name not in unfinished]

    def restart(self, node: Owned, present: Sequence[str]) -> None:
        """Has a node read its changed files: it does when it starts."""
        tools_image.provide(self.spec.tools_image)
        log(f"cluster {self.names.cluster}: {node.name} restarts and reads its changed files")
        is_server = node.role == "server"
        with cordon.kept(node.name, server=self.nodes[0]) if is_server else nullcontext():
            nodes.kill(node.name)
            self.start([node.name], present)

    def wait_or_restart(self, present: Sequence[str]) -> None:
        """Waits for nodes that run. One that was not given up before, as it might still start, and
        has not reported or joined by then, does not do so by itself: it restarts. Kubernetes calls
        one ready for 50 s after its kubelet has ended."""
        new = [name for name in present if not self.has_started(name)]
        try:
            self.wait(present, NodeWatch(present), nodes.starts(new))
        except runner.CommandError as error:
            reasons = self.reasons_to_restart(present, lambda _: True)
            if not reasons or isinstance(error, k3d.CurableError):
                raise
            self.start(self.end(reasons), present)

    def end(self, reasons: Mapping[str, str]) -> list[str]:
        """Ends nodes that run and that only a start mends, and returns them."""
        if reasons:
            tools_image.provide(self.spec.tools_image)
        for name, reason in reasons.items():
            log(f"cluster {self.names.cluster}: {name} restarts: {reason}")
            nodes.kill(name)
        return list(reasons)

    def reasons_to_restart(
        self, present: Sequence[str], has_started: Callable[[str], bool]
    ) -> dict[str, str]:
        """By node. Raises CurableError for the first server of an etcd, which would not join."""
        kubeconfig.write(self.names)
        reasons = api_drift.reasons_to_restart(
            self.names.kubeconfig, present, self.spec.config, self.servers, has_started
        )
        if self.spec.has_etcd and reasons.get(self.servers[0]) == api_drift.NOT_JOINED:
            cure = node_cures.rejoin(self.servers)
            raise k3d.CurableError(f"{self.servers[0]}: {api_drift.NOT_JOINED}.\n{cure}")
        return reasons

    def start(self, stopped: Sequence[str], present: Sequence[str]) -> None:
        """Starts nodes that are stopped, with the files of now, and waits for all ``present``.

        k3d waits for the first server before it starts the others; those that have addresses of
        their own start before it.
        """
        tools_image.provide(self.spec.tools_image)
        begin = docker.now().timestamp()
        older = [name for name in stopped if self.record.content.get(name) != self.content]
        self.note(content={**self.record.content, **dict.fromkeys(stopped, _UNSURE)})
        for name in older:
            nodes.write_registries(name, self.spec, self.names.directory)
        watch = NodeWatch(present, since=begin)
        known = {name: self.record.addresses.get(name, "") for name in stopped}
        placed = {name: address for name, address in known.items() if address}
        addresses.start(self.names, placed)
        self.k3d_start(watch)
        self.wait(present, watch, dict.fromkeys(stopped, begin))
        self.note(content={**self.record.content, **dict.fromkeys(stopped, self.content)})

    def remove(self, surplus: Sequence[Owned]) -> None:
        """Removes agents one by one, each that runs and whose kubelet works after a drain: else its
        pods would never end."""
        running = [node.name for node in surplus if node.state == "running"]
        started = [name for name in running if self.has_started(name)]
        hung = api_drift.hung(self.names.kubeconfig, started)
        for name in (node.name for node in surplus):
            drain = name in running and name not in hung
            why = f", without a drain: {api_drift.HUNG}" if name in hung else ""
            log(f"cluster {self.names.cluster}: {name} is to be removed{why}")
            agents.refuse_to_remove(name, server=self.nodes[0], drain=drain)
            cordons = drain and cordon.takes_pods(name, server=self.nodes[0])
            self.note(draining=name if cordons else "")
            agents.remove(name, server=self.nodes[0], drain=drain, cordons=cordons)

    def add(self, missing: Sequence[str]) -> None:
        """Adds agents; removes those that do not become ready, so that nothing incomplete stays."""
        tools_image.provide(self.spec.tools_image)
        log(f"cluster {self.names.cluster}: {', '.join(missing)} added")
        labels = self.names.labels | {naming.SPEC_LABEL: self.record.digest}
        begin = docker.now().timestamp()
        made: list[str] = []
        self.note(adding=[*missing])
        try:
            for name in missing:
                index = self.agents.index(name)
                agents.create(
                    self.nodes[0],
                    name,
                    index,
                    self.spec,
                    labels,
                    folder=self.names.directory,
                )
                made.append(name)
                nodes.copy_registries(self.nodes[0], name, self.spec, self.names.directory)
            watch = NodeWatch(missing)
            self.k3d_start(watch)
            self.wait(self.nodes, watch, dict.fromkeys(missing, begin))
        except runner.CommandError as error:
            for name in made:
                stood = name in self.record.content
                agents.discard(name, server=self.nodes[0], keeps_node=stood)
            raise agents.not_added(error, missing, self.agents) from None
        self.note(content={**self.record.content, **dict.fromkeys(missing, self.content)})

    def k3d_start(self, watch: NodeWatch) -> None:
        """Starts what is stopped of the cluster. k3d gives up where a node that somebody else has
        added does not start: that one is told, and is none of the nodes that are waited for."""
        nodes.remove_stopped_tools(self.names.cluster)
        timeout = f"{self.spec.start_seconds}s"
        try:
            self.k3d(["cluster", "start", self.names.cluster, "--timeout", timeout], watch)
        except runner.CommandError as error:
            of_others = nodes.added_by_others(self.names, str(error))
            if not of_others:
                raise
            for name in of_others:
                log(
                    f"warning: node {name} of cluster {self.names.cluster}, which somebody added, "
                    f"does not start; `k3d node delete {name}` removes it"
                )
            nodes.start(self.names, self.nodes)

    def k3d(self, argv: Sequence[str], watch: NodeWatch, stdin: str = "") -> None:
        """Runs ``k3d argv`` with this run's lock and deadline."""
        k3d.run(
            argv,
            stdin=stdin,
            watch=watch,
            tools_image=self.spec.tools_image,
            folder=self.names.directory,
            lock=self.lock,
            seconds=self.spec.start_seconds + _EXTRA_SECONDS,
        )

    def wait(
        self, present: Sequence[str], watch: NodeWatch, restarted: dict[str, float] | None = None
    ) -> None:
        """Writes the kubeconfig and waits until every node that is ``present`` is ready."""
        kubeconfig.write(self.names)
        wanted = cluster_ready.ReadyCluster.of(self.spec, present, restarted)
        seconds = cluster_ready.wait(self.names.kubeconfig, wanted, watch)
        log(f"cluster {self.names.cluster}: {len(present)} node(s) Ready after {seconds:.1f} s")

    def delete(self) -> None:
        """Deletes the cluster with the script that Pulumi's delete also runs.

        Raises LockError where this run has outlived its engine and a destroy.
        """
        if cluster_lock.is_superseded(self.names, self.lock):
            raise LockError(
                f"cluster {self.names.cluster} belongs to a later run by now and is left as it is"
            )
        values = {
            "OWNER": self.names.owner,
            "CLUSTER": self.names.cluster,
            "DIRECTORY": str(self.names.directory),
        }
        runner.run_script("sweep_cluster.sh", values).checked()
