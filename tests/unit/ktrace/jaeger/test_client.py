"""The client of Jaeger's API: its requests, how it reads responses, and when it fails."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from ktrace import otlp
from ktrace.jaeger import Jaeger, JaegerError, Span, Trace, store
from ktrace.jaeger.client import now
from tests.fakes.http import FakeServer, Reply, Request
from tests.fakes.jaeger import URL, client, data, span, trace


def answers(response: httpx.Response) -> Jaeger:
    return client(lambda _: response)


SECOND = 1_000_000
HOUR = 3600 * SECOND
NULL = httpx.Response(200, json={"data": None, "total": 0, "errors": None})
UNKNOWN = httpx.Response(404, json={"data": None, "errors": [{"msg": "trace not found"}]})
OPERATIONS = httpx.Response(200, json={"data": ["GET"]})
NO_ROUTE = httpx.Response(404, text="404 page not found")
NO_PAGE = httpx.Response(404, json={"message": "Not Found"})


@pytest.mark.parametrize("response", [NULL, UNKNOWN], ids=["null", "404"])
def test_nothing_yet_is_nothing(response: httpx.Response) -> None:
    jaeger = answers(response)
    assert jaeger.services() == []
    assert jaeger.find("kubelet") == []
    assert jaeger.trace("0123") is None


@pytest.mark.parametrize("response", [NO_ROUTE, NO_PAGE], ids=["text", "json"])
def test_a_page_that_another_server_does_not_have_is_no_answer(response: httpx.Response) -> None:
    jaeger = answers(response)
    for ask in (jaeger.services, lambda: jaeger.find("kubelet"), lambda: jaeger.trace("0123")):
        with pytest.raises(JaegerError, match=r"answers 404 without .*: is that Jaeger\?"):
            ask()


def test_a_jaeger_with_tls_on_this_machine_is_verified_with_the_users_authorities(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    server = FakeServer(lambda _: Reply(200, {"data": ["kubelet"]}), tls)
    try:
        monkeypatch.setenv("SSL_CERT_FILE", named(trustme.CA(), tmp_path / "other.pem"))
        with pytest.raises(JaegerError, match=r"Name the authority .* in SSL_CERT_FILE$"):
            Jaeger(f"{server.url}/jaeger/ui").services()
        monkeypatch.setenv("SSL_CERT_FILE", named(authority, tmp_path / "own.pem"))
        assert Jaeger(f"{server.url}/jaeger/ui").services() == ["kubelet"]
        assert server.requests[-1].path == "/jaeger/ui/api/services"
        otlp.post(otlp.Collector(server.url), [], 5)
    finally:
        server.stop()


def named(authority: trustme.CA, file: Path) -> str:
    authority.cert_pem.write_to_path(file)
    return str(file)


CUT = httpx.Response(200, text='{"data": [{"traceID": "a", "spans"')
PAGE = httpx.Response(200, text="<!doctype html><html>", headers={"Content-Type": "text/html"})
NO_OBJECT = httpx.Response(200, json=["a", "list"])
BROKEN = httpx.Response(500, json={"data": None, "errors": [{"code": 500, "msg": "no storage"}]})


def failed(message: str) -> httpx.Response:
    return httpx.Response(500, json={"data": None, "errors": [{"code": 500, "msg": message}]})


NO_LIST = httpx.Response(500, json={"errors": "full"})
NO_LOGIN = failed("search services failed: elastic: Error 401 (Unauthorized)")
EXPIRED = failed(
    'search services failed: Post "https://search.example:9200/x-jaeger-service/_search": tls: '
    "failed to verify certificate: x509: certificate has expired or is not yet valid"
)
AWAY = failed("no available connection: no Elasticsearch node available")
LOGIN = httpx.Response(401, text="<html>Sign in</html>")
GATEWAY = httpx.Response(502, text="Bad Gateway")


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (PAGE, f"{URL}/api/services answers 200 without a JSON object: is that Jaeger?"),
        (NO_OBJECT, f"{URL}/api/services answers 200 without a JSON object: is that Jaeger?"),
        (CUT, f"{URL}/api/services answers 200 with JSON that is not complete: try again"),
        (BROKEN, "Jaeger answers 500: no storage. Its log says more"),
        (NO_LIST, "Jaeger answers 500: full. Its log says more"),
        (NO_LOGIN, "Jaeger answers 500: .*401.*. Its store refuses Jaeger's user and password;"),
        (EXPIRED, "Jaeger answers 500: .*expired.*. Jaeger does not trust its store's certificate"),
        (AWAY, "Jaeger answers 500: .*available. Jaeger's store does not run, cannot be reached"),
        (GATEWAY, f"{URL}/api/services answers 502 without a JSON object: is that Jaeger?"),
        (LOGIN, f"{URL}/api/services answers 401: it wants a login. .*USER:PASSWORD@HOST"),
    ],
    ids=[
        "page",
        "no object",
        "cut",
        "error",
        "no list",
        "no login",
        "expired",
        "away",
        "gateway",
        "login",
    ],
)
def test_what_is_not_jaegers_answer_is_an_error(response: httpx.Response, message: str) -> None:
    with pytest.raises(JaegerError, match=message.replace("?", r"\?")):
        answers(response).services()


@pytest.mark.parametrize(
    ("url", "through_proxy"),
    [
        ("http://127.0.0.1:9", False),
        ("http://localhost:9", False),
        ("http://[::1]:9", False),
        ("http://jaeger.example:9", True),
    ],
)
def test_the_users_proxy_is_used_for_a_jaeger_elsewhere_alone(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, url: str, through_proxy: bool
) -> None:
    server.answer = lambda _: Reply(200, {"data": ["shop"]})
    for variable in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(variable, server.url)
    with Jaeger(url, timeout=1) as jaeger:
        if through_proxy:
            assert jaeger.services() == ["shop"]
        else:
            with pytest.raises(JaegerError, match="cannot be reached"):
                jaeger.services()
    assert bool(server.requests) is through_proxy


def test_a_jaeger_that_is_not_there_is_an_error() -> None:
    with (
        Jaeger("http://127.0.0.1:9", timeout=1) as jaeger,
        pytest.raises(JaegerError, match=r"cannot be reached: .*refused"),
    ):
        jaeger.services()


@pytest.mark.usefixtures("proxy_of_the_user")
def test_no_proxy_is_asked_for_jaeger(server: FakeServer) -> None:
    server.answer = lambda _: Reply(200, {"data": ["kubelet", "apiserver"]})
    with Jaeger(f"{server.url}/") as jaeger:
        assert jaeger.services() == ["apiserver", "kubelet"]
    assert server.asked("GET", "/api/services")


def test_the_login_of_an_address_is_sent_and_not_shown(server: FakeServer) -> None:
    wanted = f"Basic {base64.b64encode(b'me:hunter2').decode()}"

    def answer(request: Request) -> Reply:
        known = request.headers.get("authorization") == wanted
        return Reply(200, {"data": ["kubelet"]}) if known else Reply(401, None)

    server.answer = answer
    address = server.url.replace("//", "//me:hunter2@")
    with Jaeger(address) as jaeger:
        assert jaeger.services() == ["kubelet"]
        assert jaeger.url == server.url
        assert jaeger.link(Trace("t1", ())) == f"{server.url}/trace/t1"
    refused = r"401: it refuses the user and the password of the address$"
    with (
        Jaeger(address.replace("hunter2", "hunter3")) as jaeger,
        pytest.raises(JaegerError, match=refused) as raised,
    ):
        jaeger.services()
    assert "hunter" not in str(raised.value)


def test_a_search_is_asked_in_jaegers_terms() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return data()

    jaeger = client(answer)
    jaeger.find("kubelet", "syncPod", tags={"k8s.pod": "default/a"}, start=1_000_000, limit=5)
    jaeger.find("apiserver")
    full, bare = (dict(request.url.params) for request in requests)
    assert json.loads(full.pop("tags")) == {"k8s.pod": "default/a"}
    assert full == {"service": "kubelet", "operation": "syncPod", "start": "1000000", "limit": "5"}
    assert bare == {"service": "apiserver", "limit": "20"}


def many(count: int) -> tuple[Jaeger, list[httpx.Request]]:
    """A Jaeger with a trace of the API server's in every tenth microsecond."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        query = {key: int(request.url.params[key]) for key in ("start", "end", "limit")}
        starts = [at * 10 for at in range(count) if query["start"] <= at * 10 <= query["end"]]
        return data(
            *(
                trace(span("apiserver", "GET", at), trace_id=f"t{at}")
                for at in starts[-query["limit"] :]
            )
        )

    return client(answer), requests


