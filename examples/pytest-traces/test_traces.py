"""What a change to the platform must keep: pods start in time, and their start is traced."""

import subprocess

from conftest import Cluster

from ktrace.expect import BUILTIN, schema
from ktrace.expect.search import wait_for_verdicts
from ktrace.podstart.search import wait_for_start


def test_a_pod_starts_in_time_and_every_part_of_it_is_traced(cluster: Cluster) -> None:
    kubectl = ["kubectl", f"--kubeconfig={cluster.kubeconfig}"]
    image = "--image=docker.io/library/busybox:1.35"
    subprocess.run([*kubectl, "run", "hello", image, "--restart=Never", "--", "true"], check=True)

    start = wait_for_start(
        cluster.jaeger, "default", "hello", seconds=120, kubeconfig=cluster.kubeconfig
    )

    assert start is not None
    assert start.complete
    assert start.duration_ms < 60_000
    assert {"apiserver", "kubelet", "containerd"} <= {step.component for step in start.steps}


def test_the_shipped_expectations_hold(cluster: Cluster) -> None:
    file = schema.load(BUILTIN / "control-plane.yaml", {})
    verdicts = wait_for_verdicts(cluster.jaeger, file, seconds=30)
    assert [failure for verdict in verdicts for failure in verdict.failures] == []
