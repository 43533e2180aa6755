"""The central place of docs/fleets.md: its collector takes what the stack of that page sends."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from runtime_observability.core import destinations, documents
from tests.configuration import PROJECT
from tests.live.waiting import until
from tests.pipelines.collectors import HERE, Collector, Collectors, spans

EXAMPLE = PROJECT / "examples" / "central"
SECRETS = "/run/secrets"
WRITTEN = "TOKEN"
"""In the page, where a stack has its token."""


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def jaeger(run: Collectors) -> Collector:
    """What the central collector sends to."""
    return run()


@pytest.fixture
def central(run: Collectors, authority: trustme.CA, jaeger: Collector) -> Collector:
    document = yaml.safe_load((EXAMPLE / "collector.yaml").read_text())
    ours = documents.template("collector.yaml")
    document["service"]["telemetry"] = ours["service"]["telemetry"]  # the default port may be taken
    certificate = authority.issue_cert("127.0.0.1")
    files = {
        "certificate": certificate.cert_chain_pems[0].bytes().decode(),
        "key": certificate.private_key_pem.bytes().decode(),
        "token": WRITTEN,
    }
    text = yaml.safe_dump(document).replace(SECRETS, destinations.FOLDER)
    return run.of(text, files, jaeger)


def stack(central: Collector, authority: trustme.CA, token: str) -> dict[str, Any]:
    """The configuration that the page gives a stack, with the address and names of the test."""
    page = (PROJECT / "docs" / "fleets.md").read_text()
    text = page.split("```yaml\n")[1].partition("```")[0]
    for written, ours in (
        ("otel.example.com:4317", f"{HERE}:{central.ports[0]}"),
        (f"Bearer {WRITTEN}", f"Bearer {token}"),
    ):
        assert written in text
        text = text.replace(written, ours)
    found: dict[str, Any] = yaml.safe_load(text)
    found["exporters"][0]["tls"] = {"caFile": authority.cert_pem.bytes().decode()}
    return found


def test_every_span_of_a_stack_arrives_behind_the_central_collector(
    run: Collectors, central: Collector, authority: trustme.CA, jaeger: Collector
) -> None:
    sender = run(run(), **stack(central, authority, WRITTEN))
    assert sender.post("traces", spans("shop", 500)) == 200
    until("them", lambda: jaeger.counted("receiver_accepted_spans") == 500, 20)
    assert sender.counted("exporter_sent_spans", "central") == 500


def test_a_wrong_token_is_refused(
    run: Collectors, central: Collector, authority: trustme.CA, jaeger: Collector
) -> None:
    sender = run(run(), **stack(central, authority, "WRONG"))
    assert sender.post("traces", spans("shop", 500)) == 200
    until("refusal", lambda: sender.counted("exporter_send_failed_spans", "central") == 500, 20)
    assert "expected scheme or token" in sender.error_of("central")
    assert central.counted("receiver_accepted_spans") == 0
    assert jaeger.counted("receiver_accepted_spans") == 0


def test_the_compose_file_gives_each_service_what_its_configuration_names() -> None:
    """It needs the official images, so nothing here runs it."""
    compose = yaml.safe_load((EXAMPLE / "compose.yaml").read_text())
    services = compose["services"]
    for name in ("collector", "jaeger"):
        service = services[name]
        source, target, _ = service["volumes"][0].split(":")
        assert service["command"] == ["--config", target]
        text = (EXAMPLE / source).read_text()
        hosts = set(re.findall(r"(?:endpoint: |http://)([a-z]+):\d+", text))
        assert hosts <= set(services)
        assert hosts == set(service["depends_on"])
        assert set(re.findall(rf"{SECRETS}/(\w+)", text)) == set(service.get("secrets", []))
    assert set(services["collector"]["secrets"]) == set(compose["secrets"])
    files = {Path(secret["file"]).name for secret in compose["secrets"].values()}
    first = (EXAMPLE / "compose.yaml").read_text().partition("services:")[0]
    assert all(file in first for file in files)