def test_all_are_found_past_the_limit_of_one_answer() -> None:
    jaeger, _ = many(2500)
    found, whole = jaeger.find_all("apiserver", start=0, end=25_000, most=10_000)
    assert whole
    assert len({trace.id for trace in found}) == len(found) == 2500


def test_beyond_the_bound_the_newest_are_found_and_it_is_said() -> None:
    jaeger, requests = many(50_000)
    found, whole = jaeger.find_all("apiserver", start=0, end=500_000, most=2_000)
    assert not whole
    assert min(trace.spans[0].start for trace in found) > 470_000
    assert len(requests) < 20


def test_what_began_in_one_moment_is_not_asked_for_ever() -> None:
    same = data(*(trace(span("a", "b"), trace_id=f"t{number}") for number in range(1000)))
    assert answers(same).find_all("a", start=0, end=100, most=10_000)[1] is False


def test_an_answer_is_read_again_only_if_it_has_changed() -> None:
    first, more = span("kubelet", "syncPod"), span("kubelet", "PullImage", 5, "syncPod")
    sent = [trace(first)]
    jaeger = client(lambda _: data(*sent))
    (before,) = jaeger.find("kubelet", "syncPod")
    assert jaeger.find("kubelet", start=0, end=10)[0] is before
    sent[:] = []
    assert jaeger.find("kubelet") == []
    sent[:] = [trace(first, more)]
    (after,) = jaeger.find("kubelet", "syncPod")
    assert [found.operation for found in after.spans] == ["syncPod", "PullImage"]


