"""What a request asked for, and which objects it wrote."""

from __future__ import annotations

import json

import pytest

from ktrace.following.follower import touched
from ktrace.following.owners import PodInfo
from ktrace.recording.identity import NOTHING, Identity, identity
from ktrace.recording.requests import Request, Seen, parse

POD = Identity("a-x1", "u1")
DELETED = Identity("a", "u2")


@pytest.mark.parametrize(
    ("method", "path", "written", "wanted"),
    [
        ("GET", "/version", NOTHING, Request("get")),
        ("GET", "/apis", NOTHING, Request("get")),
        ("GET", "/api/v1/nodes", NOTHING, Request("list", "", "nodes")),
        ("GET", "/api/v1/pods?watch=true", NOTHING, Request("watch", "", "pods")),
        ("GET", "/api/v1/namespaces/n", NOTHING, Request("get", "", "namespaces", "", "n")),
        (
            "POST",
            "/api/v1/namespaces/n/pods",
            POD,
            Request("create", "", "pods", "n", "a-x1", "u1"),
        ),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/n/deployments/a/scale",
            NOTHING,
            Request("patch", "apps", "deployments/scale", "n", "a"),
        ),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/n/deployments/a",
            DELETED,
            Request("delete", "apps", "deployments", "n", "a", "u2"),
        ),
        (
            "DELETE",
            "/api/v1/namespaces/n/pods",
            NOTHING,
            Request("deletecollection", "", "pods", "n"),
        ),
    ],
)
def test_paths_are_read_as_the_api_server_reads_them(
    method: str, path: str, written: Identity, wanted: Request
) -> None:
    assert parse(method, path, written) == wanted


def test_a_dry_run_and_a_read_write_nothing() -> None:
    assert parse("POST", "/api/v1/namespaces/n/pods").writes
    assert not parse("POST", "/api/v1/namespaces/n/pods?dryRun=All").writes
    assert not parse("GET", "/api/v1/namespaces/n/pods").writes
    assert not parse("POST", "/version").writes


def test_what_is_proxied_to_a_pod_is_no_object() -> None:
    assert parse("PATCH", "/api/v1/namespaces/n/pods/a").names_its_object
    assert not parse("POST", "/api/v1/namespaces/n/pods/a/proxy/x").names_its_object
    assert not parse("GET", "/api/v1/namespaces/n/pods/a").names_its_object


def field(number: int, value: bytes) -> bytes:
    """A string or message in protobuf's wire format; ``value`` may be long."""
    size = len(value)
    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    return bytes([number << 3 | 2]) + length + value


def in_protobuf(kind: bytes, message: bytes) -> bytes:
    return b"k8s\0" + field(1, field(1, b"v1") + field(2, kind)) + field(2, message)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (
            json.dumps({"kind": "Pod", "metadata": {"name": "a-x1", "uid": "u1"}}).encode(),
            POD,
        ),
        (json.dumps({"kind": "Status", "details": {"name": "a", "uid": "u2"}}).encode(), DELETED),
        (
            in_protobuf(
                b"Pod",
                # name, namespace, uid, generation (a number), and a spec
                field(1, field(1, b"a-x1") + field(3, b"n") + field(5, b"u1") + b"\x38\xac\x02")
                + field(2, b"s" * 300),
            ),
            POD,
        ),
        (
            in_protobuf(
                b"Status", field(2, b"Success") + field(5, field(1, b"a") + field(6, b"u2"))
            ),
            DELETED,
        ),
        (in_protobuf(b"Pod", b"")[:-3], NOTHING),
        (in_protobuf(b"Status", field(2, b"Failure")), NOTHING),
        (b'{"kind": "Status"}', NOTHING),
        (b"[]", NOTHING),
        (b"ok", NOTHING),
        (b"", NOTHING),
    ],
)
def test_an_answer_names_its_object(body: bytes, wanted: Identity) -> None:
    assert identity(body) == wanted


def seen(method: str, path: str, status: int, written: Identity = NOTHING) -> Seen:
    return Seen(method, path, began=0, status=status, written=written)


def test_what_was_touched_is_what_was_written_with_success() -> None:
    found = touched(
        [
            seen("POST", "/api/v1/namespaces/n/pods", 201, POD),
            seen("DELETE", "/api/v1/namespaces/n/pods/b", 200),
            seen("DELETE", "/api/v1/namespaces/n/pods", 200),
            seen("DELETE", "/api/v1/namespaces/n/pods/refused", 403),
            seen("GET", "/api/v1/namespaces/n/pods/read", 200),
            seen("PATCH", "/api/v1/namespaces/labelled", 200),
            seen("DELETE", "/api/v1/namespaces/deleted", 200),
        ]
    )
    assert found.uids == {"u1"}
    assert found.pods == {("n", "a-x1"), ("n", "b")}
    assert found.namespaces == {"deleted"}


def test_a_pod_is_of_an_object_by_any_of_its_owners() -> None:
    wrote = touched(
        [
            seen("PATCH", "/apis/apps/v1/namespaces/n/deployments/d", 200, Identity("d", "u-d")),
            seen("DELETE", "/api/v1/namespaces/n/pods/a", 200),
            seen("DELETE", "/api/v1/namespaces/gone", 200),
        ]
    )
    assert wrote.has(PodInfo("n", "x", "own", owners=("u-replica-set", "u-d")))
    assert wrote.has(PodInfo("n", "a", "own"))
    assert wrote.has(PodInfo("gone", "x", "own"))
    assert not wrote.has(PodInfo("m", "a", "own", owners=("another",)))
