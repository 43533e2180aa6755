"""Ten stacks send to the centre of docs/fleets.md, before one OpenSearch: each finds its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import yaml

from ktrace.jaeger import Jaeger, MixedStacksError, Origin
from ktrace.jaeger import store as stores
from runtime_observability.core import destinations, documents
from tests.configuration import PROJECT
from tests.contract import jaeger_process, opensearch_process, stacks
from tests.contract.spans import HOUR, NOW, Sent, batches, otlp
from tests.fakes.ktrace import Ktrace
from tests.live.waiting import until
from tests.pipelines.collectors import HERE, Collector, Collectors

pytestmark = pytest.mark.every_store
FLEET = tuple(Origin(f"acme/shop/dev-{number}", f"owner-{number}") for number in range(10))
_TOKEN = "hush"  # noqa: S105  of this test
_SERVICE, _SECONDS = "kubelet", 90


def spans_of(stack: Origin) -> list[Sent]:
    """The same pod's start in each cluster, by name and time: their traces alone differ."""
    return stacks.of(stack, "post-start", stacks.TWIN)


def test_each_stack_of_ten_finds_its_own_and_nothing_else(tmp_path: Path, ktrace: Ktrace) -> None:
    collectors, authority = Collectors(tmp_path), trustme.CA()
    program, built = jaeger_process.needed(), opensearch_process.needed()
    with (
        opensearch_process.running(built) as node,
        jaeger_process.running(program, "opensearch", tmp_path, [node.url]) as process,
    ):
        try:
            sender = _through_the_centre(collectors, authority, process)
            for stack in FLEET:
                for batch in batches(spans_of(stack)):
                    answer = httpx.post(f"{sender}/v1/traces", json=otlp(batch), timeout=30)
                    answer.raise_for_status()
            _judge(process, ktrace)
        finally:
            collectors.kill()


def _through_the_centre(
    collectors: Collectors, authority: trustme.CA, process: jaeger_process.Process
) -> str:
    """Where a collector takes spans, which sends them to the central one."""
    example = yaml.safe_load((PROJECT / "examples/central/collector.yaml").read_text())
    example["service"]["telemetry"] = documents.template("collector.yaml")["service"]["telemetry"]
    certificate = authority.issue_cert("127.0.0.1")
    files = {
        "certificate": certificate.cert_chain_pems[0].bytes().decode(),
        "key": certificate.private_key_pem.bytes().decode(),
        "token": _TOKEN,
    }
    text = yaml.safe_dump(example).replace("/run/secrets", destinations.FOLDER)
    port = int(process.otlp.rpartition(":")[2])
    central = collectors.of(text, files, Collector(collectors.folder, (0, port, 0, 0)))
    exporter = {
        "name": "central",
        "endpoint": f"{HERE}:{central.ports[0]}",
        "headers": {"authorization": f"Bearer {_TOKEN}"},
        "tls": {"caFile": authority.cert_pem.bytes().decode()},
    }
    sender = collectors(collectors(), exporters=[exporter])
    return f"http://127.0.0.1:{sender.ports[1]}"


def _judge(process: jaeger_process.Process, ktrace: Ktrace) -> None:
    period: dict[str, Any] = {"start": NOW - HOUR, "end": NOW + HOUR, "most": 1000}
    for stack in FLEET:
        wanted = {sent.trace for sent in spans_of(stack) if sent.service == _SERVICE}
        with Jaeger(process.url, store=stores.UNKNOWN, stack=stack, shared=True) as jaeger:

            def found(jaeger: Jaeger = jaeger) -> set[str]:
                return {trace.id for trace in jaeger.find_all(_SERVICE, **period)[0]}

            until(f"what {stack} sent", lambda w=wanted, f=found: f() >= w, _SECONDS)  # type: ignore[misc]
            assert found() == wanted
    with (
        Jaeger(process.url, store=stores.UNKNOWN, shared=True) as jaeger,
        pytest.raises(MixedStacksError),
    ):
        jaeger.find_all(_SERVICE, **period)
    show = ("show", "twin", "--json", "--timeout", "0", "--jaeger", process.url)
    shown = {stack: ktrace(*show, "--stack", str(stack)).document for stack in FLEET}
    of_each = {stack: {sent.trace for sent in spans_of(stack)} for stack in FLEET}
    for asked, document in shown.items():
        text = json.dumps(document)
        named = {stack for stack, traces in of_each.items() if any(id_ in text for id_ in traces)}
        assert named == {asked}