def test_operations_are_asked_for_by_service(server: FakeServer) -> None:
    server.answer = lambda _: Reply(200, {"data": ["syncPod", "a b"]})
    with Jaeger(server.url) as jaeger:
        assert jaeger.operations("my/service", now()) == ["a b", "syncPod"]
    assert server.asked("GET", "/api/services/my%2Fservice/operations")


@pytest.mark.parametrize(
    ("kept", "hours"),
    [(store.of("opensearch", "48h"), 36), (store.LUCENE, 60), (store.UNKNOWN, 60)],
    ids=["of a stack", "of others", "unknown"],
)
def test_operations_are_not_known_of_spans_that_the_store_may_not_list(
    kept: store.Store, hours: int
) -> None:
    jaeger = client(lambda _: OPERATIONS, kept)
    assert jaeger.operations("apiserver", now() - hours * HOUR + 60 * SECOND) == ["GET"]
    assert jaeger.operations("apiserver", now() - hours * HOUR - 60 * SECOND) is None


def test_memory_lists_the_operations_of_all_spans() -> None:
    assert client(lambda _: OPERATIONS, store.MEMORY).operations("apiserver", 0) == ["GET"]


def test_spans_are_read_in_order_with_their_parents() -> None:
    document = trace(
        span("containerd", "RunPodSandbox", 30, parent="syncPod", **{"id": "x"}),
        span("kubelet", "syncPod", 20, **{"k8s.pod": "default/a"}),
        span("kubelet", "late", 40, parent="syncPod"),
    )
    (found,) = answers(data(document)).find("kubelet")
    assert [span.operation for span in found.spans] == ["syncPod", "RunPodSandbox", "late"]
    assert found.spans[1] == Span(
        trace_id="t1",
        span_id="RunPodSandbox",
        parent_id="syncPod",
        service="containerd",
        operation="RunPodSandbox",
        start=30,
        duration=10,
        tags={"id": "x"},
    )
    assert found.spans[1].end == 40
    assert found.counts == {"containerd": 1, "kubelet": 2}


def test_only_a_parent_in_the_same_trace_is_one() -> None:
    child = span("a", "child")
    child["references"] = [
        {"refType": "FOLLOWS_FROM", "traceID": "t1", "spanID": "follows"},
        {"refType": "CHILD_OF", "traceID": "another", "spanID": "linked"},
    ]
    (found,) = answers(data(trace(child))).find("a")
    assert found.spans[0].parent_id is None


def test_what_jaeger_leaves_out_is_empty() -> None:
    bare = span("a", "root") | {"references": None, "tags": None}
    (found,) = answers(data(trace(bare))).find("a")
    assert (found.spans[0].parent_id, found.spans[0].tags) == (None, {})
    empty = answers(data({"traceID": "t2", "spans": None, "processes": None})).trace("t2")
    assert empty is not None
    assert (empty.id, empty.spans) == ("t2", ())


