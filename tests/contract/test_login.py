"""An OpenSearch behind TLS and a login, with the configuration that a stack's Jaeger gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ktrace.jaeger import Jaeger
from ktrace.jaeger import store as stores
from runtime_observability.core import trace_store
from tests.contract import jaeger_process, opensearch_process, spans, tls_proxy
from tests.contract.tls_proxy import Proxy
from tests.live.waiting import until

pytestmark = pytest.mark.every_store
USER, PASSWORD = "traces", 'p$ss"w\\örd'
SECONDS = 60


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    built = opensearch_process.needed()
    with (
        opensearch_process.running(built) as node,
        tls_proxy.in_front_of(node.url, USER, PASSWORD) as proxy,
    ):
        yield proxy


def options(proxy: Proxy, folder: Path, password: str) -> dict[str, Any]:
    """A stack's, with the files that it names in ``folder``."""
    made = trace_store.search_engine(
        [proxy.url], "login", "48h", shards=1, replicas=0, user=USER, own_ca=True
    )
    text = json.dumps({"opensearch": made})
    contents = {
        trace_store.CREDENTIAL_FILE: password,
        trace_store.CA_FILE: proxy.certificates,
    }
    for number, (path, content) in enumerate(contents.items()):
        file = folder / f"secret-{number}"
        file.write_text(content)
        assert text.count(json.dumps(path)) == 1
        text = text.replace(json.dumps(path), json.dumps(str(file)))
    found: dict[str, Any] = json.loads(text)
    return found


def test_spans_are_stored_and_found(proxy: Proxy, tmp_path: Path) -> None:
    given = options(proxy, tmp_path, PASSWORD)
    with jaeger_process.running(jaeger_process.needed(), given, tmp_path) as process:
        sent = spans.crowd()
        for batch in spans.batches(sent):
            jaeger_process.send(process, spans.otlp(batch))
        with Jaeger(process.url, store=stores.LUCENE) as jaeger:

            def all_found() -> bool:
                found, whole = jaeger.find_all(
                    spans.CROWD,
                    start=spans.NOW - spans.HOUR,
                    end=spans.NOW + spans.HOUR,
                    most=10_000,
                )
                return whole and len(found) == spans.IN_THE_CROWD

            until("every trace", all_found, SECONDS)
    assert proxy.passed
    assert not proxy.refused


def test_another_password_is_refused_and_jaeger_says_so(proxy: Proxy, tmp_path: Path) -> None:
    given = options(proxy, tmp_path, "another")
    before = proxy.passed
    with (
        pytest.raises(AssertionError, match="401"),
        jaeger_process.running(jaeger_process.needed(), given, tmp_path),
    ):
        pass
    assert (proxy.passed, bool(proxy.refused)) == (before, True)
