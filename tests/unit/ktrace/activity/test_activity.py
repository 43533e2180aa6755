"""Requests of the API server, on recorded traces and on made ones."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace.activity.named_object import NamedObject
from ktrace.activity.requests import NOT_KNOWN, ApiRequest, requests_in
from ktrace.activity.rows import BY, rows
from ktrace.jaeger import Trace, model
from tests.fakes import jaeger as fake

_REPLAY = Path(__file__).resolve().parents[3] / "replay"


def _recorded(name: str) -> list[Trace]:
    text = gzip.decompress((_REPLAY / f"{name}-v1.36.json.gz").read_bytes())
    return [model.trace_of(trace) for trace in model.read(text)]


def server_span(method: str, target: str) -> dict[str, Any]:
    tags: dict[str, Any] = {"span.kind": "server", "http.method": method, "http.target": target}
    return fake.span("apiserver", "request", **tags)


def read(made: dict[str, Any]) -> list[ApiRequest]:
    return list(requests_in([model.trace_of(model.read(json.dumps(made).encode()))]))


def _one(**tags: Any) -> ApiRequest:
    tags["span.kind"] = "server"
    made = fake.trace(fake.span("apiserver", "any", **tags))
    (request,) = read(made)
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


@pytest.mark.parametrize(
    ("path", "key", "name"),
    [
        ("/api/v1/namespaces/a/pods", "/registry/pods/a/web-x7", "pods/a/web-x7"),
        ("/apis/apps/v1/namespaces/a/deployments", "/deployments/a/b", "deployments.apps/a/b"),
        ("/api/v1/namespaces", "/namespaces/b", "namespaces/b"),
        ("/api/v1/namespaces/a/pods", "/pods/other/b", NOT_KNOWN),
        ("/api/v1/namespaces/a/pods", "", NOT_KNOWN),
    ],
)
def test_the_key_in_etcd_names_what_a_post_created(path: str, key: str, name: str) -> None:
    made = fake.trace(
        server_span("POST", path),
        fake.span("apiserver", "Create etcd3", 1, parent="request", key=key),
    )
    (request,) = read(made)
    assert (request.object, request.writes, request.kind) == (name, True, "request")


def test_a_recorded_create_has_the_name_of_its_object() -> None:
    events = [r for r in requests_in(_recorded("pod")) if r.resource == "events" and r.writes]
    assert events
    assert all(r.object.startswith("events/") for r in events)


def test_what_a_webhook_asks_is_a_request_of_its_own() -> None:
    inner = server_span("POST", "/api/v1/namespaces/a/pods")
    inner = {**inner, "spanID": "inner"}
    inner["references"] = [{"refType": "CHILD_OF", "traceID": "t1", "spanID": "request"}]
    made = fake.trace(
        server_span("POST", "/api/v1/namespaces/a/pods"),
        inner,
        fake.span("apiserver", "Create etcd3", 1, parent="inner", key="/pods/a/b"),
        fake.span("apiserver", "etcdserverpb.KV/Txn", 1, parent="inner"),
    )
    outer, asked = read(made)
    assert (outer.object, outer.etcd) == (NOT_KNOWN, 0)
    assert (asked.object, asked.etcd) == ("pods/a/b", 9)


@pytest.mark.parametrize(
    ("method", "target", "writes"),
    [
        ("PATCH", "/api/v1/namespaces/a/pods/b/status", True),
        ("POST", "/api/v1/namespaces/a/pods/b/eviction", True),
        ("DELETE", "/api/v1/namespaces/a/pods/b", True),
        ("GET", "/api/v1/namespaces/a/pods/b", False),
        ("POST", "/api/v1/namespaces/a/pods/b/exec?command=true", False),
        ("PATCH", "/api/v1/namespaces/a/pods/b?dryRun=All", False),
    ],
)
def test_only_what_may_change_the_object_writes(method: str, target: str, writes: bool) -> None:
    (request,) = read(fake.trace(server_span(method, target)))
    assert (request.object, request.writes) == ("pods/a/b", writes)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("deploy/web", "deployments.apps/shop/web"),
        ("Deployment/web", "deployments.apps/shop/web"),
        ("deployments.apps/default/web", "deployments.apps/default/web"),
        ("pod/x", "pods/shop/x"),
        ("po/other/x", "pods/other/x"),
        ("node/x", "nodes/x"),
        ("widgets/x", "widgets.example.com/shop/x"),
        ("Widget/x", "widgets.example.com/shop/x"),
        ("policy.example.com/x", "policies.example.com/shop/x"),
        ("bus/x", "buses.example.com/shop/x"),
    ],
)
def test_an_object_may_be_named_as_for_kubectl(text: str, path: str) -> None:
    wanted = NamedObject.of(text, "shop")
    assert wanted
    assert wanted.is_at(path)
    resource, *_, name = path.split("/")
    others = (f"{resource}/elsewhere/{name}", f"{path}-2", f"other{path}", "not known")
    assert not any(map(wanted.is_at, others))


@pytest.mark.parametrize("text", ["web", "deploy/", "/web", "a/b/c/d", "deploy//web"])
def test_what_names_no_object_is_none(text: str) -> None:
    assert NamedObject.of(text, "default") is None


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
        writes=st.booleans(),
        failed=st.sampled_from([True, False, None]),
        etcd=st.just(0),
        webhooks=st.just(0),
        calls=st.just(()),
        connection=st.just(""),
        kubelet=st.just(True),
        internal=st.booleans(),
    ),
    max_size=250,
)


@given(requests=_REQUESTS, by=st.sampled_from(sorted(BY.keys() - {"webhook"})))
def test_every_request_is_in_one_row(requests: list[ApiRequest], by: str) -> None:
    made = rows(requests, by, 60)
    assert rows(requests[::-1], by, 60) == made
    assert sum(row.count for row in made) == len(requests)
    assert sum(row.errors for row in made) == sum(r.failed is True for r in requests)
    for row in made:
        assert (row.p99_ms is None) == (row.count < 100)
        assert row.p99_ms is None or row.p50_ms <= row.p99_ms


@pytest.mark.parametrize(
    ("agent", "account"),
    [
        (
            "kube-controller-manager/v1.36.3 (linux/amd64) kubernetes/abc/"
            "system:serviceaccount:kube-system:deployment-controller",
            "kube-system/deployment-controller",
        ),
        ("kubectl/v1.32.4 (linux/amd64) kubernetes/abc", ""),
        ("x/system:serviceaccount:a:b trailing", ""),
    ],
)
def test_a_controller_names_its_service_account(agent: str, account: str) -> None:
    assert _one(**{"http.method": "PUT", "http.user_agent": agent}).account == account


def test_a_request_keeps_its_status_path_and_audit_id() -> None:
    tags = {"http.method": "GET", "http.target": "/api/v1/pods?limit=5", "audit-id": "a"}
    request = _one(**tags, **{"http.status_code": 404})
    assert (request.status, request.path, request.audit_id) == (404, "/api/v1/pods?limit=5", "a")
    assert _one(**{"http.method": "GET"}).status is None
