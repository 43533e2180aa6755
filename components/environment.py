"""TracedEnvironment: all parts of one traced cluster, as one component.

The annotations are the schema of the component for other languages, so they are evaluated: no
``from __future__ import annotations`` here.
"""

from typing import Any

import pulumi

from runtime_observability.core.naming import PROJECT

from . import _commands, _docker_provider, _planning
from .cluster import BackendsGuard, ClusterGuard, ClusterRehearsal, TracedCluster
from .collector import Collector
from .config_files import ConfigFiles
from .environment_args import TracedEnvironmentArgs
from .jaeger import Jaeger
from .network import StackNetwork
from .node_image import NodeImage
from .open_search import OpenSearch
from .probe import TraceProbe
from .retention import Retention
from .stack_guard import StackGuard


class TracedEnvironment(pulumi.ComponentResource):
    """A Kubernetes cluster in which every start of a pod is a trace.

    It makes Jaeger, an OpenTelemetry Collector and a k3d cluster whose API server, kubelet and
    containerd export traces, and then proves that a pod's start is one joined trace.
    """

    jaeger_url: pulumi.Output[str]
    """Page and query API of the Jaeger that has the traces; empty if none is known."""
    otlp_grpc_endpoint: pulumi.Output[str]
    """The collector's OTLP gRPC receiver, for programs on this machine."""
    otlp_http_endpoint: pulumi.Output[str]
    """The collector's OTLP HTTP receiver, for programs on this machine."""
    otlp_endpoint_in_cluster: pulumi.Output[str]
    """The collector's OTLP gRPC receiver, for pods."""
    resource_attributes: pulumi.Output[dict[str, str]]
    """What the collector adds to every span, metric and log record: whose stack it is."""
    kubeconfig: pulumi.Output[str]
    """Path of the cluster's kubeconfig, known once the cluster is ready."""
    cluster_name: pulumi.Output[str]
    """The cluster's name in k3d."""
    cluster_instance: pulumi.Output[str]
    """Identifies the cluster: another value is another cluster, without what was in it."""
    links: pulumi.Output[dict[str, str]]
    """Ready-made searches in Jaeger, by name."""
    traced_components: pulumi.Output[list[str] | None]
    """The components that the probe found traced; none without the probe."""
    time_to_first_trace_seconds: pulumi.Output[float | None]
    """Seconds from the creation of the probe's pod to its readable trace."""
    first_trace_url: pulumi.Output[str | None]
    """The trace of the start of the probe's pod."""

    def __init__(
        self,
        name: str,
        args: TracedEnvironmentArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Raises RunError, with every problem, before the first resource is registered."""
        typed = TracedEnvironmentArgs.of(args)
        plan = _planning.plan(typed)
        if typed.has_texts_to_hide:
            secret = pulumi.ResourceOptions(transformations=[_commands.keep_stdin_secret])
            opts = pulumi.ResourceOptions.merge(opts, secret)
        super().__init__("runtime-observability:index:TracedEnvironment", name, None, opts)
        docker = _docker_provider.of(name, self)

        def own(part: str, *after: pulumi.Input[pulumi.Resource]) -> pulumi.ResourceOptions:
            return pulumi.ResourceOptions(
                parent=self,
                depends_on=list(after),
                providers=[docker],
                aliases=_earlier_names(part),
            )

        guard = StackGuard(f"{name}-stack", plan.stack_guard, opts=own("stack"))
        network = StackNetwork(
            f"{name}-network", plan.network, opts=own("network", guard.of_this_name)
        )
        image = NodeImage(f"{name}-node-image", plan.node_image, opts=own("node-image"))
        rehearsal = ClusterRehearsal(
            f"{name}-rehearsal",
            plan.rehearsal,
            opts=own("rehearsal", guard.of_this_name, image),
        )
        # The standing nodes read these files when they restart.
        files = ConfigFiles(f"{name}-files", plan.files, opts=own("files", rehearsal))
        cluster_guard = ClusterGuard(
            f"{name}-cluster-guard",
            plan.cluster_guard,
            network=network,
            files=files,
            rehearsal=rehearsal,
            opts=own("cluster-guard", network, files),
        )
        # These three come up side by side: exporters and the collector try again until the next
        # one answers. Only a rehearsal that may end the up, and a port or an address that one could
        # take from another, make them wait. Images are pulled at once: nothing owns them.
        before = [cluster_guard] if plan.backends_wait_for_ports else [rehearsal]
        store = None
        if plan.open_search:
            opts_of_store = own("opensearch", *before)
            store = OpenSearch(
                f"{name}-opensearch", plan.open_search, network=network, opts=opts_of_store
            )
        jaeger = (
            Jaeger(
                f"{name}-jaeger",
                plan.jaeger,
                network=network,
                store=store,
                opts=own("jaeger", *before),
            )
            if plan.jaeger
            else None
        )
        if plan.retention and jaeger:
            Retention(
                f"{name}-retention",
                plan.retention,
                network=network,
                jaeger=jaeger,
                opts=own("retention"),
            )
        collector = Collector(
            f"{name}-collector", plan.collector, network=network, opts=own("collector", *before)
        )
        backends = [jaeger, collector] if jaeger else [collector]
        awaited = backends if plan.cluster_waits_for_backends else []
        images = [backend.image for backend in backends]
        BackendsGuard(
            f"{name}-backends-guard",
            plan.cluster_guard,
            network=network,
            containers=[backend.container for backend in backends],
            opts=own("backends-guard"),
        )
        cluster = TracedCluster(
            f"{name}-cluster",
            plan.cluster,
            guard=cluster_guard,
            opts=own("cluster", cluster_guard, *images, *awaited),
        )
        probe = plan.probe and TraceProbe(
            f"{name}-probe",
            plan.probe,
            jaeger=jaeger,
            collector=collector,
            cluster=cluster,
            opts=own("probe", cluster, *backends),
        )

        self.jaeger_url = pulumi.Output.from_input(plan.jaeger_url)
        self.otlp_grpc_endpoint = pulumi.Output.from_input(plan.collector.grpc_endpoint)
        self.otlp_http_endpoint = pulumi.Output.from_input(plan.collector.http_endpoint)
        self.otlp_endpoint_in_cluster = pulumi.Output.from_input(plan.collector.in_cluster_endpoint)
        self.resource_attributes = pulumi.Output.from_input(plan.resource_attributes)
        self.kubeconfig = cluster.kubeconfig
        self.cluster_name = pulumi.Output.from_input(plan.cluster_name)
        self.cluster_instance = cluster.instance
        self.links = pulumi.Output.from_input(plan.links)
        found: pulumi.Output[dict[str, Any]] = probe.result if probe else _nothing()
        self.traced_components = found.apply(lambda result: result.get("traced"))
        self.time_to_first_trace_seconds = found.apply(lambda result: result.get("seconds"))
        self.first_trace_url = found.apply(lambda result: result.get("traceUrl"))
        self.outputs = _outputs(self, probed=probe is not None) | plan.trace_outputs
        self.register_outputs(self.outputs)


def _outputs(environment: TracedEnvironment, *, probed: bool) -> dict[str, pulumi.Output[Any]]:
    """All outputs as a stack exports them; those of the probe only where it runs."""
    outputs: dict[str, pulumi.Output[Any]] = {
        "jaegerUrl": environment.jaeger_url,
        "otlpGrpcEndpoint": environment.otlp_grpc_endpoint,
        "otlpHttpEndpoint": environment.otlp_http_endpoint,
        "otlpEndpointInCluster": environment.otlp_endpoint_in_cluster,
        "resourceAttributes": environment.resource_attributes,
        "kubeconfig": environment.kubeconfig,
        "clusterName": environment.cluster_name,
        "links": environment.links,
    }
    if probed:
        outputs |= {
            "tracedComponents": environment.traced_components,
            "timeToFirstTraceSeconds": environment.time_to_first_trace_seconds,
            "firstTraceUrl": environment.first_trace_url,
        }
    return outputs


def _nothing() -> pulumi.Output[dict[str, Any]]:
    return pulumi.Output.from_input({})


def _earlier_names(part: str) -> list[pulumi.Alias]:
    """What ``part`` was called while this project's program made it without an environment."""
    if pulumi.get_project() != PROJECT:
        return []
    return [pulumi.Alias(name=part, parent=pulumi.ROOT_STACK_RESOURCE)]
