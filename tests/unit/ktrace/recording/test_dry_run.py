"""Whether a request's body makes it a dry run."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace.recording import dry_run
from tests.fakes.http import FakeServer, Reply
from tests.unit.ktrace.recording.forwarding import forwarder_of
from tests.unit.ktrace.recording.test_object_reference import field, in_protobuf

ALL = {"dryRun": ["All"]}
POD = "/api/v1/namespaces/n/pods/a"


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (None, None),
        (b"", None),
        (json.dumps({"kind": "DeleteOptions", **ALL}).encode(), True),
        (json.dumps(ALL).encode(), True),
        (b"dryRun: [All]", True),
        (in_protobuf(b"DeleteOptions", b"\x08\x00" + field(5, b"All")), True),
        (in_protobuf(b"DeleteOptions", field(4, b"Foreground")), False),
        (json.dumps({"gracePeriodSeconds": 0}).encode(), False),
        (json.dumps({"dryRun": []}).encode(), False),
        (json.dumps({"dryRun": None}).encode(), False),
        (json.dumps({"dryRun": 5}).encode(), False),
        (b"[]", False),
        (b"{", False),
        (b"\xff\xfe", False),
        (b"[" * 100_000, False),
    ],
)
def test_a_deletion_says_it_in_its_options(body: bytes | None, wanted: bool | None) -> None:
    assert dry_run.in_delete(body) is wanted


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (json.dumps({"kind": "Eviction", "deleteOptions": ALL}).encode(), True),
        (in_protobuf(b"Eviction", field(1, b"") + field(2, field(5, b"All"))), True),
        (json.dumps({"kind": "Eviction", **ALL}).encode(), None),
        (json.dumps({"kind": "Eviction", "deleteOptions": None}).encode(), None),
        (in_protobuf(b"Eviction", field(1, b"")), None),
        (None, None),
    ],
)
def test_an_eviction_says_it_in_its_delete_options(body: bytes | None, wanted: bool | None) -> None:
    assert dry_run.in_eviction(body) is wanted


@given(st.binary(max_size=80))
def test_no_bytes_end_in_an_error(body: bytes) -> None:
    for data in (body, b"k8s\0" + body):
        dry_run.in_delete(data)
        dry_run.in_eviction(data)


@pytest.mark.parametrize(
    ("request_line", "body", "kind"),
    [
        (f"DELETE {POD}", ALL, "dryRun"),
        (f"DELETE {POD}?dryRun=All", None, "dryRun"),
        # The API server does not read the query of a DELETE with a body.
        (f"DELETE {POD}?dryRun=All", {"gracePeriodSeconds": 0}, "write"),
        (f"DELETE {POD}", {}, "write"),
        ("DELETE /api/v1/namespaces/n/pods", ALL, "dryRun"),
        (f"POST {POD}/eviction", {"deleteOptions": ALL}, "dryRun"),
        (f"POST {POD}/eviction?dryRun=All", {}, "dryRun"),
        (f"POST {POD}/eviction", {}, "write"),
        ("POST /api/v1/namespaces/n/pods?dryRun=All", {}, "dryRun"),
        # A field of the object, which happens to have the name.
        ("POST /apis/example.com/v1/namespaces/n/jobs", ALL, "write"),
        ("POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {}, "read"),
    ],
)
def test_a_dry_run_is_told_apart_from_a_write(
    server: FakeServer, tmp_path: Path, request_line: str, body: object, kind: str
) -> None:
    server.answer = lambda _: Reply(200, {})
    with forwarder_of(server.url, tmp_path) as (url, recorder):
        method, path = request_line.split()
        text = None if body is None else json.dumps(body)
        httpx.request(method, f"{url}{path}", content=text)
    (recorded,) = recorder.requests
    assert recorded.info.kind == kind
