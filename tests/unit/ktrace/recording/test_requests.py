"""What a request means, by its method, path and answer."""

from __future__ import annotations

import pytest

from ktrace.recording.object_reference import NO_OBJECT, ObjectReference
from ktrace.recording.requests import RequestInfo, parse

POD = ObjectReference("a-x1", "u1")
DELETED = ObjectReference("a", "u2")


@pytest.mark.parametrize(
    ("method", "path", "written", "wanted"),
    [
        ("GET", "/version", NO_OBJECT, RequestInfo("get")),
        ("GET", "/apis", NO_OBJECT, RequestInfo("get")),
        ("GET", "/api/v1/nodes", NO_OBJECT, RequestInfo("list", "", "nodes")),
        ("GET", "/api/v1/pods?watch=true", NO_OBJECT, RequestInfo("watch", "", "pods")),
        ("GET", "/api/v1/namespaces/n", NO_OBJECT, RequestInfo("get", "", "namespaces", "", "n")),
        (
            "POST",
            "/api/v1/namespaces/n/pods",
            POD,
            RequestInfo("create", "", "pods", "n", "a-x1", "u1"),
        ),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/n/deployments/a/scale",
            NO_OBJECT,
            RequestInfo("patch", "apps", "deployments/scale", "n", "a"),
        ),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/n/deployments/a",
            DELETED,
            RequestInfo("delete", "apps", "deployments", "n", "a", "u2"),
        ),
        (
            "PUT",
            "/api/v1/namespaces/n/finalize",
            NO_OBJECT,
            RequestInfo("update", "", "namespaces/finalize", "", "n"),
        ),
        (
            "PATCH",
            "/api/v1/namespaces/n/status",
            NO_OBJECT,
            RequestInfo("patch", "", "namespaces/status", "", "n"),
        ),
        (
            "GET",
            "/api/v1/namespaces/n/status/x",
            NO_OBJECT,
            RequestInfo("get", "", "namespaces/status/x", "", "n"),
        ),
        ("GET", "/api/v1/pods?watch=0", NO_OBJECT, RequestInfo("list", "", "pods")),
        ("GET", "/api/v1/pods?watch=false", NO_OBJECT, RequestInfo("list", "", "pods")),
        (
            "GET",
            "/api/v1/namespaces/n/pods/a?watch=1",
            NO_OBJECT,
            RequestInfo("get", "", "pods", "n", "a"),
        ),
        ("OPTIONS", "/api/v1/nodes", NO_OBJECT, RequestInfo("options", "", "nodes")),
        (
            "DELETE",
            "/api/v1/namespaces/n/pods",
            NO_OBJECT,
            RequestInfo("deletecollection", "", "pods", "n"),
        ),
    ],
)
def test_paths_are_read_as_the_api_server_reads_them(
    method: str, path: str, written: ObjectReference, wanted: RequestInfo
) -> None:
    assert parse(method, path, written) == wanted


@pytest.mark.parametrize(
    ("method", "verb", "writes"),
    [
        ("GET", "get", False),
        ("HEAD", "head", False),
        ("POST", "create", True),
        ("PUT", "update", True),
        ("PATCH", "patch", True),
        ("DELETE", "delete", True),
    ],
)
def test_a_method_is_a_verb_that_writes_or_not(method: str, verb: str, writes: bool) -> None:
    found = parse(method, "/api/v1/namespaces/n/pods/a")
    assert (found.verb, found.writes) == (verb, writes)


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "read"),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "read"),
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", "read"),
        ("POST", "/apis/authorization.k8s.io/v1/namespaces/n/localsubjectaccessreviews", "read"),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", "read"),
        ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", "read"),
        ("POST", "/apis/authorization.openshift.io/v1/subjectaccessreviews", "read"),
        ("POST", "/apis/example.com/v1/namespaces/n/codereviews", "write"),
        ("DELETE", "/apis/example.com/v1/namespaces/n/codereviews/a", "write"),
        ("POST", "/api/v1/namespaces/n/serviceaccounts/a/token", "write"),
        ("POST", "/api/v1/namespaces/n/pods/a/eviction", "write"),
        ("POST", "/api/v1/namespaces/n/pods/a/exec?command=ls", "connect"),
        ("GET", "/api/v1/namespaces/n/pods/a/portforward", "connect"),
        ("GET", "/api/v1/namespaces/n/pods/a/attach", "connect"),
        ("POST", "/api/v1/namespaces/n/services/a/proxy/x", "connect"),
        ("GET", "/api/v1/namespaces/n/pods/proxy", "read"),
        ("GET", "/api/v1/namespaces/n/pods/a/log?follow=true", "watch"),
        ("GET", "/api/v1/namespaces/n/pods/a/log?follow=false", "read"),
        ("GET", "/api/v1/pods?watch=True", "watch"),
        ("GET", "/api/v1/pods?watch=False", "read"),
        ("GET", "/api/v1/watch/namespaces/n/pods", "watch"),
        ("GET", "//[x/y", "read"),
    ],
)
def test_a_request_is_of_one_kind(method: str, path: str, kind: str) -> None:
    assert parse(method, path).kind == kind


def test_names_are_read_as_they_are_meant() -> None:
    found = parse("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode")
    assert found.name == "system:node"


def test_deleting_a_collection_writes() -> None:
    assert parse("DELETE", "/api/v1/namespaces/n/pods").writes


def test_a_dry_run_and_a_read_write_nothing() -> None:
    assert parse("POST", "/api/v1/namespaces/n/pods").writes
    assert not parse("POST", "/api/v1/namespaces/n/pods?dryRun=All").writes
    assert not parse("GET", "/api/v1/namespaces/n/pods").writes
    assert not parse("POST", "/version").writes


def test_what_is_proxied_to_a_pod_is_no_object() -> None:
    assert parse("PATCH", "/api/v1/namespaces/n/pods/a").writes
    assert not parse("POST", "/api/v1/namespaces/n/pods/a/proxy/x").writes
    assert not parse("GET", "/api/v1/namespaces/n/pods/a").writes
