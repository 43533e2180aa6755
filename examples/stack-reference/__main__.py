"""Deploys an operator to the traced cluster that another stack has made.

The operator's own spans join the cluster's in the same Jaeger.
"""

import pulumi
import pulumi_kubernetes as kubernetes

platform = pulumi.StackReference(pulumi.Config().require("platform"))
cluster = kubernetes.Provider("cluster", kubeconfig=platform.require_output("kubeconfig"))

labels = {"app": "operator"}
kubernetes.apps.v1.Deployment(
    "operator",
    metadata={"name": "operator"},
    spec={
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [
                    {
                        "name": "operator",
                        "image": "docker.io/library/busybox:1.35",
                        "command": ["sleep", "86400"],
                        "env": [
                            {
                                "name": "OTEL_EXPORTER_OTLP_ENDPOINT",
                                "value": platform.require_output("otlpEndpointInCluster"),
                            }
                        ],
                    }
                ],
            },
        },
    },
    opts=pulumi.ResourceOptions(provider=cluster),
)
pulumi.export("podStarts", platform.require_output("links").apply(lambda links: links["podStarts"]))