def test_a_trace_has_a_link() -> None:
    jaeger = answers(data(trace(span("a", "root"))))
    found = jaeger.trace("t1")
    assert found is not None
    assert jaeger.link(found) == f"{URL}/trace/t1"


def test_the_outermost_span_of_a_request_is_not_that_of_the_request_that_caused_it() -> None:
    document = trace(
        span("operator", "reconcile"),
        span("apiserver", "POST", parent="reconcile"),
        span("webhook", "admit", parent="POST"),
        span("apiserver", "PUT", parent="admit"),
        span("apiserver", "Create", parent="PUT"),
        span("apiserver", "List", parent="reconcile"),
        span("apiserver", "itself", parent="itself"),
    )
    (found,) = answers(data(document)).find("apiserver")
    spans = {span.operation: span for span in found.spans}
    assert found.outermost(spans["Create"], "apiserver") is spans["PUT"]
    assert found.outermost(spans["List"], "apiserver") is spans["List"]
    assert found.outermost(spans["admit"], "nosuch") is spans["admit"]
    assert found.outermost(spans["itself"], "apiserver") is spans["itself"]


def test_a_deep_and_large_trace_is_read_once_through() -> None:
    """Each level of a chain was once a pass over all spans: 50,000 would take an hour."""
    spans = [
        span("a", "0"),
        *(span("a", str(at), at, parent=str(at - 1)) for at in range(1, 50_000)),
    ]
    (found,) = answers(data(trace(*spans))).find("a")
    root, last = found.spans[0], found.spans[-1]
    assert len(found.below(root)) == 49_999
    assert found.below(found.spans[-2]) == [last]
    assert found.outermost(last, "a") is root
    assert found.spans_without_parent == 0


def test_what_is_below_several_is_found_once_and_without_them() -> None:
    document = trace(
        span("a", "root"),
        span("a", "left", 1, parent="root"),
        span("a", "leaf", 2, parent="left"),
        span("a", "other", 3),
        span("a", "loop", 4, parent="loop"),
    )
    (found,) = answers(data(document)).find("a")
    spans = {span.operation: span for span in found.spans}
    assert found.below(spans["root"], spans["left"]) == [spans["leaf"]]
    assert found.below(spans["loop"]) == []
    assert found.below() == []


def test_the_same_text_is_in_memory_once() -> None:
    tags = [{"key": "node", "type": "string", "value": "x"}]
    spans = [span("service", f"{number}") | {"tags": tags} for number in range(2)]
    first, second = answers(data(trace(*spans))).find("service")[0].spans
    assert first.service is second.service
    assert next(iter(first.tags)) is next(iter(second.tags))


@pytest.mark.parametrize(
    "found",
    [
        "text",
        5,
        {"spans": []},
        {"traceID": "t", "spans": [{"spanID": "s"}], "processes": {}},
        {"traceID": "t", "spans": 7},
        trace(span("a", "b") | {"startTime": "noon"}),
        trace(span("a", "b") | {"duration": float("inf")}),
        trace(span("a", "b") | {"tags": [{"key": "k"}]}),
        trace(span("a", "b") | {"operationName": None}),
    ],
)
def test_data_of_another_shape_is_an_error_and_no_traceback(found: Any) -> None:
    text = json.dumps({"data": [found]})
    with pytest.raises(JaegerError, match="is that Jaeger") as refused:
        answers(httpx.Response(200, text=text)).find("a")
    assert "\n" not in str(refused.value)


def test_an_answer_that_nests_without_end_is_an_error() -> None:
    with pytest.raises(JaegerError, match="is that Jaeger"):
        answers(httpx.Response(200, text="[" * 100_000)).find("a")


def test_an_address_that_is_none_is_an_error() -> None:
    with pytest.raises(JaegerError, match="is not Jaeger's address"):
        Jaeger("http://a:port")


@pytest.mark.parametrize(
    "sent", ["", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", "HTTP/1.1 2"]
)
def test_a_connection_that_ends_in_the_middle_is_an_error(sent: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(sent.encode() + b'{"data": [')

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with (
                Jaeger(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=5) as jaeger,
                pytest.raises(JaegerError, match=r"cannot be reached: .*--jaeger") as refused,
            ):
                jaeger.find("a")
        finally:
            thread.join()
    assert "\n" not in str(refused.value)
