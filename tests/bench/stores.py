"""Measures what each kind of store takes for the traces of a cluster, and how fast it is searched.

``python -m tests.bench.stores``. Real processes on 127.0.0.1: Jaeger with its store in memory, with
Badger, and with one node of OpenSearch. They are sent what one cluster makes in some hours, as fast
as they take it, and are then searched as ktrace does. Needs the lab's Jaeger, and its OpenSearch
for that store: `make stores` builds both. Other programs change the seconds of the clock, but
hardly those of the processor. Exit codes: 0 measured, 1 a store lost spans or did not find them, 2
wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from ktrace.components import APISERVER, CONTAINERD, KUBELET
from ktrace.jaeger import Jaeger, JaegerError, store
from tests import processes
from tests.bench import traffic
from tests.bench.searches import Search, of_commands, timed
from tests.bench.traffic import MINUTE, Minute
from tests.contract import cassandra_process, jaeger_process, opensearch_process
from tests.contract.jaeger_process import Process, Size
from tests.contract.search_engine_node import Node

STORES = ("memory", "badger", "opensearch")
CHOICES = (*STORES, "cassandra")
"""Cassandra is written a dozen rows for each span: a million spans would take hours."""
_RETENTION = "48h"
_SECOND = 1_000_000
_MOST = 20_000
"""Traces in one answer when all are read back."""
_PAGE = 2_000
"""Documents in one answer of OpenSearch's."""
_SPAN = re.compile(rb'"traceID":"[0-9a-f]+","spanID":"([0-9a-f]+)","(?:flags|operationName)"')
"""A span in Jaeger's answer; the reference to a parent goes on differently."""
_ALL_TAKEN = (b"", b"\n\0")
"""An ExportTraceServiceResponse without a number of spans that were refused."""
_VISIBLE_SECONDS = 300
_ANSWER_SECONDS = 300


@dataclass(frozen=True)
class Taken:
    """What a store took for the spans, and what each kind of search cost."""

    spans: int
    stored: int
    traces: int
    wire_mib: float
    """Of all requests, in protobuf and not compressed."""
    seconds: float
    jaeger_cpu: float
    opensearch_cpu: float
    """Seconds of the processor, until all spans could be found."""
    jaeger_empty_mib: float
    jaeger_mib: float
    jaeger_searched_mib: float
    """Resident memory before the first span, after the last one, and after the searches."""
    opensearch_mib: float
    disk_mib: float
    load: float
    """What else the machine did: its load average of 5 minutes at the end."""
    searches: Mapping[str, Search]


@dataclass(frozen=True)
class _Servers:
    jaeger: Process
    opensearch: Node | None
    files: Path
    """Where the store has its files."""

    @property
    def cpu(self) -> tuple[float, float]:
        """Seconds of Jaeger and of OpenSearch."""
        return self._of_both(processes.cpu_seconds)

    @property
    def memory(self) -> tuple[float, float]:
        """MiB of Jaeger and of OpenSearch."""
        return self._of_both(processes.resident_mib)

    def _of_both(self, of: Callable[[int], float]) -> tuple[float, float]:
        return of(self.jaeger.pid), of(self.opensearch.pid) if self.opensearch else 0.0


@dataclass
class _Sent:
    """What was sent, as far as the searches need it; times in microseconds since the Unix epoch."""

    end: int
    spans: set[bytes] = field(default_factory=set)
    traces: int = 0
    size: int = 0
    minutes: list[Minute] = field(default_factory=list)
    """Without their requests."""

    @property
    def begin(self) -> int:
        return self.minutes[0].begin


