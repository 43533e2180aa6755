"""One stack: a Kubernetes cluster whose pod starts are traces in Jaeger."""

import pulumi

from components.cluster import ClusterGuard, TracedCluster
from components.collector import Collector, CollectorArgs
from components.config_files import ConfigFiles
from components.jaeger import Jaeger, JaegerArgs
from components.network import StackNetwork
from components.node_image import NodeImage
from components.probe import ProbeArgs, TraceProbe
from components.stack_guard import StackGuard
from runtime_observability.core import plan as stack


def after(*resources: pulumi.Resource) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(depends_on=list(resources))


plan = stack.plan()
settings, names = plan.settings, plan.names

guard = StackGuard("stack", names=names)
network = StackNetwork("network", names=names, opts=after(guard))
jaeger = Jaeger(
    "jaeger",
    JaegerArgs(
        names=names,
        network=network,
        image=settings.images.jaeger,
        version=settings.jaeger_version,
        ui_port=settings.jaeger_ui_port,
        max_traces=settings.jaeger_max_traces,
        memory_mib=settings.jaeger_memory_mib,
        limits_swap=plan.limits_swap,
    ),
    opts=after(network),
)
collector = Collector(
    "collector",
    CollectorArgs(
        names=names,
        network=network,
        image=settings.images.collector,
        version=settings.collector_version,
        sampling_per_million=settings.collector_sampling_per_million,
        memory_mib=settings.collector_memory_mib,
        limits_swap=plan.limits_swap,
        grpc_port=settings.otlp_grpc_port,
        http_port=settings.otlp_http_port,
        health_port=settings.collector_health_port,
        metrics_port=settings.collector_metrics_port,
    ),
    opts=after(network, jaeger),
)
node_image = NodeImage(
    "node-image",
    image=plan.spec.image,
    built=plan.node_image,
    generation=plan.generation,
    opts=after(guard),
)
files = ConfigFiles(
    "files", names=names, files=plan.files, generation=plan.generation, opts=after(node_image)
)
cluster_guard = ClusterGuard(
    "cluster-guard",
    names=names,
    spec=plan.spec,
    network_id=network.id,
    opts=after(network, files, collector),
)
cluster = TracedCluster(
    "cluster",
    names=names,
    spec=plan.spec,
    generation=plan.generation,
    guard=cluster_guard,
    opts=after(cluster_guard),
)
if settings.trace_probe:
    probe = TraceProbe(
        "probe",
        ProbeArgs(
            names=names,
            jaeger_url=jaeger.url,
            image=plan.probe_image,
            seconds=settings.probe_timeout_seconds,
            k3s_version=f"v{settings.k3s_version}",
            demanded=plan.demanded,
            expected=plan.expected,
            reruns_with=[
                jaeger.container_id,
                collector.container_id,
                cluster.instance,
                plan.generation,
            ],
        ),
        opts=after(cluster, jaeger, collector),
    )
    pulumi.export("tracedComponents", probe.result["traced"])
    pulumi.export("timeToFirstTraceSeconds", probe.result["seconds"])
    pulumi.export("firstTraceUrl", probe.result["traceUrl"])

pulumi.export("jaegerUrl", jaeger.url)
pulumi.export("otlpGrpcEndpoint", collector.grpc_endpoint)
pulumi.export("otlpHttpEndpoint", collector.http_endpoint)
pulumi.export("otlpEndpointInCluster", collector.in_cluster_endpoint)
pulumi.export("kubeconfig", str(names.kubeconfig))
pulumi.export("clusterName", names.cluster)
pulumi.export("links", plan.links)
