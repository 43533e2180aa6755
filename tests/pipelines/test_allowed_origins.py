"""Which web pages' browsers let send to the collector: the answers to what browsers ask."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.live.waiting import until
from tests.pipelines.collectors import Collector, Collectors
from tests.replay import otlp

ALLOWED = ["https://shop.example", "http://localhost:*"]


@pytest.fixture
def jaeger(run: Collectors) -> Collector:
    return run()


@pytest.fixture
def ask(run: Collectors, jaeger: Collector) -> Callable[..., httpx.Response]:
    """A request of a page to the OTLP/HTTP receiver."""
    sender = run(jaeger, allowedOrigins=ALLOWED)
    url = f"http://127.0.0.1:{sender.ports[1]}/v1/traces"

    def asked(method: str, origin: str, **more: object) -> httpx.Response:
        preflight = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        headers = {"Origin": origin, **(preflight if method == "OPTIONS" else {})}
        return httpx.request(method, url, headers=headers, **more)  # type: ignore[arg-type]

    return asked


def test_a_browser_is_told_which_pages_may_send(ask: Callable[..., httpx.Response]) -> None:
    for origin in ("https://shop.example", "http://localhost:3000"):
        told = ask("OPTIONS", origin)
        assert told.is_success
        assert told.headers["access-control-allow-origin"] == origin
        assert "POST" in told.headers["access-control-allow-methods"]
        assert "content-type" in told.headers["access-control-allow-headers"].lower()
    for origin in ("https://other.example", "http://shop.example", "https://shop.example.org"):
        assert "access-control-allow-origin" not in ask("OPTIONS", origin).headers


def test_the_spans_of_an_allowed_page_arrive(
    ask: Callable[..., httpx.Response], jaeger: Collector
) -> None:
    made = [otlp.made(f"{number:032x}", "click") for number in range(1, 501)]
    sent = ask("POST", "http://localhost:3000", json=otlp.request("page", made))
    assert sent.status_code == 200
    assert sent.headers["access-control-allow-origin"] == "http://localhost:3000"
    until("its spans", lambda: jaeger.counted("receiver_accepted_spans") == 500, 20)