def measure(name: str, spans: int, samples: int) -> Taken:
    """What the store takes for at least ``spans`` spans; ``samples`` of each kind of search.

    AssertionError if spans were lost, or a search did not find what was sent.
    """
    end = int(time.time() * _SECOND) // MINUTE * MINUTE
    traces = sum(part.traces for minute in traffic.minutes(spans, end) for part in minute.parts)
    with _running(name, Size(traces=traces + 1)) as servers:
        empty, _ = servers.memory
        before, begin = servers.cpu, time.monotonic()
        sent = _send(servers.jaeger, spans, end)
        if servers.opensearch:
            _wait_until_counted(servers.opensearch, len(sent.spans))
        seconds = time.monotonic() - begin
        jaeger_cpu, opensearch_cpu = (
            after - used for after, used in zip(servers.cpu, before, strict=True)
        )
        memory = servers.memory
        disk = processes.disk_mib(servers.files)
        _tell(f"{name}: took {len(sent.spans):,} spans in {seconds:.0f} s")
        if servers.opensearch:
            found = _in_opensearch(servers.opensearch)
        else:
            found = _in_jaeger(servers.jaeger, sent)
        lost = len(sent.spans - found)
        assert not lost, f"{name} lost {lost:,} of {len(sent.spans):,} spans"
        _tell(f"{name}: has all of them")
        searches = dict(_searched(servers, sent, samples))
        searched, _ = servers.memory
    return Taken(
        spans=len(sent.spans),
        stored=len(found & sent.spans),
        traces=sent.traces,
        wire_mib=sent.size / 2**20,
        seconds=seconds,
        jaeger_cpu=jaeger_cpu,
        opensearch_cpu=opensearch_cpu,
        jaeger_empty_mib=empty,
        jaeger_mib=memory[0],
        jaeger_searched_mib=searched,
        opensearch_mib=memory[1],
        disk_mib=disk,
        load=os.getloadavg()[1],
        searches=searches,
    )


@contextmanager
def _running(name: str, size: Size) -> Iterator[_Servers]:
    file = jaeger_process.program()
    assert file, f"no Jaeger: build the lab's, or name one with {jaeger_process.PROGRAM}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stores-")))
        node = None
        if name == "opensearch":
            built = opensearch_process.built()
            assert built, "no OpenSearch: `make contract` builds the lab's"
            node = stack.enter_context(opensearch_process.running(built))
        servers = [node.url] if node else []
        if name == "cassandra":
            built = cassandra_process.built()
            assert built, "no Cassandra: `make contract` builds the lab's"
            servers = [stack.enter_context(cassandra_process.running(built)).server]
        jaeger = stack.enter_context(jaeger_process.running(file, name, folder, servers, size))
        # Jaeger's own configuration and log are a few KiB.
        yield _Servers(jaeger, node, node.data if node else folder)


# --- what is sent, and what is stored ---------------------------------------------------------


def _send(jaeger: Process, spans: int, end: int) -> _Sent:
    """Sends one request after the other, as fast as they are acknowledged."""
    sent = _Sent(end)
    headers = {"Content-Type": "application/x-protobuf"}
    url = f"{jaeger.otlp}/v1/traces"
    with httpx.Client(headers=headers, timeout=_ANSWER_SECONDS, trust_env=False) as client:
        for minute in traffic.minutes(spans, end):
            for part in minute.parts:
                answer = client.post(url, content=part.body)
                told = f"Jaeger answers {answer.status_code}: {answer.content!r}"
                assert answer.is_success, told
                assert answer.content in _ALL_TAKEN, told
                sent.spans.update(part.spans)
                sent.traces += part.traces
                sent.size += len(part.body)
            sent.minutes.append(replace(minute, parts=()))
    return sent


def _wait_until_counted(node: Node, spans: int) -> None:
    """Until OpenSearch has so many: Jaeger acknowledges before it stores."""
    deadline = time.monotonic() + _VISIBLE_SECONDS
    url = f"{node.url}/*jaeger-span-*"
    with httpx.Client(timeout=_ANSWER_SECONDS, trust_env=False) as client:
        while (count := client.get(f"{url}/_count").json()["count"]) < spans:
            told = f"OpenSearch has {count:,} of {spans:,} spans after {_VISIBLE_SECONDS} s"
            assert time.monotonic() < deadline, told
            time.sleep(1)
        # Else its log would count, of spans that the index has on disk, too.
        client.post(f"{url}/_flush").raise_for_status()


def _in_opensearch(node: Node) -> set[bytes]:
    """The ids of all spans, read from its indices."""
    found: set[bytes] = set()
    search = {"size": _PAGE, "sort": ["_doc"], "_source": False, "docvalue_fields": ["spanID"]}
    with httpx.Client(base_url=node.url, timeout=_ANSWER_SECONDS, trust_env=False) as client:
        answer = client.post("/*jaeger-span-*/_search?scroll=5m", json=search)
        while hits := answer.raise_for_status().json()["hits"]["hits"]:
            found |= {bytes.fromhex(hit["fields"]["spanID"][0]) for hit in hits}
            more = {"scroll": "5m", "scroll_id": answer.json()["_scroll_id"]}
            answer = client.post("/_search/scroll", json=more)
    return found


