"""ClusterGuard and TracedCluster: the k3d cluster, which only one deletes and only one makes."""

from __future__ import annotations

import json

import pulumi

from components import _commands
from runtime_observability.core.documents import ClusterSpec
from runtime_observability.core.naming import Names


class ClusterGuard(pulumi.ComponentResource):
    """Holds the only delete of the cluster, and stands in the state before the cluster exists.

    A changed spec or network replaces it: the old cluster goes first, workloads and all.
    """

    id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        names: Names,
        spec: ClusterSpec,
        network_id: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("runtime-observability:index:ClusterGuard", name, None, opts)
        sweep = _commands.guard(
            f"{name}-sweep",
            ["sweep_cluster.sh"],
            {
                "OWNER": names.owner,
                "CLUSTER": names.cluster,
                "DIRECTORY": str(names.directory),
            },
            triggers=[spec.digest, network_id],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.id = sweep.id
        self.register_outputs({"id": self.id})


class TracedCluster(pulumi.ComponentResource):
    """The k3d cluster whose API server, kubelet and containerd export traces.

    Create and update are the same ensure; ``generation`` makes it run when the cluster drifted.
    """

    instance: pulumi.Output[str]
    """Container id of the first server: another one is another cluster."""

    def __init__(
        self,
        name: str,
        *,
        names: Names,
        spec: ClusterSpec,
        generation: int,
        guard: ClusterGuard,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("runtime-observability:index:TracedCluster", name, None, opts)
        ensured = _commands.python(
            f"{name}-ensure",
            "runtime_observability.host.ensure",
            stdin=json.dumps(
                {"stack": names.stack, "folder": str(names.folder), "spec": spec.document},
                sort_keys=True,
            ),
            environment={"GENERATION": str(generation)},
            triggers=[guard.id],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.instance = ensured.stdout.apply(lambda said: str(json.loads(said)["instance"]))
        self.register_outputs({"instance": self.instance})
