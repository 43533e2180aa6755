"""A collector's way to a destination: client certificates, and how bodies are compressed."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
import trustme

from tests.live.waiting import until
from tests.pipelines.backends import HEADER, Backend, Request, serving, serving_grpc
from tests.pipelines.collectors import HERE, Collectors, spans
from tests.replay.collector import Span, spans_in


@pytest.fixture
def strict() -> Iterator[Backend]:
    """A destination that takes nothing from clients without a certificate."""
    with Backend().running(wants_certificates=True) as found:
        yield found


def test_a_destination_over_http_that_wants_a_client_certificate_gets_it(
    run: Collectors, strict: Backend
) -> None:
    known = strict.exporter("known", HEADER, **certificate_of(strict.authority))
    sends_to_the_known_alone(
        run, [known, strict.exporter("unknown", HEADER)], "certificate required"
    )
    assert strict.paths == ["/v1/traces"]


def test_a_destination_over_grpc_that_wants_a_client_certificate_gets_it(run: Collectors) -> None:
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    pair = (own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())
    trusted = authority.cert_pem.bytes()
    credentials = grpc.ssl_server_credentials([pair], trusted, require_client_auth=True)
    arrived: set[Span] = set()
    with serving_grpc(lambda body: arrived.update(spans_in(body)), credentials) as port:
        both = [
            {
                "name": name,
                "endpoint": f"{HERE}:{port}",
                "tls": {"caFile": trusted.decode(), **certificate},
            }
            for name, certificate in (("known", certificate_of(authority)), ("unknown", {}))
        ]
        sends_to_the_known_alone(run, both, "")  # gRPC's own TLS closes without an alert
    assert len(arrived) == 500


def certificate_of(authority: trustme.CA) -> dict[str, str]:
    """A client's, in an exporter's ``tls``."""
    own = authority.issue_cert("collector.example")
    return {
        "clientCert": own.cert_chain_pems[0].bytes().decode(),
        "clientKey": own.private_key_pem.bytes().decode(),
    }


def sends_to_the_known_alone(run: Collectors, exporters: list[dict[str, Any]], why: str) -> None:
    """``why``: what ``ktrace verify`` says of the unknown one, if its server gives a reason."""
    jaeger = run()
    sender = run(jaeger, exporters=exporters)
    assert sender.post("traces", spans("shop", 500)) == 200
    until("its spans", lambda: sender.counted("exporter_sent_spans", "known") == 500, 20)
    error = functools.partial(sender.error_of, "unknown")
    until("why", lambda: error() and why in error(), 20)  # an attempt may end as a broken pipe
    assert sender.error_of("known") == ""
    assert sender.counted("exporter_sent_spans", "unknown") == 0
    assert sender.counted("exporter_queue_size", "unknown") > 0
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
