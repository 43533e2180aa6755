"""A traced cluster, and your own Helm chart in it."""

import pulumi
import pulumi_kubernetes as kubernetes
from runtime_observability.components import TracedEnvironment, TracedEnvironmentArgs

settings = pulumi.Config().get_object("environment") or {}
environment = TracedEnvironment("traced", TracedEnvironmentArgs(**settings))
cluster = kubernetes.Provider(
    "cluster",
    kubeconfig=environment.kubeconfig,
    cluster_identifier=environment.cluster_instance,  # another cluster is empty
)
kubernetes.helm.v4.Chart("greeter", chart="./chart", opts=pulumi.ResourceOptions(provider=cluster))
for name, value in environment.outputs.items():
    pulumi.export(name, value)