def _in_jaeger(jaeger: Process, sent: _Sent) -> set[bytes]:
    """The ids of all spans, read by searches for each service in periods of some minutes."""
    found: set[bytes] = set()
    most = min(_MOST, sent.traces)
    each = max(1, most * len(sent.minutes) // sent.traces // 2)
    with httpx.Client(base_url=jaeger.url, timeout=_ANSWER_SECONDS, trust_env=False) as client:
        for minute in sent.minutes[::each]:
            for service in (APISERVER, KUBELET, CONTAINERD):
                query: dict[str, str | int] = {
                    "service": service,
                    "start": minute.begin,
                    "end": minute.begin + (each + 1) * MINUTE,
                    "limit": most,
                }
                answer = client.get("/api/traces", params=query).raise_for_status()
                found |= {bytes.fromhex(span.decode()) for span in _SPAN.findall(answer.content)}
    return found


# --- how it is searched -----------------------------------------------------------------------


def _searched(servers: _Servers, sent: _Sent, samples: int) -> Iterator[tuple[str, Search]]:
    """Each kind of search, ``samples`` times, of minutes that are chosen at random."""
    known = store.of(servers.jaeger.store, _RETENTION)
    with Jaeger(servers.jaeger.url, timeout=_ANSWER_SECONDS, store=known) as jaeger:
        for title, find in of_commands(jaeger, sent.minutes, sent.end).items():
            search = timed(title, find, sent.minutes, samples, lambda: sum(servers.cpu))
            yield title, search
            _tell(f"{servers.jaeger.store}: {title}: {_shown(search)} ms")


# --- what is printed --------------------------------------------------------------------------


def table(stores: Mapping[str, Taken]) -> str:
    """As Markdown: what each store took, and how long each search of it lasted."""
    rows: list[tuple[str, Callable[[Taken], str]]] = [
        ("spans sent, stored", lambda taken: f"{taken.spans:,}, {taken.stored:,}"),
        ("traces", lambda taken: f"{taken.traces:,}"),
        ("MiB on the wire", lambda taken: f"{taken.wire_mib:.0f}"),
        ("until all are found", lambda taken: f"{taken.seconds:.0f} s"),
        ("processor: Jaeger", lambda taken: f"{taken.jaeger_cpu:.1f} s"),
        ("processor: OpenSearch", lambda taken: _or_none(taken.opensearch_cpu, "s")),
        ("memory of Jaeger: empty", lambda taken: f"{taken.jaeger_empty_mib:.0f} MiB"),
        ("memory of Jaeger: with all spans", lambda taken: f"{taken.jaeger_mib:.0f} MiB"),
        ("memory of Jaeger: after searches", lambda taken: f"{taken.jaeger_searched_mib:.0f} MiB"),
        ("memory of OpenSearch", lambda taken: _or_none(taken.opensearch_mib, "MiB")),
        ("disk", lambda taken: _or_none(round(taken.disk_mib), "MiB")),
        ("load average of the machine", lambda taken: f"{taken.load:.1f}"),
    ]
    lines = [_line("", *stores), _line("---", *("---" for _ in stores))]
    lines += [_line(title, *map(shown, stores.values())) for title, shown in rows]
    lines += [
        "",
        _line("p50, p99 (or the longest of fewer), processor (ms)", *stores),
        _line("---", *("---" for _ in stores)),
    ]
    titles = dict.fromkeys(title for taken in stores.values() for title in taken.searches)
    lines += [
        _line(title, *(_shown(taken.searches[title]) for taken in stores.values()))
        for title in titles
    ]
    return "\n".join(lines)


def _shown(search: Search) -> str:
    most, of = search.p99, ""
    if most is None:
        most, of = search.longest, f" of {search.samples}"
    return f"{search.p50:,.0f}, {most:,.0f}{of}, {search.cpu:,.0f}"


def _or_none(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value else ""


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stores", description=__doc__)
    parser.add_argument("--spans", type=int, default=1_000_000, help="(default: 1000000)")
    parser.add_argument(
        "--samples", type=int, default=100, help="of each kind of search (default: 100)"
    )
    parser.add_argument(
        "--store", action="append", choices=CHOICES, help="only this one; may be repeated"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args(arguments)
    taken: dict[str, Taken] = {}
    try:
        for name in options.store or STORES:
            taken[name] = measure(name, options.spans, options.samples)
    except (AssertionError, JaegerError, httpx.HTTPError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        print(table(taken))
        if options.json:
            figures: dict[str, Any] = {name: asdict(its) for name, its in taken.items()}
            options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
