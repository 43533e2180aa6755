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


def test_a_dry_run_and_a_read_write_nothing() -> None:
    assert parse("POST", "/api/v1/namespaces/n/pods").writes
    assert not parse("POST", "/api/v1/namespaces/n/pods?dryRun=All").writes
    assert not parse("GET", "/api/v1/namespaces/n/pods").writes
    assert not parse("POST", "/version").writes


def test_what_is_proxied_to_a_pod_is_no_object() -> None:
    assert parse("PATCH", "/api/v1/namespaces/n/pods/a").is_answered_by_object
    assert not parse("POST", "/api/v1/namespaces/n/pods/a/proxy/x").is_answered_by_object
    assert not parse("GET", "/api/v1/namespaces/n/pods/a").is_answered_by_object
