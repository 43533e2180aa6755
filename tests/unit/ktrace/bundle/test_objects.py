"""What a bundle keeps of the API server's answers is what ktrace reads, and no secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ktrace.bundle.objects import Reducer
from ktrace.podstart.pod import events_of, pod_of
from ktrace.rollout.kinds import DEPLOYMENT
from ktrace.rollout.workload import time_of, workload_of
from tests.fakes import recorded_pods, rollouts, starts
from tests.fakes.recorded import FOLDER

SECRET = "hunter2"  # noqa: S105  what must not be found
RECORDED = [
    (folder.name, file.name.removesuffix(".json.gz"))
    for folder in sorted(FOLDER.glob("v*"))
    for file in sorted(folder.glob("*.json.gz"))
]


def kept(document: dict[str, Any]) -> Any:
    return Reducer(b"key").kept(document)


@pytest.mark.parametrize(("version", "kind"), RECORDED)
def test_ktrace_reads_the_same_pod_and_events(version: str, kind: str) -> None:
    """Of every kind of pod that was recorded."""
    found = recorded_pods.load(version, kind)
    pod = {"kind": "Pod", **found.pod}
    assert pod_of(kept(pod)) == pod_of(pod)
    events = {"kind": "EventList", "items": list(found.events)}
    assert events_of(kept(events), pod_of(pod)) == events_of(events, pod_of(pod))


def test_ktrace_reads_the_same_deployment() -> None:
    condition = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    times = {"lastUpdateTime": starts.second(3_000), "lastTransitionTime": starts.second(1_000)}
    made = rollouts.workload(DEPLOYMENT, "web", status={"conditions": [condition | times]})
    document = {"kind": "Deployment", **made}
    read = workload_of(DEPLOYMENT, document)
    assert read.conditions[0].updated == time_of(times["lastUpdateTime"])
    assert workload_of(DEPLOYMENT, kept(document)) == read


def test_no_secret_of_a_pod_is_kept() -> None:
    handler = {"exec": {"command": ["sh", "-c", f"login {SECRET}"]}}
    http = {"httpGet": {"path": f"/{SECRET}", "httpHeaders": [{"name": "a", "value": SECRET}]}}
    container = {
        "name": "main",
        "image": "nginx:1.27",
        "command": ["sh", "-c", f"serve --token={SECRET}"],
        "args": [f"--password={SECRET}"],
        "workingDir": f"/{SECRET}",
        "env": [
            {"name": "PASSWORD", "value": SECRET},
            {"name": f"X_{SECRET}", "valueFrom": {"secretKeyRef": {"name": SECRET, "key": SECRET}}},
        ],
        "envFrom": [{"secretRef": {"name": SECRET}}],
        "volumeMounts": [{"name": SECRET, "mountPath": f"/{SECRET}"}],
        "lifecycle": {"postStart": handler, "preStop": http},
        "startupProbe": {**handler, "periodSeconds": 3},
        "readinessProbe": http,
        "livenessProbe": handler,
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-0",
            "uid": "u",
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"env": SECRET}),
                "example.com/token": SECRET,
                "kubernetes.io/config.hash": "abc",
            },
            "labels": {"password": SECRET},
            "managedFields": [
                {
                    "manager": "kubectl",
                    "fieldsV1": {"f:spec": {f'k:{{"name":"{SECRET}"}}': {}}, f"f:{SECRET}": {}},
                }
            ],
        },
        "spec": {
            "nodeName": "agent-0",
            "containers": [container],
            "initContainers": [{**container, "name": "init"}],
            "ephemeralContainers": [{**container, "name": "debug"}],
            "volumes": [{"name": "v", "secret": {"secretName": SECRET}}],
            "imagePullSecrets": [{"name": SECRET}],
            "serviceAccountName": SECRET,
            "hostAliases": [{"ip": "1.2.3.4", "hostnames": [SECRET]}],
        },
        "status": {"phase": "Running", "podIP": SECRET},
    }
    found = kept(pod)
    assert SECRET not in json.dumps(found)
    assert SECRET not in json.dumps(kept({"kind": "PodList", "items": [pod]}))
    assert pod_of(found) == pod_of(pod)
    read = pod_of(found).containers[1]
    assert (read.name, read.image, read.post_start) == ("main", "nginx:1.27", "exec")
    assert (read.startup_probe, read.readiness_probe) == (True, True)
    assert pod_of(found).has_volumes


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_data_is_never_kept(kind: str) -> None:
    document = {"kind": kind, "metadata": {"name": "a"}, "data": {"password": SECRET}}
    assert kept(document) is None
    assert kept({"kind": f"{kind}List", "items": [{"metadata": {"name": "a"}}]}) is None
    assert kept({"kind": "List", "items": [document]}) is None


def test_the_path_tells_the_kind_of_what_does_not_name_it() -> None:
    pod = {"metadata": {"name": "a"}, "spec": {"nodeName": "n", "volumes": [{"name": SECRET}]}}
    reduce = Reducer(b"key")
    found = {"metadata": {"name": "a"}, "spec": {"nodeName": "n", "volumes": [{}]}}
    assert reduce.kept(pod, "/api/v1/namespaces/shop/pods/a") == found
    listed = reduce.kept({"items": [pod]}, "/api/v1/namespaces/shop/pods?labelSelector=a%3Db")
    assert listed == {"items": [found]}
    assert reduce.kept({"items": [pod]}, "/api/v1/secrets") is None
    assert reduce.kept(pod, "/api/v1/namespaces/shop/secrets/a") is None


def test_of_an_unknown_kind_its_owners_are_kept() -> None:
    owner = {"apiVersion": "v1", "kind": "A", "name": "b", "uid": "c", "controller": True}
    document = {
        "apiVersion": "example.com/v1",
        "kind": "Database",
        "metadata": {"name": "a", "ownerReferences": [owner], "annotations": {"x": SECRET}},
        "spec": {"password": SECRET},
        "status": {"connection": SECRET},
    }
    assert kept(document) == {
        "apiVersion": "example.com/v1",
        "kind": "Database",
        "metadata": {"name": "a", "ownerReferences": [owner]},
    }


def deployment(kind: str, value: str, **labels: str) -> dict[str, Any]:
    container = {"name": "main", "env": [{"name": "PASSWORD", "value": value}]}
    template = {
        "metadata": {"labels": {"app": "web", **labels}},
        "spec": {"containers": [container]},
    }
    return {
        "kind": kind,
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "template": template},
    }


def test_templates_can_be_compared_but_not_guessed() -> None:
    """As a Deployment's controller does: a ReplicaSet's has one label more."""
    reduce = Reducer(b"key")

    def template(document: dict[str, Any]) -> str:
        found = reduce.kept(document)
        assert found is not None
        assert SECRET not in json.dumps(found)
        return str(found["spec"]["template"]["digest"])

    wanted = template(deployment("Deployment", SECRET))
    hash_label = {"pod-template-hash": "5d4f"}
    assert template(deployment("ReplicaSet", SECRET, **hash_label)) == wanted
    assert template(deployment("ReplicaSet", "another", **hash_label)) != wanted
    other = Reducer(b"other").kept(deployment("Deployment", SECRET))
    assert other is not None
    assert other["spec"]["template"]["digest"] != wanted
