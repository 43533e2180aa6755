"""Requests of the API server, on recorded traces and on made ones."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace.activity.requests import NOT_KNOWN, ApiRequest, requests_in
from ktrace.activity.rows import BY, rows
from ktrace.jaeger import Trace, model
from tests.fakes import jaeger as fake

_REPLAY = Path(__file__).resolve().parents[3] / "replay"


def _recorded(name: str) -> list[Trace]:
    text = gzip.decompress((_REPLAY / f"{name}-v1.36.json.gz").read_bytes())
    return [model.trace_of(trace) for trace in model.read(text)]


def _one(**tags: object) -> ApiRequest:
    made = fake.trace(fake.span("apiserver", "any", **{"span.kind": "server"}, **tags))
    (request,) = requests_in([model.trace_of(model.read(json.dumps(made).encode()))])
    return request


@pytest.mark.parametrize("name", ["rest", "pod"])
def test_each_audit_id_is_one_request(name: str) -> None:
    traces = _recorded(name)
    ids = {
        str(span.tags["audit-id"])
        for trace in traces
        for span in trace.spans
        if span.tags.get("span.kind") == "server" and "audit-id" in span.tags
    }
    assert len(list(requests_in([*traces, *traces]))) == len(ids)


def test_what_the_recorded_api_server_asked_itself_is_internal() -> None:
    found = list(requests_in(_recorded("rest")))
    assert {r.internal for r in found if r.client.startswith("kube-apiserver/")} == {True}
    assert not any(r.internal for r in found if r.client.startswith("kubelet/"))
    leases = Counter(r.object for r in found if r.resource == "leases.coordination.k8s.io")
    assert leases["leases.coordination.k8s.io/kube-system/apiserver-zxz24plpdpcwuzu6fe6ru7dtfu"]
    assert NOT_KNOWN not in leases


@pytest.mark.parametrize(
    ("target", "resource", "name", "kind"),
    [
        ("/api/v1/namespaces/a/pods/b/status", "pods/status", "pods/a/b", "request"),
        ("/apis/apps/v1/namespaces/a/deployments/b", "deployments.apps",
         "deployments.apps/a/b", "request"),
        ("/api/v1/namespaces/a", "namespaces", "namespaces/a", "request"),
        ("/api/v1/namespaces/a/status", "namespaces/status", "namespaces/a", "request"),
        ("/api/v1/pods?limit=500", "pods", NOT_KNOWN, "list"),
        ("/api/v1/pods?watch=true", "pods", NOT_KNOWN, "watch"),
        ("/healthz", "/healthz", NOT_KNOWN, "request"),
    ],
)  # fmt: skip
def test_the_path_names_resource_and_object(
    target: str, resource: str, name: str, kind: str
) -> None:
    request = _one(**{"http.method": "GET", "http.target": target, "http.user_agent": "me/1 (x)"})
    assert (request.resource, request.object, request.kind) == (resource, name, kind)
    assert request.client == "me/1"


def test_what_no_span_tells_is_not_known() -> None:
    request = _one(**{"http.method": "GET"})
    assert (request.client, request.resource, request.object) == (NOT_KNOWN,) * 3
    assert request.failed is None


_REQUESTS = st.lists(
    st.builds(
        ApiRequest,
        trace_id=st.text("abc", min_size=1),
        start=st.integers(0, 10**9),
        duration=st.integers(0, 10**7),
        client=st.sampled_from("ab"),
        method=st.just("GET"),
        kind=st.sampled_from(["request", "list", "watch"]),
        resource=st.sampled_from("cd"),
        object=st.sampled_from("ef"),
        failed=st.sampled_from([True, False, None]),
        etcd=st.just(0),
        webhooks=st.just(0),
        internal=st.booleans(),
    ),
    max_size=250,
)


@given(requests=_REQUESTS, by=st.sampled_from(BY))
def test_every_request_is_in_one_row(requests: list[ApiRequest], by: str) -> None:
    made = rows(requests, by, 60)
    assert sum(row.count for row in made) == len(requests)
    assert sum(row.errors for row in made) == sum(r.failed is True for r in requests)
    for row in made:
        assert (row.p99_ms is None) == (row.count < 100)
        assert row.p99_ms is None or row.p50_ms <= row.p99_ms
