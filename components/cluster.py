"""The k3d cluster: its rehearsal, the guard that deletes it, and the ensure that makes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_command import local

from runtime_observability.core.args import (
    ClusterGuardArgs,
    ClusterRehearsalArgs,
    TracedClusterArgs,
)
from runtime_observability.core.naming import BACKENDS_NOTE, CLUSTER_NOTE

from . import _commands
from .config_files import ConfigFiles
from .network import StackNetwork

_NO_CLUSTER = (
    "unset -f docker; "  # of the user's bash, as in scripts/functions.sh
    'nodes=$(docker ps -aq --filter "label=k3d.cluster=$CLUSTER") && [ -z "$nodes" ]'
    """ && printf '{"digest": "%s"}' """
    '"$DIGEST"'
)


class ClusterRehearsal(pulumi.ComponentResource):
    """Sees a new configuration start before anything of the standing cluster is changed.

    What the old cluster uses depends on it, so a configuration that does not start ends the up
    before the guard's delete. Without a cluster to lose it does nothing.
    """

    digest: pulumi.Output[str]
    """Of the configuration that was seen to start, or has no cluster to replace. An up that leaves
    this resource out (``--target``, ``--exclude``) finds the one of the up before."""

    def __init__(
        self,
        name: str,
        args: ClusterRehearsalArgs,
        *,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("runtime-observability:index:ClusterRehearsal", name, None, opts)
        run = _commands.python(
            f"{name}-run",
            "runtime_observability.host.rehearse",
            stdin=_request(args, files=dict(args.files), on=args.on),
            environment={"CLUSTER": args.cluster, "DIGEST": args.digest},
            unless=_NO_CLUSTER,
            # Where Pulumi deletes it first (`up --replace`), guard and cluster go with it.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=False),
        )
        self.digest = (
            run.urn.apply(lambda _: args.digest)  # a preview tells what comes if it starts
            if pulumi.runtime.is_dry_run()
            else pulumi.Output.unsecret(run.stdout).apply(_rehearsed)
        )
        self.register_outputs({"digest": self.digest})


class ClusterGuard(pulumi.ComponentResource):
    """Holds the only delete of the cluster, and is in the state before the cluster exists.

    Another digest replaces it: the old cluster goes first, with its workloads. The digest is the
    rehearsal's, and that of the standing cluster where the rehearsal or the nodes' files are of
    another configuration: an up that leaves out either does not replace the cluster. Another
    network does not either: ensure connects the nodes to it.

    What else replaces it (``--replace``, a taint) deletes no cluster: the delete fails while the
    file ``cluster.kept`` has its digest. That file is of a resource which a destroy deletes before
    this one, and which a replacement leaves, as no property of it depends on this. In the same way
    no network is replaced that nodes are on.
    """

    id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: ClusterGuardArgs,
        *,
        network: StackNetwork,
        files: ConfigFiles,
        rehearsal: ClusterRehearsal,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("runtime-observability:index:ClusterGuard", name, None, opts)

        async def unless_parts_were_left_out(digest: str) -> str:
            # Awaited, because a file that this depended on would replace the guard with itself.
            current = digest == args.digest and await files.are_current.future()
            return args.standing if args.standing and not current else digest

        digest: pulumi.Output[str] = rehearsal.digest.apply(unless_parts_were_left_out)
        sweep = _commands.guard(
            f"{name}-sweep",
            ["refuse_kept.sh", "sweep_cluster.sh"],
            {
                "OWNER": args.owner,
                "CLUSTER": args.cluster,
                "DIRECTORY": args.directory,
                "DIGEST": digest,
            },
            triggers=[digest, args.cluster],
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[network],
                # The network's id in the state of an earlier release, which is no other cluster's.
                ignore_changes=["triggers[1]"],
            ),
        )
        hold = _hold(
            f"{name}-hold",
            args,
            network,
            CLUSTER_NOTE,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[sweep]),
        )
        _keep(
            f"{name}-keep",
            args,
            CLUSTER_NOTE,
            digest,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[hold]),
        )
        self.id = sweep.id
        self.register_outputs({"id": self.id})


class BackendsGuard(pulumi.ComponentResource):
    """Refuses another network before it costs Jaeger, with the traces in its memory, and the
    collector.

    The engine deletes what depends on a resource before that, and the rest in the order of its
    state: `ClusterGuard`, which no container waits for, may refuse when they are gone.

    Unlike at the cluster's first note, there may be nodes when this one is made. A run that is
    killed in that moment leaves it, and a state without its maker: what removes it is in the state
    before.
    """

    def __init__(
        self,
        name: str,
        args: ClusterGuardArgs,
        *,
        network: StackNetwork,
        containers: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("runtime-observability:index:BackendsGuard", name, None, opts)
        after = pulumi.ResourceOptions(parent=self, depends_on=list(containers))
        hold = _hold(f"{name}-hold", args, network, BACKENDS_NOTE, opts=after)
        release = _commands.guard(
            f"{name}-release",
            ["release_cluster.sh"],
            {"DIRECTORY": args.directory, "NOTE": BACKENDS_NOTE},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[hold]),
        )
        last = pulumi.ResourceOptions(parent=self, depends_on=[release])
        _keep(f"{name}-keep", args, BACKENDS_NOTE, opts=last)
        self.register_outputs({})


class TracedCluster(pulumi.ComponentResource):
    """The k3d cluster whose API server, kubelet and containerd export traces.

    Create and update are the same ensure; another generation runs it when the cluster drifted.
    """

    instance: pulumi.Output[str]
    """Container id of the first server: another one is another cluster."""
    kubeconfig: pulumi.Output[str]
    """Its path, known once the cluster is ready."""

    def __init__(
        self,
        name: str,
        args: TracedClusterArgs,
        *,
        guard: ClusterGuard,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("runtime-observability:index:TracedCluster", name, None, opts)
        ensured = _commands.python(
            f"{name}-ensure",
            "runtime_observability.host.ensure",
            stdin=_request(args),
            environment=_commands.generation_variable(args.generation),
            triggers=[guard.id],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.instance = _commands.printed(ensured).apply(lambda found: str(found["instance"]))
        self.kubeconfig = self.instance.apply(lambda _: args.kubeconfig)
        self.register_outputs({"instance": self.instance, "kubeconfig": self.kubeconfig})


def _hold(
    name: str,
    args: ClusterGuardArgs,
    network: StackNetwork,
    note: str,
    *,
    opts: pulumi.ResourceOptions,
) -> local.Command:
    """Its delete fails while there is the ``note`` of `_keep` and nodes are on this ``network``."""
    return _commands.guard(
        name,
        ["refuse_connected.sh"],
        {
            "OWNER": args.owner,
            "CLUSTER": args.cluster,
            "NETWORK": network.id,
            "DIRECTORY": args.directory,
            "NOTE": note,
        },
        triggers=[network.id],
        opts=opts,
    )


def _keep(
    name: str,
    args: ClusterGuardArgs,
    note: str,
    digest: pulumi.Input[str] = "",
    *,
    opts: pulumi.ResourceOptions,
) -> None:
    """Makes the file ``note`` for what it depends on to see: a destroy deletes it before that."""
    _commands.guard(
        name,
        ["release_cluster.sh"],
        {
            "DIRECTORY": args.directory,
            "NOTE": note,
            "DIGEST": digest,
            **_commands.generation_variable(args.generation),
        },
        create=["keep_cluster.sh"],
        opts=opts,
    )


def _rehearsed(printed: str) -> str:
    """The digest in what a rehearsal has ``printed``; before this release it printed none."""
    digest = json.loads(printed or "{}").get("digest")
    if not digest:
        raise pulumi.RunError(
            "the rehearsal of the cluster has not run since this project was updated, so what may "
            "replace it is not known: run `pulumi up` once without --target and --exclude"
        )
    return str(digest)


def _request(args: ClusterRehearsalArgs | TracedClusterArgs, **more: Any) -> str:
    """The document that both modules read; in one order, as Pulumi compares the text."""
    document = {
        "stack": args.stack,
        "folder": args.folder,
        "stateFolder": args.state_folder,
        "spec": args.spec.document,
        "digest": args.digest,
    }
    return json.dumps(document | more, sort_keys=True)
