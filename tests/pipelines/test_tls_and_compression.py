"""A collector's way to a destination: client certificates, and how bodies are compressed."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.live.waiting import until
from tests.pipelines.backends import HEADER, Backend, Request, serving
from tests.pipelines.collectors import HERE, Collectors, spans


@pytest.fixture
def strict() -> Iterator[Backend]:
    """A destination that takes nothing from clients without a certificate."""
    with Backend().running(wants_certificates=True) as found:
        yield found


def test_a_client_certificate_is_shown_to_a_destination_that_wants_one(
    run: Collectors, strict: Backend
) -> None:
    own = strict.authority.issue_cert("collector.example")
    certificate = {
        "clientCert": own.cert_chain_pems[0].bytes().decode(),
        "clientKey": own.private_key_pem.bytes().decode(),
    }
    jaeger = run()
    both = [strict.exporter("known", HEADER, **certificate), strict.exporter("unknown", HEADER)]
    sender = run(jaeger, exporters=both)
    assert sender.post("traces", spans("shop", 500)) == 200
    until("its spans", lambda: sender.counted("exporter_sent_spans", "known") == 500, 20)
    assert "certificate required" in until("why", lambda: sender.error_of("unknown"), 20)
    assert sender.error_of("known") == ""
    assert sender.counted("exporter_sent_spans", "unknown") == 0
    assert sender.counted("exporter_queue_size", "unknown") > 0
    assert strict.paths == ["/v1/traces"]
    until("Jaeger's", lambda: jaeger.counted("receiver_accepted_spans") == 500, 20)


COMPRESSIONS = {"gzip": "gzip", "zstd": "zstd", "snappy": "snappy", "none": None}


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_each_compression_arrives_over_http(run: Collectors, compression: str) -> None:
    team = run()
    seen: list[Request] = []

    def passed_on(request: Request) -> int:
        seen.append(request)
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in ("content-type", "content-encoding")
        }
        url = f"http://127.0.0.1:{team.ports[1]}{request.path}"
        return httpx.post(url, content=request.body, headers=headers).status_code

    with serving(passed_on) as port:
        sender = run(run(), exporters=[exporter("http", f"http://{HERE}:{port}", compression)])
        assert sender.post("traces", spans("shop", 500)) == 200
        until("its spans", lambda: team.counted("receiver_accepted_spans") == 500, 20)
    assert {request.headers["content-encoding"] for request in seen} == {COMPRESSIONS[compression]}
    if compression == "gzip":
        assert b"padding" in gzip.decompress(seen[0].body)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_each_compression_arrives_over_grpc(run: Collectors, compression: str) -> None:
    team = run()
    sender = run(run(), exporters=[exporter("grpc", f"{HERE}:{team.ports[0]}", compression)])
    assert sender.post("traces", spans("shop", 500)) == 200
    until("its spans", lambda: team.counted("receiver_accepted_spans") == 500, 20)


def exporter(protocol: str, endpoint: str, compression: str) -> dict[str, Any]:
    tls = {"tls": {"insecure": True}} if protocol == "grpc" else {}
    return {
        "name": "team",
        "protocol": protocol,
        "endpoint": endpoint,
        "compression": compression,
        **tls,
    }
