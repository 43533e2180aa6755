"""Where a Jaeger keeps its traces, as far as that changes how it is searched.

Read in jaeger v1.76.0 (the commit of v2.13.0), internal/storage: v2/memory/tenant.go and spanstore
in v1/badger, v1/cassandra and v1/elasticsearch, which OpenSearch shares.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

_DAY = 24 * 3600
_DURATION = re.compile(r"([0-9]+)(h|m|s)")
_SECONDS = {"h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True)
class Store:
    """What a search of one kind of store must respect."""

    name: str
    patterns: bool = False
    """Whether a tag's value is a regular expression of Lucene's."""
    longest: int | None = None
    """Values of more bytes may never be found, nor may such operations; None: all are."""
    operations: bool = False
    """Whether all operations are found all the same."""
    days: int | None = None
    """The longest period of one search; None: any."""
    look_back: int | None = None
    """Days before its end that a search reads at most; None: all."""
    single: bool = False
    """Whether a search is for one tag, operation or service alone. It could have several, but would
    find only what is among the newest of each, and nothing tells whether there is more."""
    rows: int | None = None
    """Rows of an index, of a span each, that a search reads for each wanted trace: an answer with
    fewer traces than wanted may lack some; None: all are read."""
    inclusive: bool = True
    """Whether a period includes its first microsecond."""
    objects: bool = True
    """Whether a value is found that is an object in JSON."""
    cuts: bool = False
    """Whether a search leaves out a trace's spans of more than an hour before its period. After the
    period those may be missing that began on a later day (UTC), and nothing tells of these."""
    listed: int | None = None
    """Hours before now whose operations are all listed: of an older span the operation may be
    missing. None: all are."""
    kept: int | None = None
    """Hours after which a trace is deleted; None where it is not, or nothing is known of that."""
    late: float = 0.0
    """How long, in seconds, a span may be invisible after the store has accepted it."""
    is_known: bool = True
    """Whether all of this is so: if not, a client learns from answers what the store is."""


MEMORY = Store("memory")
BADGER = Store("badger")
# The writer's shouldIndexTag, and the reader's queries and limitMultiple. A duration is searched in
# whole hours, longest first, so it is never sent. Each span is a dozen writes or more, one after
# another.
CASSANDRA = Store(
    "cassandra",
    longest=255,
    operations=True,
    single=True,
    rows=3,
    inclusive=False,
    objects=False,
    late=1.5,
)
# The mapping's ignore_above is 256. A search names the index of each day in one line of HTTP, which
# OpenSearch limits to 4,096 bytes: 30 days leave 136 bytes for the name of each. Operations are
# listed for max_span_age, and an operation is written once in 12 hours (the writer's
# serviceCacheTTLDefault).
_MAX_SPAN_AGE = 72
_WRITTEN_AGAIN = 12
LUCENE = Store(
    "opensearch",
    patterns=True,
    longest=256,
    days=30,
    look_back=365,
    cuts=True,
    listed=_MAX_SPAN_AGE - _WRITTEN_AGAIN,
    late=1.5,
)
UNKNOWN = Store("unknown", longest=255, cuts=True, listed=LUCENE.listed, is_known=False)
"""Its answers are the same as those of any other, once the client has learned what they need."""
TEXT = Store("unknown", longest=255, listed=LUCENE.listed)
"""Any that takes a tag's value for text and several conditions at once: memory, Badger, others."""

_BY_NAME = {
    "memory": MEMORY,
    "badger": BADGER,
    "cassandra": CASSANDRA,
    "opensearch": LUCENE,
    "elasticsearch": replace(LUCENE, name="elasticsearch"),
}


def of(name: str | None, retention: str | None = None) -> Store:
    """The store that a stack calls ``name``, which keeps traces for ``retention``: ``48h``, say.

    UNKNOWN for any other name.
    """
    store = _BY_NAME.get(name or "", UNKNOWN)
    parts = _DURATION.findall(retention or "")
    if store in (MEMORY, UNKNOWN) or not parts:
        return store
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
    store = replace(store, kept=seconds // 3600)
    if store.look_back is None:
        return store
    # An index goes as a whole, a day after its first span.
    days = min(store.look_back, math.ceil(seconds / _DAY) + 1)
    return replace(store, look_back=days, listed=max(0, seconds // 3600 - _WRITTEN_AGAIN))
