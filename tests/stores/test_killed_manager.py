"""What is lost when OpenSearch's elected manager dies while Jaeger writes.

Jaeger acknowledges spans before OpenSearch has stored them. So a collector in front of it, even one
that keeps a queue on its disk, has nothing to send again: it would change none of these figures.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import pytest

from ktrace.jaeger import Jaeger, Trace
from ktrace.jaeger.store import LUCENE
from tests.contract import jaeger_process, opensearch_process
from tests.contract.jaeger_process import Process, Size
from tests.contract.search_engine_node import Node
from tests.contract.spans import Sent
from tests.live.waiting import until
from tests.stores import load
from tests.stores.load import SERVICE, Answer, Sending

NODES = 3
SPANS_PER_SECOND = 500
BEFORE_SECONDS, AFTER_SECONDS = 20, 40
ELECTED_SECONDS = 60
ANSWERED_SECONDS = 60
"""After the kill, until every search is answered again."""
STORED_SECONDS = 10
"""What was sent so long before the kill was in two nodes: Jaeger hands spans over after 0.2 s."""
_GREEN_SECONDS = 120
_SAME = 15
"""Counts in a row, a second apart: nothing is on its way any more."""
_PAGE = 10_000
_ERROR = "\terror\t"
"""In a line of Jaeger's log."""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    with opensearch_process.cluster(opensearch_process.needed(), NODES) as found:
        yield found


@pytest.fixture
def jaeger(nodes: Sequence[Node], tmp_path: Path) -> Iterator[Process]:
    file = jaeger_process.needed()
    urls = [node.url for node in nodes]
    # As many shards as nodes: each node has a part of what is written.
    size = Size(shards=NODES, replicas=1)
    with jaeger_process.running(file, "opensearch", tmp_path, urls, size) as process:
        yield process


