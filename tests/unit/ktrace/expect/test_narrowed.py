"""What a selector's own searches find is judged as all traces would be, and is less to read."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace.expect import narrowed, search
from ktrace.expect.narrowed import Query
from ktrace.expect.schema import Expectation, File
from ktrace.expect.search import wait_for_verdicts
from ktrace.expect.verdict import Verdict
from ktrace.jaeger import client as client_of_jaeger
from ktrace.jaeger import reader
from ktrace.jaeger.store import LUCENE
from ktrace.recording import requests as recording
from tests.fakes.clock import Clock
from tests.fakes.jaeger import client, span, trace
from tests.fakes.store import Store

NOW = 1_700_000_000
PATHS = (
    ("/api/v1/namespaces/n/pods/a", "/api/v1/namespaces/{:namespace}/pods/{:name}"),
    ("/api/v1/namespaces/n/pods", "/api/v1/namespaces/{:namespace}/pods"),
    ("/api/v1/namespaces/n/pods?watch=true", "/api/v1/namespaces/{:namespace}/pods"),
    ("/api/v1/namespaces/n/pods/a/status", "/api/v1/namespaces/{:namespace}/pods/{:name}/status"),
    (
        "/api/v1/namespaces/n/pods/a/proxy/x/y",
        "/api/v1/namespaces/{:namespace}/pods/{:name}/proxy",
    ),
    ("/api/v1/namespaces/n", "/api/v1/namespaces/{:namespace}"),
    (
        "/apis/apps/v1/namespaces/n/deployments/web/scale",
        "/apis/apps/v1/namespaces/{:namespace}/deployments/{:name}/scale",
    ),
    ("/apis/example.com/v1/deployments/web", "/apis/example.com/v1/deployments/{:name}"),
    ("/version", ""),
)
"""Of a request, and what the API server makes of it in its span's name."""
VERSIONS = ("1.30", "1.32", "1.36")
"""Whose spans differ in their names or tags."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
SELECTS = st.fixed_dictionaries(
    {},
    optional={
        "verb": st.sampled_from(["get", "list", "watch", "create", "write", "delete*", "pat?h"]),
        "resource": st.sampled_from(
            ["pods", "pods/status", "pods/proxy/x/y", "pods*", "namespaces", "deployments",
             "deployments.apps/scale", "deployments.example.com", "deployments.apps", "*"]
        ),
        "namespace": st.sampled_from(["n", "m"]),
        "name": st.sampled_from(["a", "w*"]),
        "client": st.sampled_from(["kubectl/1", "loop*"]),
    },
)  # fmt: skip
REQUESTS = st.tuples(
    st.sampled_from(METHODS),
    st.sampled_from(PATHS),
    st.sampled_from(VERSIONS),
    st.sampled_from(["kubectl/1", "loop/2"]),
    st.sampled_from([200, 409, 403]),
    st.booleans(),
)


def request(number: int, made: tuple[Any, ...]) -> dict[str, Any]:
    """The trace of a request, perhaps with a webhook's call, as that Kubernetes names its spans."""
    method, (path, template), version, agent, status, calls = made
    operation = "KubernetesAPI" if version == "1.30" else f"{method} {template}".rstrip()
    old = {"http.method": method, "http.target": path, "http.user_agent": agent}
    new = {"http.request.method": method, "url.path": path, "user_agent.original": agent}
    code = "http.response.status_code" if version == "1.36" else "http.status_code"
    tags = {**(new if version == "1.36" else old), code: str(status), "span.kind": "server"}
    at = (NOW - 60) * 1_000_000 + number
    spans = [span("apiserver", operation, at, **tags)]
    if calls:
        hook = {"configuration": "hooks", "webhook": f"w{number % 2}"}
        call = span("apiserver", "Call mutating webhook", at + 1, operation, **hook)
        call["references"][0]["traceID"] = f"r{number}"
        spans.append(call)
    return trace(*spans, trace_id=f"r{number}")


