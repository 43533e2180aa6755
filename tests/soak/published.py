"""Whether everything that a stack publishes listens where its configuration says."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Set

import httpx

from runtime_observability.host.ports import is_free
from tests.live.stack import Stack
from tests.live.traces import search, send
from tests.live.waiting import until

_SPANS = 20
"""So many that a sampling of one half forwards at least one: all are lost once in a million."""
_SECONDS = 30.0
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_EMPTY_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4  # the type of the first frame of a server (RFC 9113, 3.4 and 6.5)


def expect_all_to_answer(stack: Stack, ports: dict[str, int]) -> None:
    """Fails unless each of the stack's ``ports``, by key, is answered by the part that has it."""
    until("Jaeger", lambda: _status(f"{_url(ports['jaegerUiPort'])}/api/services") == 200, _SECONDS)
    until("the health", lambda: _status(_url(ports["collectorHealthPort"])) == 200, _SECONDS)
    metrics = httpx.get(f"{_url(ports['collectorMetricsPort'])}/metrics", timeout=5).text
    assert "otelcol_" in metrics
    until("gRPC", lambda: _speaks_http2(ports["otlpGrpcPort"]), _SECONDS)
    _expect_a_span_to_arrive(ports)
    kubeconfig = (stack.directory / "kubeconfig").read_text()
    assert f":{ports['kubeApiPort']}\n" in kubeconfig
    assert stack.kubectl("get", "--raw", "/readyz") == "ok"


def expect_none_to_be_left(
    before: dict[str, int], after: dict[str, int], published: Set[int]
) -> None:
    """Fails unless each port that only ``before`` has is free; a published one may have it now."""
    left = set(before.values()) - set(after.values()) - published
    assert {port for port in left if not is_free(port)} == set()


def _expect_a_span_to_arrive(ports: dict[str, int]) -> None:
    service = f"soak-{secrets.token_hex(4)}"
    for number in range(_SPANS):
        send(_url(ports["otlpHttpPort"]), service, f"span-{number}")
    jaeger = _url(ports["jaegerUiPort"])
    until("a span on its way from OTLP to Jaeger", lambda: search(jaeger, service), _SECONDS)


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.HTTPError:
        return 0


def _speaks_http2(port: int) -> bool:
    """Docker accepts every connection to a published port: the server's first frame is proof."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(_HTTP2_PREFACE + _EMPTY_SETTINGS)
            frame = connection.recv(9)
    except OSError:
        return False
    return len(frame) == len(_EMPTY_SETTINGS) and frame[3] == _SETTINGS