def test_every_acknowledged_span_is_accounted_for(
    nodes: Sequence[Node], jaeger: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    with load.sending(jaeger, SPANS_PER_SECOND) as sent, load.searching(jaeger, 0.5) as answers:
        until("two copies of each index", lambda: _is_green(nodes[0], sent), _GREEN_SECONDS)
        time.sleep(BEFORE_SECONDS)
        manager = next(node for node in nodes if node.name == _manager(nodes[0]))
        primaries = _primaries(manager)
        others = [node for node in nodes if node is not manager]
        killed = time.monotonic()
        manager.process.send_signal(signal.SIGKILL)
        until("an election", lambda: _has_elected(others, manager), ELECTED_SECONDS, every=0.1)
        elected = time.monotonic()
        time.sleep(max(0.0, killed + AFTER_SECONDS - elected))

    acknowledged = sent.acknowledged()
    stored = _stored(others[0])
    lost = acknowledged.keys() - stored.keys()
    found = _traces(jaeger)
    report = [
        *_of_the_cluster(primaries, elected - killed),
        *_of_searches(answers, killed),
        *_of_spans(sent, lost, stored, killed),
        *_of_traces(found, acknowledged),
        f"errors in Jaeger's log: {jaeger.log.read_text().count(_ERROR)}",
    ]
    with capsys.disabled():
        print("", *report, sep="\n")

    early = sent.acknowledged(before=killed - STORED_SECONDS)
    assert len(early) >= SPANS_PER_SECOND
    assert not early.keys() & lost, "spans that two nodes had"
    late = sent.acknowledged(since=elected)
    assert len(late) >= SPANS_PER_SECOND
    assert not late.keys() & lost, "spans of after the election"
    assert not [it for it in answers if it.failed and it.ended > killed + ANSWERED_SECONDS]
    assert answers[-1].ended > elected
    assert not answers[-1].failed
    _check(found, sent, lost)


def _check(found: Sequence[Trace], sent: Sending, lost: Collection[str]) -> None:
    """What ktrace reads is what OpenSearch has: no span twice, and none of another trace."""
    every = {span.id: span for request in sent.requests for span in request.spans}
    shown = [span.span_id for trace in found for span in trace.spans]
    assert len(shown) == len(set(shown))
    assert all(every[span.span_id].trace == trace.id for trace in found for span in trace.spans)
    assert sent.acknowledged().keys() - set(shown) == set(lost)


# --- what is reported -------------------------------------------------------------------------


def _of_the_cluster(primaries: int, seconds: float) -> Iterator[str]:
    yield f"the killed manager had {primaries} of {NODES} primary shards of the spans"
    yield f"another one was elected after {seconds:.1f} s"


def _of_searches(answers: Sequence[Answer], killed: float) -> Iterator[str]:
    slowest = max(answer.ended - answer.asked for answer in answers)
    failed = [answer for answer in answers if answer.failed]
    yield f"{len(failed)} of {len(answers)} searches failed; the slowest took {slowest:.1f} s"
    if failed:
        last = max(answer.ended for answer in failed) - killed
        yield f"the last one that failed did so {last:.1f} s after the kill"


def _of_spans(
    sent: Sending, lost: Collection[str], stored: Counter[str], killed: float
) -> Iterator[str]:
    acknowledged = sent.acknowledged()
    refused = sum(len(it.spans) for it in sent.requests if not it.acknowledged)
    slowest = max(request.ended - request.sent for request in sent.requests)
    twice = sum(number > 1 for number in stored.values())
    yield f"Jaeger acknowledged {len(acknowledged):,} spans and refused {refused:,}"
    yield f"its slowest answer to a sender took {slowest:.1f} s"
    yield f"of these {len(acknowledged) - len(lost):,} are found and {len(lost):,} lost"
    if lost:
        times = [it.sent - killed for it in sent.requests for span in it.spans if span.id in lost]
        yield f"those were sent from {min(times):.1f} to {max(times):.1f} s after the kill"
    yield f"spans that OpenSearch has twice: {twice:,}"


def _of_traces(found: Sequence[Trace], acknowledged: Mapping[str, Sent]) -> Iterator[str]:
    """A trace that lost spans shows it if a span that is there has a parent that is not."""
    sizes = {trace: len(ids) for trace, ids in load.by_trace(acknowledged).items()}
    partial = [trace for trace in found if len(trace.spans) < sizes.get(trace.id, 0)]
    named = sum(trace.spans_without_parent > 0 for trace in partial)
    yield f"traces without some of their spans: {len(partial):,}, of which {named:,} show it"


# --- what OpenSearch and Jaeger tell ----------------------------------------------------------


def _get(node: Node, path: str) -> httpx.Response | None:
    try:
        answer = httpx.get(f"{node.url}/{path}", timeout=10, trust_env=False)
    except httpx.HTTPError:
        return None
    return answer if answer.is_success else None


def _is_green(node: Node, sent: Sending) -> bool:
    """Whether there are indices, and each shard has its copy."""
    if not sent.acknowledged(before=time.monotonic() - STORED_SECONDS):
        return False
    answer = _get(node, "_cluster/health/*jaeger-*")
    return answer is not None and answer.json()["status"] == "green"


def _manager(node: Node) -> str:
    """The name of the manager that ``node`` knows; empty while it knows none."""
    answer = _get(node, "_cat/cluster_manager?format=json&local=true")
    return str(answer.json()[0]["node"]) if answer and answer.json() else ""


def _has_elected(nodes: Sequence[Node], old: Node) -> bool:
    names = {_manager(node) for node in nodes}
    return len(names) == 1 and not names & {"", "-", old.name}


def _primaries(holder: Node) -> int:
    answer = _get(holder, "_cat/shards/*jaeger-span-*?format=json")
    assert answer
    return sum(it["prirep"] == "p" and it["node"] == holder.name for it in answer.json())


def _stored(node: Node) -> Counter[str]:
    """How often OpenSearch has each span, once no more arrive."""
    found: Counter[str] = Counter()
    search = {"size": _PAGE, "sort": ["_doc"], "_source": False, "docvalue_fields": ["spanID"]}
    with httpx.Client(base_url=node.url, timeout=120, trust_env=False) as client:
        counts: list[int] = []
        while len(counts) < _SAME or len(set(counts[-_SAME:])) > 1:
            client.post("/*jaeger-span-*/_refresh").raise_for_status()
            counts.append(client.get("/*jaeger-span-*/_count").json()["count"])
            time.sleep(1)
        answer = client.post("/*jaeger-span-*/_search?scroll=1m", json=search).json()
        assert not answer["_shards"]["failed"], answer["_shards"]
        while hits := answer["hits"]["hits"]:
            found.update(hit["fields"]["spanID"][0] for hit in hits)
            more = {"scroll": "1m", "scroll_id": answer["_scroll_id"]}
            answer = client.post("/_search/scroll", json=more).json()
    return found


def _traces(jaeger: Process) -> list[Trace]:
    """All of the load's, as ktrace finds them."""
    now = int(time.time() * 1_000_000)
    with Jaeger(jaeger.url, timeout=120, store=LUCENE) as client:
        traces, complete = client.find_all(
            SERVICE, start=now - 3600 * 1_000_000, end=now, most=100_000
        )
    assert complete
    return traces