def lone(number: int) -> dict[str, Any]:
    at = (NOW - 60) * 1_000_000 + number
    return trace(span("apiserver", "authentication", at), trace_id=f"l{number}")


def judged(store: Store, about: dict[str, Any]) -> Verdict:
    file = File(expectations=[Expectation.model_validate({"name": "it", **about})])
    with pytest.MonkeyPatch.context() as patch:
        Clock(NOW).drive(patch, search, reader)
        (verdict,) = wait_for_verdicts(client(store.answer), file, 0)
    return verdict


@given(
    made=st.lists(REQUESTS, max_size=12),
    select=SELECTS,
    count=st.sampled_from([0, 1, 3]),
    webhook=st.sampled_from(["", "", "*", "hooks/w1"]),
)
def test_the_verdict_is_that_on_all_traces(
    made: list[tuple[Any, ...]], select: dict[str, str], count: int, webhook: str
) -> None:
    store = Store([*(request(at, one) for at, one in enumerate(made)), *map(lone, range(3))])
    about: dict[str, Any] = {"webhook": webhook} if webhook else {"request": select}
    about["expect"] = {"count": count, "noErrors": True}
    verdict = judged(store, about)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(narrowed, "queries", lambda *_: [Query()])
        whole = judged(store, about)
    assert (verdict.found, verdict.ok, sorted(verdict.failures), verdict.nearest) == (
        (whole.found, whole.ok, sorted(whole.failures), whole.nearest)
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", PATHS)
def test_each_request_is_found_by_its_resource(path: tuple[str, str], version: str) -> None:
    info = recording.parse("GET", path[0])
    other = request(1, ("GET", PATHS[1], version, "kubectl/1", 200, False))
    store = Store([other, request(2, ("GET", path, version, "loop/2", 200, False))])
    for resource in filter(None, {info.resource, info.full_resource}):
        for verb in (info.verb, "*"):
            select = {"verb": verb, "resource": resource, "client": "loop/2"}
            assert judged(store, {"request": select}).found == 1


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "about",
    [
        {"request": {"verb": "create"}},
        {"request": {"verb": "create", "resource": "deployments/scale"}},
        {"webhook": "*"},
    ],
)
def test_the_rest_of_a_busy_cluster_is_not_read(version: str, about: dict[str, Any]) -> None:
    busy = [request(at, ("GET", PATHS[0], version, "kubectl/1", 200, False)) for at in range(200)]
    own = request(1000, ("POST", PATHS[6], version, "kubectl/1", 201, True))
    store = Store([*busy, own])
    assert judged(store, about).found == 1
    assert store.found < 10


@pytest.mark.parametrize(
    ("about", "found"),
    [
        ({"request": {"resource": "pods"}}, 1),
        ({"select": {"component": "apiserver", "operation": "GET /api/*"}}, 2),
    ],
    ids=["request", "pattern"],
)
def test_what_a_search_engine_lists_no_more_is_found(
    monkeypatch: pytest.MonkeyPatch, about: dict[str, Any], found: int
) -> None:
    """It lists the operations of three days, by default."""
    _, listed = PATHS[5]
    paths = enumerate([PATHS[0], PATHS[5]])
    store = Store(
        request(number, ("GET", path, "1.36", "kubectl/1", 200, False)) for number, path in paths
    )

    def answer(sent: httpx.Request) -> httpx.Response:
        if sent.url.path.endswith("/operations"):
            return httpx.Response(200, json={"data": [f"GET {listed}"]})
        return store.answer(sent)

    Clock(NOW).drive(monkeypatch, search, reader, client_of_jaeger)
    expectation = Expectation.model_validate({"name": "it", **about})
    file = File(expectations=[expectation], sinceSeconds=4 * 24 * 3600)
    (verdict,) = wait_for_verdicts(client(answer, LUCENE), file, 0)
    assert verdict.found == found


def test_of_a_release_with_other_names_all_requests_are_read() -> None:
    expectation = Expectation.model_validate({"name": "it", "request": {"resource": "pods"}})
    assert narrowed.queries(expectation, ["GET", "authentication", "Request pods"]) == [Query()]
