"""What is lost when OpenSearch's elected manager dies while Jaeger writes.

Jaeger acknowledges spans before OpenSearch has stored them. So a collector in front of it, even one
that keeps a queue on its disk, has nothing to send again: it would change none of these figures.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from ktrace.jaeger import Jaeger
from ktrace.jaeger.store import LUCENE
from tests.contract import jaeger_process, opensearch_process
from tests.contract.jaeger_process import Process, Size
from tests.contract.opensearch_process import Node
from tests.stores import load
from tests.stores.load import SERVICE

NODES = 3
SPANS_PER_SECOND = 500
BEFORE_SECONDS, AFTER_SECONDS = 20, 40
ELECTED_SECONDS = 60
"""A quiet machine takes 1 to 9 s."""
STORED_SECONDS = 10
"""Jaeger hands spans over once in 0.2 s: what is older than this has been stored twice."""
_VISIBLE_SECONDS = 120
_PAGE = 10_000

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    if (built := opensearch_process.built()) is None:
        pytest.skip("no OpenSearch: `make contract` builds the lab's")
    with opensearch_process.cluster(built, NODES) as found:
        yield found


@pytest.fixture
def jaeger(nodes: Sequence[Node], tmp_path: Path) -> Iterator[Process]:
    if (file := jaeger_process.program()) is None:
        pytest.skip(f"no Jaeger: build the lab's, or name one with {jaeger_process.PROGRAM}")
    urls = [node.url for node in nodes]
    # As many shards as nodes: each node has a part of what is written.
    size = Size(shards=NODES, replicas=1)
    with jaeger_process.running(file, "opensearch", tmp_path, urls, size) as process:
        yield process


def test_every_acknowledged_span_is_accounted_for(
    nodes: Sequence[Node], jaeger: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    with load.sending(jaeger, SPANS_PER_SECOND) as sent, load.searching(jaeger, 0.5) as answers:
        time.sleep(BEFORE_SECONDS)
        manager = _manager(nodes, 10)
        primaries = _primaries(nodes, manager)
        others = [node for node in nodes if node is not manager]
        killed = time.monotonic()
        manager.process.send_signal(signal.SIGKILL)
        elected = _elected(others, manager, killed + ELECTED_SECONDS)
        time.sleep(max(0.0, killed + AFTER_SECONDS - time.monotonic()))
        load_ended = time.monotonic()

    acknowledged = sent.acknowledged()
    stored = _stored(others[0], len(acknowledged))
    lost = acknowledged.keys() - stored.keys()
    twice = [span for span, number in stored.items() if number > 1]
    in_jaeger = _in_jaeger(jaeger)
    whole = load.by_trace(acknowledged)
    partial = {
        trace: found for trace, found in in_jaeger.items() if whole.get(trace, set()) - found
    }
    failures = [answer for answer in answers if answer.failed]
    slowest = max(request.ended - request.sent for request in sent.requests)
    with capsys.disabled():
        print(
            f"\nacknowledged {len(acknowledged):,} spans, not acknowledged "
            f"{sum(len(r.spans) for r in sent.requests if not r.acknowledged):,}; "
            f"lost {len(lost):,}; stored twice {len(twice):,}"
            f"\nthe manager had {primaries} of {NODES} primary shards; another one was elected "
            f"after {elected - killed:.1f} s"
            f"\nslowest request to Jaeger {slowest:.1f} s; failed searches {len(failures)} of "
            f"{len(answers)}, the last one "
            f"{max((answer.ended - killed for answer in failures), default=0):.1f} s after the kill"
            f"; slowest search {max(answer.ended - answer.asked for answer in answers):.1f} s"
            f"\ntraces that are not whole {len(partial)}; errors in Jaeger's log {_errors(jaeger)}"
            f"\nlost spans by second after the kill: {_seconds(sent, lost, killed)}"
        )
    del load_ended


def _seconds(sent: load.Sending, lost: set[str], killed: float) -> dict[int, int]:
    return dict(
        sorted(
            Counter(
                round(request.sent - killed)
                for request in sent.requests
                for span in request.spans
                if span.id in lost
            ).items()
        )
    )


def _manager(nodes: Sequence[Node], seconds: float) -> Node:
    """The elected one, as the first node knows it."""
    deadline = time.monotonic() + seconds
    while True:
        for node in nodes:
            for known in nodes:
                if known.name == _name_of_manager(node):
                    return known
        assert time.monotonic() < deadline, f"no manager was elected within {seconds:.0f} s"
        time.sleep(0.1)


def _name_of_manager(node: Node) -> str:
    """Empty while ``node`` knows none."""
    try:
        answer = httpx.get(
            f"{node.url}/_cat/cluster_manager?format=json&cluster_manager_timeout=1s",
            timeout=5,
            trust_env=False,
        )
    except httpx.HTTPError:
        return ""
    return str(answer.json()[0]["node"]) if answer.is_success else ""


def _elected(nodes: Sequence[Node], old: Node, deadline: float) -> float:
    """When all of ``nodes`` knew another manager than ``old``."""
    while True:
        names = {_name_of_manager(node) for node in nodes}
        if len(names) == 1 and not names & {"", old.name}:
            return time.monotonic()
        assert time.monotonic() < deadline, f"no manager was elected within {ELECTED_SECONDS} s"
        time.sleep(0.1)


def _primaries(nodes: Sequence[Node], holder: Node) -> int:
    """How many primary shards of spans ``holder`` has."""
    url = f"{holder.url}/_cat/shards/*jaeger-span-*?format=json"
    shards = httpx.get(url, timeout=30, trust_env=False).json()
    return sum(shard["prirep"] == "p" and shard["node"] == holder.name for shard in shards)


def _stored(node: Node, wanted: int) -> Counter[str]:
    """How often OpenSearch has each span, once it has ``wanted`` or that has not changed long."""
    deadline = time.monotonic() + _VISIBLE_SECONDS
    with httpx.Client(base_url=node.url, timeout=60, trust_env=False) as client:
        counts: list[int] = []
        while len(counts) < 20 or len(set(counts[-20:])) > 1:
            client.post("/*jaeger-span-*/_refresh")
            counts.append(client.get("/*jaeger-span-*/_count").json()["count"])
            if time.monotonic() > deadline:
                break
            time.sleep(1)
        found: Counter[str] = Counter()
        search = {"size": _PAGE, "sort": ["_doc"], "_source": False, "docvalue_fields": ["spanID"]}
        answer = client.post("/*jaeger-span-*/_search?scroll=1m", json=search).json()
        while hits := answer["hits"]["hits"]:
            found.update(hit["fields"]["spanID"][0] for hit in hits)
            more = {"scroll": "1m", "scroll_id": answer["_scroll_id"]}
            answer = client.post("/_search/scroll", json=more).json()
    return found


def _in_jaeger(jaeger: Process) -> dict[str, set[str]]:
    """The ids of the spans of each trace, as ktrace finds them."""
    now = int(time.time() * 1e6)
    with Jaeger(jaeger.url, timeout=60, store=LUCENE) as client:
        traces, complete = client.find_all(
            SERVICE, start=now - 3600 * 1_000_000, end=now, most=100_000
        )
    assert complete
    for trace in traces:
        assert len({span.span_id for span in trace.spans}) == len(trace.spans), trace.id
    return {trace.id: {span.span_id for span in trace.spans} for trace in traces}


def _errors(jaeger: Process) -> int:
    return sum('"level":"error"' in line for line in jaeger.log.read_text().splitlines())
