"""An OpenSearch and an Elasticsearch behind TLS and a login, before and with a stack's Jaeger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from ktrace.jaeger import Jaeger
from ktrace.jaeger import store as stores
from runtime_observability.core import trace_store
from runtime_observability.core.search_engine import UnfitError
from runtime_observability.core.shards import WantedIndices
from runtime_observability.core.support import DEFAULT_JAEGER
from runtime_observability.host.search_engine import Cluster, check
from tests.contract import curl_docker, jaeger_process, login_server, spans, tls_proxy
from tests.contract.conftest import ENGINES
from tests.contract.search_engine_node import Node
from tests.contract.tls_proxy import PASSWORD, USER, Proxy
from tests.live.waiting import until

pytestmark = pytest.mark.every_store
SECONDS = 60


@dataclass(frozen=True)
class Guarded:
    store: str
    node: Node
    proxy: Proxy


@pytest.fixture(scope="module", params=ENGINES)
def guarded(request: pytest.FixtureRequest) -> Iterator[Guarded]:
    _, of_lab = ENGINES[request.param]
    with of_lab.running(of_lab.needed()) as node, tls_proxy.in_front_of(node.url) as proxy:
        yield Guarded(request.param, node, proxy)


def options(guarded: Guarded, folder: Path, password: str) -> dict[str, Any]:
    """A stack's, with the files that it names in ``folder``."""
    made = trace_store.search_engine(
        [guarded.proxy.url], "login", "48h", shards=1, replicas=0, user=USER, own_ca=True
    )
    text = json.dumps({guarded.store: made})
    contents = {
        trace_store.CREDENTIAL_FILE: password,
        trace_store.CA_FILE: guarded.proxy.certificates,
    }
    for number, (path, content) in enumerate(contents.items()):
        file = folder / f"secret-{number}"
        file.write_text(content)
        assert text.count(json.dumps(path)) == 1
        text = text.replace(json.dumps(path), json.dumps(str(file)))
    found: dict[str, Any] = json.loads(text)
    return found


def test_spans_are_stored_and_found(guarded: Guarded, tmp_path: Path) -> None:
    given = options(guarded, tmp_path, PASSWORD)
    with jaeger_process.running(jaeger_process.needed(), given, tmp_path) as process:
        sent = spans.crowd()
        for batch in spans.batches(sent):
            jaeger_process.send(process, spans.otlp(batch))
        with Jaeger(process.url, store=stores.of(guarded.store)) as jaeger:

            def all_found() -> bool:
                found, whole = jaeger.find_all(
                    spans.CROWD,
                    start=spans.NOW - spans.HOUR,
                    end=spans.NOW + spans.HOUR,
                    most=10_000,
                )
                return whole and len(found) == spans.IN_THE_CROWD

            until("every trace", all_found, SECONDS)
    assert guarded.proxy.passed
    assert not guarded.proxy.refused


def test_another_password_is_refused_and_jaeger_says_so(guarded: Guarded, tmp_path: Path) -> None:
    given = options(guarded, tmp_path, "another")
    before = guarded.proxy.passed
    with (
        pytest.raises(AssertionError, match="401"),
        jaeger_process.running(jaeger_process.needed(), given, tmp_path),
    ):
        pass
    assert (guarded.proxy.passed, bool(guarded.proxy.refused)) == (before, True)


def up_checks(guarded: Guarded, proxy: Proxy, **login: str) -> None:
    """As an up does before Jaeger, but with curl on this machine."""
    known = {"user": USER, "password": PASSWORD, "certificates": proxy.certificates}
    given = {**known, **login}
    cluster = Cluster(guarded.store, (proxy.url,), **given, network="", image="", owner="")
    check(cluster, "login", DEFAULT_JAEGER, WantedIndices(days=2, shards=1, replicas=0))


@pytest.fixture
def _curl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curl_docker.put_on_path(tmp_path, monkeypatch)
    curl_docker.of_daemon("of-this-docker", monkeypatch)


@pytest.mark.usefixtures("_curl")
def test_an_up_tells_what_is_wrong_with_a_login_or_certificate(guarded: Guarded) -> None:
    right, url = guarded.proxy, guarded.node.url
    up_checks(guarded, right)
    with pytest.raises(UnfitError, match=rf"it refuses traceStoreUser {USER} and .* \(401\)$"):
        up_checks(guarded, right, password="another")  # noqa: S106
    for certificates in ("", trustme.CA().cert_pem.bytes().decode()):
        with pytest.raises(
            UnfitError, match=r"its certificate is not trusted: .* traceStoreCaFile"
        ):
            up_checks(guarded, right, certificates=certificates)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    begun = yesterday - timedelta(days=1)

    def expired(authority: trustme.CA) -> trustme.LeafCert:
        return authority.issue_cert("127.0.0.1", not_before=begun, not_after=yesterday)

    def of_another_host(authority: trustme.CA) -> trustme.LeafCert:
        return authority.issue_cert("search.example")

    for issue, told in (
        (expired, "its certificate has expired: renew it there"),
        (of_another_host, "its certificate is for another host: .*: write in "),
    ):
        with (
            tls_proxy.in_front_of(url, issue) as proxy,
            pytest.raises(UnfitError, match=f"^{proxy.url}: {told}"),
        ):
            up_checks(guarded, proxy)


@pytest.mark.usefixtures("_curl")
def test_an_elasticsearch_that_jaeger_does_not_recognize_is_refused(
    guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client wants a header that some proxies take away."""
    monkeypatch.setattr(guarded.proxy.server, "passed_headers", login_server.OF_CONTENT)
    given = options(guarded, tmp_path, PASSWORD)
    if guarded.store == "opensearch":
        up_checks(guarded, guarded.proxy)
        with jaeger_process.running(jaeger_process.needed(), given, tmp_path):
            return
    with pytest.raises(UnfitError, match=r"no header X-Elastic-Product: .* let it pass on"):
        up_checks(guarded, guarded.proxy)
    with (
        pytest.raises(AssertionError, match="the server is not Elasticsearch"),
        jaeger_process.running(jaeger_process.needed(), given, tmp_path),
    ):
        pass


@pytest.mark.usefixtures("_curl")
def test_a_certificate_without_the_names_that_jaeger_reads_is_refused(
    guarded: Guarded, tmp_path: Path
) -> None:
    """curl takes it."""
    with tls_proxy.in_front_of(guarded.node.url, tls_proxy.nameless) as proxy:
        with pytest.raises(UnfitError, match=r"common name \(CN\) alone, .* alternative name$"):
            up_checks(guarded, proxy)
        given = options(replace(guarded, proxy=proxy), tmp_path, PASSWORD)
        with (
            pytest.raises(AssertionError, match="relies on legacy Common Name field"),
            jaeger_process.running(jaeger_process.needed(), given, tmp_path),
        ):
            pass
