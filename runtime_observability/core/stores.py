"""The stores that Jaeger may keep traces in, what they take, and a stack's own OpenSearch. Pure."""

from __future__ import annotations

import re
from typing import Literal

from runtime_observability.core import naming
from runtime_observability.core.settings.rule import RuleError

TraceStore = Literal["memory", "badger", "opensearch", "elasticsearch", "cassandra", "none"]
MEMORY: TraceStore = "memory"
BADGER: TraceStore = "badger"
OPENSEARCH: TraceStore = "opensearch"
ELASTICSEARCH: TraceStore = "elasticsearch"
CASSANDRA: TraceStore = "cassandra"
NONE: TraceStore = "none"
"""The stack has no Jaeger: the collector sends to `exporters` alone."""
SEARCH_ENGINES = (OPENSEARCH, ELASTICSEARCH)
"""With an index a day (UTC), which Jaeger never deletes."""

OWN_LABEL = f"{OPENSEARCH} (own)"
"""As messages and Jaeger's label name a stack's own OpenSearch, whose traces are in its volume."""
OWN_URL = f"http://{naming.OPENSEARCH_ALIAS}:9200"
"""Of a stack's own OpenSearch, on the stack's network."""
OWN_PATH = "/usr/share/opensearch/data"
OWN_USER = 1000
"""Where its volume is mounted, and its user (opensearch-build 4372bf71
docker/release/dockerfiles/opensearch.al2023.dockerfile)."""
OWN_READY = (
    "curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "5",
    "--output", "/dev/null",
    "http://127.0.0.1:9200/_cluster/health?wait_for_status=yellow&timeout=3s",
)  # fmt: skip
"""Ends with 0 in its container once every index can be searched. Its image is Amazon Linux's, which
has curl (docs.aws.amazon.com/linux/al2023/ug/curl-minimal.html)."""
JAVA_MIB = 512
"""What Java takes beside its heap and buffers, in MiB, with the official image's plugins."""

OWN_MOST_SHARDS = 900
"""In a stack's own OpenSearch, which refuses an index beyond 1,000 (cluster.max_shards_per_node):
the rest is for its own indices and for days that go at the next up."""

AS_THE_CLUSTER_HAS = -1
"""Of ``traceStoreReplicas``: the cluster is asked when Jaeger is made."""

SPAN_KIB = 1.35
"""What a span takes in Jaeger's memory store, in KiB (measured with Jaeger 2.13.0: 1.2 to 1.35)."""
SPANS_OF_A_TRACE = 3
"""On average, in a cluster at rest (measured: 1,014 spans in 388 traces a minute); starts of pods
have about 20."""
_EMPTY_MIB = 60
"""What Jaeger takes without a trace, in MiB (measured: 56)."""
_HEAP = 0.8
"""The share of the container's memory that Go's heap may take (GOMEMLIMIT)."""
BADGER_HEAP_MIB = 390
"""What stayed in the heap of a Jaeger with Badger after many searches; its cache has a limit of
256 MiB (badger v4.8.0 options.go, BlockCacheSize)."""
ANSWER_MIB = 100
"""What an answer of 500 traces takes while it is made: ktrace asks for no more at a time."""
LEAST_BADGER_MIB = 640
"""In which Go's heap has room for both. Measured with Jaeger 2.13.0 and 1,001,400 spans: 60,000 of
their traces were read in 33 s of the processor with 640, 768 and 1024 MiB, and in 387 s with 512,
where Go collected garbage all the time. It is the least, not enough for every load: of 3 million
spans, sent as fast as they were taken, a Jaeger with 640 was killed after 19 minutes."""

_RETENTION = re.compile(r"(\d{1,5})([hd])\Z", re.ASCII)
_HOURS = {"h": 1, "d": 24}
_MOST_HOURS = 24 * 365


def retention(text: str) -> str:
    """``text``, such as 48h or 14d, in hours. Raises RuleError for anything else."""
    match = _RETENTION.match(text)
    hours = int(match[1]) * _HOURS[match[2]] if match else 0
    if not 1 <= hours <= _MOST_HOURS:
        raise RuleError(
            "a retention is a whole number of hours or days, from 1h to 365d", "for instance 48h"
        )
    return f"{hours}h"


def memory_for(max_traces: int) -> int:
    """The smallest memory limit, in MiB, in which Jaeger's memory store can hold that many."""
    held_mib = max_traces * SPANS_OF_A_TRACE * SPAN_KIB / 1024
    return int((held_mib + _EMPTY_MIB) / _HEAP)


def traces_for(memory_mib: int) -> int:
    """How many traces fit into that memory limit, rounded down to a thousand."""
    held_mib = memory_mib * _HEAP - _EMPTY_MIB
    return max(0, int(held_mib * 1024 / SPAN_KIB / SPANS_OF_A_TRACE) // 1000 * 1000)


def own_memory_for(heap_mib: int) -> int:
    """The smallest memory limit for a stack's own OpenSearch, in MiB.

    Its buffers outside the heap may grow to half of the heap (OpenSearch 2.19.6
    distribution/tools/launchers JvmErgonomics.java: MaxDirectMemorySize).
    """
    return heap_mib + heap_mib // 2 + JAVA_MIB


def own_heap_for(memory_mib: int) -> int:
    """The largest heap that fits into that memory limit, in MiB; negative where none does."""
    return (memory_mib - JAVA_MIB) * 2 // 3


def own_environment(heap_mib: int) -> dict[str, str]:
    """Of a stack's own OpenSearch: variables that the official image documents.

    Its HTTP is for the stack's network, and what nodes say to each other for nobody. It needs no
    setting of the host's kernel. It has no login. A developer's disk may be nearly full: only a few
    free GiB make OpenSearch refuse to write, not a share of the disk. The analyzer would be another
    Java. Where Jaeger lists services, it names the index of each day of the longest retention in
    one line: up to 366 of 78 bytes.
    """
    disk = "cluster.routing.allocation.disk.watermark"
    return {
        "OPENSEARCH_JAVA_OPTS": f"-Xms{heap_mib}m -Xmx{heap_mib}m",
        "DISABLE_INSTALL_DEMO_CONFIG": "true",
        "DISABLE_SECURITY_PLUGIN": "true",
        "DISABLE_PERFORMANCE_ANALYZER_AGENT_CLI": "true",
        "discovery.type": "single-node",
        "http.max_initial_line_length": "32kb",
        "http.host": "0.0.0.0",  # noqa: S104 - of a container that publishes no port
        "transport.host": "127.0.0.1",
        "node.store.allow_mmap": "false",
        f"{disk}.low": "3gb",
        f"{disk}.high": "2gb",
        f"{disk}.flood_stage": "1gb",
    }


def shards(days: int, of_an_index: int) -> int:
    """How many there are of ``days`` and today: an index of spans and one of services each."""
    return 2 * of_an_index * (days + 1)


def days(retention: str) -> int:
    """Of ``retention`` in hours, rounded up."""
    return -(-int(retention.removesuffix("h")) // 24)
